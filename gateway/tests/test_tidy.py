"""Style that import-linter and ruff cannot see, checked by reading the source."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    p
    for top in ("gateway/src", "server/src", "tools", "bench")
    for p in (ROOT / top).rglob("*.py")
    if "migrations" not in p.parts
)
CORE = [
    p
    for p in SOURCES
    if re.search(
        r"scaleledger/(domain|wire|drivers|printing)/|uplinks/exchange\.py|central/(protocol|exchange|enrolment|catalogue|messages)\.py|carnitrack/(protocol|messages|answers|calls|order|portion)\.py|scenario\.py",
        str(p),
    )
]
VAGUE = re.compile(r"(manager|helper|util|common|misc|base|handler|processor)s?$", re.IGNORECASE)
MODULE_LINES, FUNCTION_LINES = 400, 60
LONGER: dict[str, str] = {}  # "path" or "path:function" -> the reason why it may be longer
VAGUE_ALLOWED = {"manage": "Django's own name"}


def ids(paths):
    return [str(p.relative_to(ROOT)) for p in paths]


@pytest.fixture(scope="module")
def trees():
    return {p: ast.parse(p.read_text(encoding="utf-8")) for p in SOURCES}


@pytest.mark.parametrize("path", CORE, ids=ids(CORE))
def test_the_core_reads_no_clock_and_makes_no_float(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\bfloat\(|datetime\.now|utcnow|\btime\.(time|monotonic)|\bprint\(", text)


@pytest.mark.parametrize("path", SOURCES, ids=ids(SOURCES))
def test_modules_and_functions_stay_short_and_named(path, trees):
    name = str(path.relative_to(ROOT))
    if name not in LONGER:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= MODULE_LINES, name
    assert path.stem in VAGUE_ALLOWED or not VAGUE.search(path.stem), f"{name} is named vaguely"
    for node in ast.walk(trees[path]):
        if isinstance(node, ast.ClassDef):
            assert not VAGUE.search(node.name), f"{name}: class {node.name} is named vaguely"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and f"{name}:{node.name}" not in LONGER:
            start = node.body[0].end_lineno if ast.get_docstring(node) else node.lineno
            assert node.end_lineno - start <= FUNCTION_LINES, f"{name}:{node.name} is too long"


@pytest.mark.parametrize("path", SOURCES, ids=ids(SOURCES))
def test_only_the_supervisor_catches_everything(path, trees):
    if path.name == "supervisor.py":
        return
    for node in ast.walk(trees[path]):
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else "everything"
            assert caught not in {"Exception", "BaseException", "everything"}, f"{path}:{node.lineno}"


def test_every_logged_event_is_in_the_list():
    listed = set(
        re.findall(
            r'^    "([a-z]+\.[a-z_]+)":', (ROOT / "gateway/src/scaleledger/observe/log.py").read_text(), re.MULTILINE
        )
    )
    for path in SOURCES:
        for event in re.findall(r'log\.(?:debug|info|warning|error)\(\s*"([^"]+)"', path.read_text(encoding="utf-8")):
            if "scaleledger/" in str(path):
                assert event in listed, f"{path.name}: {event} is not in observe/log.py EVENTS"
