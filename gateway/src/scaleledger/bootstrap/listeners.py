"""Scales that dial in: their listeners and the registry of devices."""

from scaleledger.bootstrap.ground import Ground


async def add_listeners(ground: Ground) -> None:
    """Add a part per listener."""
    assert not ground.config.listener, "listeners are not wired yet"
