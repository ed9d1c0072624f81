"""A CarniTrack cloud: delivery of events, sessions, offline batches."""

from scaleledger.bootstrap.base import Base


async def add_cloud(base: Base) -> None:
    """Add the parts of a CarniTrack uplink."""
    assert base.config.carnitrack is None, "the cloud is not wired yet"
