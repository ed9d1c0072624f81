"""The stations that the centre assigned, as last taken: they run at a start without a centre."""

import json

from scaleledger.domain.assignment import AssignedStation, Assignment, PortIdentity
from scaleledger.store.orm import Orm
from scaleledger.store.tables import AssignedStations

_ROW = 1


class Assigned:
    """Loads and keeps the set; one row, replaced as a whole."""

    def __init__(self, orm: Orm) -> None:
        self._orm = orm

    async def load(self) -> Assignment | None:
        """The set as last kept; None if there never was one, or it cannot be read."""
        return await self._orm.run(_load())

    async def keep(self, assignment: Assignment) -> None:
        """Put a set in the old one's place."""
        await self._orm.run(_keep(assignment))


async def _load() -> Assignment | None:
    row = await AssignedStations.get_or_none(id=_ROW)
    if row is None:
        return None
    try:
        stations = tuple(
            AssignedStation(str(found["name"]), PortIdentity(*map(str, found["port"])), found["config"])
            for found in json.loads(row.stations)
        )
    except (ValueError, LookupError, TypeError):
        return None  # salvaged from a damaged disk: the centre is asked again
    return Assignment(row.version, stations)


async def _keep(assignment: Assignment) -> None:
    stations = [
        {
            "name": station.name,
            "port": [station.port.device, station.port.serial_number, station.port.location],
            "config": None if station.config is None else dict(station.config),
        }
        for station in assignment.stations
    ]
    text = json.dumps(stations, ensure_ascii=False)
    await AssignedStations.update_or_create(defaults={"version": assignment.version, "stations": text}, id=_ROW)
