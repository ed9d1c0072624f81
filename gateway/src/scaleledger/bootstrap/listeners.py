"""Scales that dial in: their listeners and the registry of devices."""

from scaleledger.bootstrap.base import Base


async def add_listeners(base: Base) -> None:
    """Add a part per listener."""
    assert not base.config.listener, "listeners are not wired yet"
