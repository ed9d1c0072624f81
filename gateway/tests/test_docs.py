"""What is written is true: pages match the code, links lead somewhere, commands and settings in the prose work."""

import importlib.util
import json
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner
from django.core.management import get_commands, load_command_class

from scaleledger.cli import COMMANDS, main
from scaleledger.config.load import load_config
from scaleledger.config.model import Config
from scaleledger.domain.station_table import Do, Event
from scaleledger.drivers import NAMES
from scaleledger.observe.log import EVENTS
from scaleledger.transports import SCHEMES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PROSE = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "STYLE.md")),
    *(ROOT / name for name in ("gateway/README.md", "server/README.md", "contracts/README.md", "examples/README.md")),
    *sorted(DOCS.rglob("*.md")),
]
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED_TEST = re.compile(r"`(test_\w+)`")
PLACEHOLDER = re.compile(r"\b[A-Z]{4,}\b")
RUN = {"decode"}  # commands in snippets that touch nothing and are run
OTHERS = {  # programs of other people that snippets call
    "chmod", "createdb", "createuser", "cp", "ls", "pg_dump", "pg_restore", "pip", "psql", "python", "systemctl", "useradd",
    "valkey-server",
}  # fmt: skip
SERVER_SETTING = re.compile(r"\bSCALELEDGER_SERVER_[A-Z]\w*")


def name_of(path):
    return str(path.relative_to(ROOT))


EVERY = pytest.mark.parametrize("path", PROSE, ids=name_of)


def module(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@cache
def pages():
    return module(ROOT / "tools" / "pages.py", "pages")


def blocks(path, language):
    """The fenced blocks of a language, each with the text block that directly follows it, or None."""
    text = path.read_text(encoding="utf-8")
    found = list(BLOCK.finditer(text))
    for block, after in zip(found, [*found[1:], None], strict=False):
        if block[1] == language:
            follows = after is not None and after[1] == "text" and not text[block.end() : after.start()].strip()
            yield block[2], after[2] if follows else None


# --- generated pages --------------------------------------------------------------------------------------------------


def test_the_reference_pages_are_what_would_be_written_now():
    """In a process of its own: click keeps what it learned of a command's options while other tests ran it."""
    told = subprocess.run(
        [sys.executable, ROOT / "tools" / "pages.py", "--check"], check=False, capture_output=True, text=True
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_every_setting_has_its_words():
    def nameless(model, path):
        for key, field in model.model_fields.items():
            inners = pages()._models_of(field)
            for inner in inners:
                assert inner.__doc__, key
                yield from nameless(inner, f"{path}{key}.")
            if path and not field.description:
                yield path + key

    assert list(nameless(Config, "")) == []


def test_every_command_event_driver_scheme_and_step_is_on_its_page():
    def page(name):
        return (DOCS / "reference" / name).read_text(encoding="utf-8")

    assert [c for c in COMMANDS if f"## `scaleledger {c}`" not in page("cli.md")] == []
    assert [e for e in EVENTS if f"| `{e}` |" not in page("events.md")] == []
    assert [d for d in NAMES if f"## `{d}`" not in page("drivers.md")] == []
    assert [s for s in SCHEMES if f"\n{s}:" not in page("configuration.md")] == []
    assert set(pages().EVENT_WORDS) == set(Event)
    assert set(pages().DO_WORDS) == set(Do)


def test_every_page_and_decision_is_in_the_index():
    index = DOCS / "README.md"
    linked = {(DOCS / target).resolve() for target, _ in LINK.findall(index.read_text(encoding="utf-8"))}
    assert [name_of(p) for p in DOCS.rglob("*.md") if p != index and p not in linked] == []


# --- links ------------------------------------------------------------------------------------------------------------


def anchors(path):
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {"#" + re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@EVERY
def test_relative_links_lead_somewhere(path):
    for target, anchor in LINK.findall(BLOCK.sub("", path.read_text(encoding="utf-8"))):
        if re.match(r"\w+:", target):
            continue
        there = (path.parent / target).resolve() if target else path
        assert there.exists(), f"{name_of(path)}: {target} is not there"
        assert there.is_relative_to(ROOT)
        assert not anchor or anchor in anchors(there), f"{name_of(path)}: {target}{anchor}"


@pytest.mark.parametrize("page", ["README.md", "SECURITY.md", "docs/explanation/faults-of-the-first.md"])
def test_the_tests_named_in_promises_are_in_the_files_beside_them(page):
    rows = [r for r in (ROOT / page).read_text(encoding="utf-8").splitlines() if NAMED_TEST.search(r)]
    assert len(rows) > 8
    for row in rows:
        named = row.rsplit("|", 2)[1]
        for part in filter(NAMED_TEST.search, re.findall(r".*?\]\([^)]*\)", named)):
            source = ((ROOT / page).parent / LINK.search(part)[1]).read_text(encoding="utf-8")
            for test in NAMED_TEST.findall(part):
                assert f"def {test}(" in source, f"{test} is not in {LINK.search(part)[1]}"


# --- commands ---------------------------------------------------------------------------------------------------------


def lines_of(block):
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]


def commands():
    """Every line of every sh block, with the output that is shown for it if it stands alone."""
    for path in PROSE:
        for block, output in blocks(path, "sh"):
            for line in lines_of(block):
                yield pytest.param(
                    line, output if len(lines_of(block)) == 1 else None, id=f"{name_of(path)}: {line}"[:90]
                )


def words_of(line):
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    return words[: words.index(">")] if ">" in words else words


def is_of_the_server(words):
    assert words[0] in get_commands(), f"there is no command {words[0]}"
    load_command_class(get_commands()[words[0]], words[0]).create_parser("x", words[0]).parse_args(words[1:])


def is_of_the_containers(words):
    file = ROOT / words[words.index("-f") + 1]
    if "exec" in words:
        service, program, *inner = words[words.index("exec") + 1 :]
        assert service in yaml.safe_load(file.read_text(encoding="utf-8"))["services"]
        assert program == "scaleledger-server"
        is_of_the_server(inner)


@pytest.mark.parametrize(("line", "output"), list(commands()))
def test_a_command_in_the_prose_is_one_that_there_is(line, output):
    program, *words = words_of(line)
    assert all((ROOT / word).exists() for word in words if word.startswith("packaging/") and not word.endswith(".env"))
    if program == "scaleledger":
        command = main.get_command(click.Context(main), words[0])
        assert command is not None, f"there is no command {words[0]}"
        command.make_context(words[0], words[1:])
        if words[0] in RUN and "$(" not in line and not PLACEHOLDER.search(" ".join(words[:2])):
            result = CliRunner().invoke(main, words)
            assert result.exit_code == 0, result.output
            assert output is None or result.output == output
    elif program == "scaleledger-server":
        is_of_the_server(words)
    elif program == "docker":
        is_of_the_containers(words)
    elif program == "make":
        assert words[0] in re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    elif words[:1] == ["tools/dev.py"]:
        assert all((ROOT / word).exists() for word in words if "/" in word)
    else:
        assert Path(program).name in OTHERS, f"{program} is not known here: {line}"


@EVERY
def test_commands_named_in_running_text_are_there(path):
    text = path.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(re.findall(r"(?:`|^ {4})scaleledger ([a-z]+)", text, re.MULTILINE)) <= set(COMMANDS)
    assert set(re.findall(r"(?:`|^ {4})scaleledger-server ([a-z_]+)", text, re.MULTILINE)) <= set(get_commands())
    assert set(re.findall(r"(?:`|^ {4})make ([a-z]+)", text, re.MULTILINE)) <= set(makefile.split())


# --- settings ---------------------------------------------------------------------------------------------------------


def settings():
    for path in PROSE:
        for n, (block, _) in enumerate(blocks(path, "toml")):
            yield pytest.param(block, id=f"{name_of(path)}-{n}")
    for path in sorted((ROOT / "examples").glob("*.toml")):
        yield pytest.param(path.read_text(encoding="utf-8"), id=name_of(path))


@pytest.mark.parametrize("text", list(settings()))
def test_settings_in_the_prose_and_examples_load(text, tmp_path):
    if "[gateway]" not in text:
        text = '[gateway]\ndata_dir = "data"\n\n' + text
    if "[[station]]" not in text:
        text += '\n[[station]]\nname = "a"\ndriver = "suwol-1000"\nurl = "serial:///dev/ttyUSB0"\n'
    path = tmp_path / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    load_config(path)


# --- the server's settings --------------------------------------------------------------------------------------------


@cache
def server_settings():
    """Every variable the server reads: the first words of its calls of `env`, and the files of secrets."""
    source = (ROOT / "server" / "src" / "scaleledger_server" / "settings.py").read_text(encoding="utf-8")
    calls = re.findall(r"\benv\.(\w+)\(\s*\(?\"(SCALELEDGER_SERVER_\w+)\"", source)
    return {name for _, name in calls} | {f"{name}_FILE" for kind, name in calls if kind == "secret_key"}


@pytest.mark.parametrize("path", [*PROSE, *sorted((ROOT / "packaging").rglob("*.*"))], ids=name_of)
def test_a_server_setting_that_is_named_is_one_that_is_read(path):
    assert set(SERVER_SETTING.findall(path.read_text(encoding="utf-8"))) <= server_settings() | {"SCALELEDGER_SERVER_"}


def test_the_servers_page_lists_every_setting_and_no_other():
    page = (ROOT / "server" / "README.md").read_text(encoding="utf-8")
    table = page.split("## Settings")[1].split("\n## ")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    listed = {f"SCALELEDGER_SERVER_{name}" for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert len(listed) > 20
    assert listed == server_settings()


def test_the_servers_page_lists_every_command_of_ours():
    page = (ROOT / "server" / "README.md").read_text(encoding="utf-8")
    ours = {name for name, app in get_commands().items() if str(app).startswith("scaleledger_server.")}
    assert ours == set(re.findall(r"^\| `([a-z_]+)", page.split("## Settings")[0], re.MULTILINE))


# --- the driver on the how-to page ------------------------------------------------------------------------------------


def test_the_driver_on_its_page_passes_the_drivers_suite(tmp_path, monkeypatch):
    page = DOCS / "how-to" / "add-a-scale.md"
    code, row = (block for block, _ in blocks(page, "python"))
    name, place = json.loads("{" + row.strip().removesuffix(",") + "}").popitem()
    ((vectors, _),) = blocks(page, "jsonl")
    (tmp_path / f"{name}.jsonl").write_text(vectors, encoding="utf-8")
    source = tmp_path / "bench_scale.py"
    source.write_text(code, encoding="utf-8")
    suite = module(ROOT / "gateway" / "tests" / "conformance" / "test_drivers.py", "drivers_suite")
    monkeypatch.setitem(sys.modules, place, module(source, place))
    monkeypatch.setitem(NAMES, name, place)
    monkeypatch.setattr(suite, "VECTORS", tmp_path)
    ran = 0
    for test, function in list(vars(suite).items()):
        marks = {mark.args[0] for mark in getattr(function, "pytestmark", ()) if mark.name == "parametrize"}
        if test.startswith("test_") and marks == {"name"}:
            function(name=name)
            ran += 1
    assert ran > 8
    for wanted in suite.rows(name):
        facts = [suite.fact_to_json(f) for f in suite.read(name, [bytes.fromhex(wanted["hex"])])]
        assert [{k: v for k, v in f.items() if f["type"] != "problem" or k != "raw"} for f in facts] == wanted["facts"]
