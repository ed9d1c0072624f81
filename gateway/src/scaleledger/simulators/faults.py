"""What can go wrong with a station's hardware, by name, so that a test or a demonstration can ask for it."""

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances are per reply, 0 to 1; times in seconds.

    `late`: the reply comes `late_s` late. `lost`: it never comes, and took its card with it. `garbled`: one byte of it has its
    high bit set. `power_off_every_s`: mean time between cuts of `power_off_s`; 0 is never.
    """

    late: float = 0.0
    late_s: float = 0.9
    lost: float = 0.0
    garbled: float = 0.0
    dead_speaker: bool = False
    no_paper: bool = False
    power_off_every_s: float = 0.0
    power_off_s: float = 2.0


SOUND = Faults()

FAULTS: dict[str, Faults] = {
    "late-replies": Faults(late=0.05),
    "lost-replies": Faults(lost=0.03),
    "garbled-bytes": Faults(garbled=0.03),
    "dead-speaker": Faults(dead_speaker=True),
    "paper-out": Faults(no_paper=True),
    "power-off": Faults(power_off_every_s=20.0),
}
"""Every fault by its name on the command line."""


def combine(*names: str) -> Faults:
    """All the named faults at once. Raises KeyError for a name that is not in FAULTS."""
    combined = SOUND
    for name in names:
        fault = FAULTS[name]
        for field in fields(Faults):
            if getattr(fault, field.name) != field.default:
                combined = replace(combined, **{field.name: getattr(fault, field.name)})
    return combined
