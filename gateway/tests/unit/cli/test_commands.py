"""The command itself: every subcommand is there, explains itself, and answers bad usage with exit code 2."""

import pytest
from click.testing import CliRunner

from scaleledger import __version__
from scaleledger.cli import COMMANDS, main


def call(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_help_lists_every_command_with_its_sentence():
    said = call("--help")
    assert said.exit_code == 0
    for name, sentence in COMMANDS.items():
        assert name in said.output
        assert sentence in said.output


def test_the_version():
    assert call("--version").output.split()[-1] == __version__


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_explains_itself(name):
    said = call(name, "--help")
    assert said.exit_code == 0
    assert said.output.startswith(f"Usage: main {name}")


@pytest.mark.parametrize(
    "arguments",
    [["weigh"], ["run"], ["check"], ["run", "--confg", "x"], ["verify"], ["export"], ["export", "--format", "xls"]],
    ids=" ".join,
)
def test_bad_usage_ends_with_2(arguments):
    said = call(*arguments)
    assert said.exit_code == 2
    assert "Usage:" in said.output


def test_verify_and_export_of_nothing_say_where_they_looked(tmp_path):
    for arguments in (["verify", tmp_path / "data"], ["export", "--db", tmp_path / "data"]):
        said = call(*arguments)
        assert said.exit_code == 3
        assert str(tmp_path) in said.output
