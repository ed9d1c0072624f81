"""A CarniTrack cloud: delivery of events, sessions, offline batches."""

from scaleledger.bootstrap.ground import Ground


async def add_cloud(ground: Ground) -> None:
    """Add the parts of a CarniTrack uplink."""
    assert ground.config.carnitrack is None, "the cloud is not wired yet"
