"""The `scaleledger` command: one file per subcommand, imported only when it is asked for.

Exit codes: 0 done, 1 the command found what it looks for to be wrong (a broken chain, a lost record), 2 bad usage or bad
configuration, 3 the world failed (a port, a disk, another process holds the data folder).
"""

import importlib

import click

from scaleledger import __version__

COMMANDS = {
    "run": "Run the gateway.",
    "check": "Say what a configuration would do, without doing it.",
    "scan": "Show the serial ports of this machine.",
    "identity": "Show who the gateway is to its centre: the fingerprint to compare.",
    "claim": "Hand the gateway a claim code from its centre.",
    "demo": "Server, gateway and simulated hardware, live in the terminal.",
    "simulate": "Play a scale or a reader on a real port.",
    "decode": "Show what a driver makes of bytes.",
    "capture": "Write what arrives on a port to a file, with times.",
    "verify": "Prove a ledger, offline.",
    "export": "Write the records out.",
}


class Commands(click.Group):
    """A group whose commands live in modules of the same name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the module of that name; its `command` is the command."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = importlib.import_module(f"scaleledger.cli.{cmd_name}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Help without importing every command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="scaleledger")
def main() -> None:
    """Turn any industrial scale into a ledger."""
