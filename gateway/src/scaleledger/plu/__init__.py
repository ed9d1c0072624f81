"""Product files, one writer per family of scales: a list of products in, a file's bytes out. One table names them all."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from scaleledger.domain.cloud import PluItem

FAMILIES = {"dp401": "scaleledger.plu.dp401"}


@dataclass(frozen=True, slots=True)
class Written:
    """A family's file. `left_out` names the products that it cannot hold, each with the reason."""

    name: str
    content: bytes
    item_count: int
    left_out: tuple[tuple[str, str], ...]


class Family(Protocol):
    """What a writer's module offers. `VERIFIED` is False while no real scale has read such a file."""

    VERIFIED: bool

    def write(self, items: Sequence[PluItem]) -> Written:
        """The file for these products, in order of their numbers. The same products give the same bytes."""
        ...


def family(name: str) -> Family:
    """A family's writer; KeyError for an unknown one."""
    module: Family = importlib.import_module(FAMILIES[name])
    return module
