"""The page of figures, written from what was measured and from nothing else."""

from typing import Any

from bench.processes import ROOT

PAGE = ROOT / "docs" / "reference" / "performance.md"
HEAD = """# Performance

Written by `python -m bench --write-docs` from its last run; do not edit. `python -m bench` repeats all of it.

{machine}

Every measurement runs two ways of doing the work in one run, in turn, and states their ratio, or counts what a disk is asked
for. Times by themselves belong to this machine. Figures are medians over repeats.
"""
AIMS = """
## Aims

| measurement | of | found | aim | met |
|---|---|---|---|---|
"""
FIGURES = """
## Figures
"""
LATENCY = """
A bare append and flush takes {bare} µs on this disk. What the product adds to the hand-off is the processor's: driver, state
machine, canonical text, hash, signature, SQL. It does not grow with the disk's slowness: where a flush lasts 10 ms longer, as on
an SD card, it is nearly nothing (durable-slow-disk). On a disk as fast as this one it weighs as much as the flush itself.
"""


def page(kept: dict[str, Any]) -> str:
    """The Markdown text for results as kept in bench.json."""
    results = [r for r in kept["results"] if not r["quick"]]
    machine = kept["machine"]
    told = (
        f"Measured {machine['measured']} on {machine['processor']}; {machine['disk']}; {machine['system']}, "
        f"Python {machine['python']}, SQLite {machine['sqlite']}."
    )
    parts = [HEAD.format(machine=told), AIMS]
    parts += [_aim(result) for result in results if result["met"] is not None]
    lone = next((result["arms"] for result in results if result["name"] == "durable-lone"), None)
    if lone is not None:
        parts.append(LATENCY.format(bare=number(lone["bare append"]["p50_us"])))
    parts.append(FIGURES)
    parts += [_table(result) for result in results]
    return "".join(parts)


def _aim(result: dict[str, Any]) -> str:
    met = "yes" if result["met"] else "**no**"
    found = ", ".join(f"{what} {number(value)}" for what, value in result["judged"].items())
    return f"| {result['name']} | {result['what']} | {found} | {result['aim']} | {met} |\n"


def _table(result: dict[str, Any]) -> str:
    """One measurement: a row per arm."""
    columns = list(dict.fromkeys(name for figures in result["arms"].values() for name in figures))
    lines = [f"\n### {result['name']}", "", f"{result['what'][:1].upper()}{result['what'][1:]}.", ""]
    lines += [f"| arm | {' | '.join(_unit(c) for c in columns)} |", f"|---|{'--:|' * len(columns)}"]
    for arm, figures in result["arms"].items():
        cells = (number(figures[c]) if c in figures else "" for c in columns)
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    ratio = f"{result['ratio_of']}: {number(result['ratio'])}. " if result["ratio"] is not None else ""
    lines += ["", f"{ratio[:1].upper()}{ratio[1:]}n = {number(result['n'])}; `{result['command']}`.", ""]
    return "\n".join(lines)


def _unit(column: str) -> str:
    """A figure's name for people: units last, as in the names."""
    words = column.replace("percent", "%").split("_")
    return " ".join({"us": "µs", "mb": "MB"}.get(word, word) for word in words)


def number(value: float) -> str:
    """At most four significant digits, thousands apart."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
