"""`scaleledger identity`: who this gateway is to its centre, for the person who is to approve it there."""

import json
import sys
from pathlib import Path

import click


@click.command()
@click.option("--config", "-c", "path", type=click.Path(path_type=Path), help="The TOML file.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="The gateway's data folder, in place of the file.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
def command(path: Path | None, data_dir: Path | None, *, as_json: bool) -> None:
    """Show the gateway's name, key and standing. The centre shows the same fingerprint when it asks for approval.

    Works while the gateway runs. Exit 2: bad usage or configuration; 3: no gateway has run on that folder yet.
    """
    from scaleledger.domain.errors import StoreError
    from scaleledger.domain.standing import fingerprint
    from scaleledger.store.nameplate import read_nameplate

    try:
        plate = read_nameplate(data_folder(path, data_dir))
    except StoreError as error:
        click.echo(f"{error}. Start the gateway once: it makes its key then.", err=True)
        sys.exit(3)
    said = {
        "mac_address": plate.mac_address,
        "hostname": plate.hostname,
        "fingerprint": fingerprint(plate.public_key),
        "public_key": plate.public_key,
        "standing": plate.status or "not asked yet",
        "server_key": plate.server_key,
    }
    if as_json:
        click.echo(json.dumps(said))
        return
    for name, value in said.items():
        click.echo(f"{name.replace('_', ' '):<12}  {value or '-'}")


def data_folder(path: Path | None, data_dir: Path | None) -> Path:
    """The folder that was meant. Raises UsageError unless exactly one of the two was given; exits 2 on a wrong file."""
    from scaleledger.config.load import ConfigError, load_config

    if (path is None) == (data_dir is None):
        raise click.UsageError("give the configuration with -c, or --data-dir")
    if data_dir is not None:
        return data_dir
    assert path is not None
    try:
        return path.parent / load_config(path).gateway.data_dir
    except ConfigError as wrong:
        click.echo("\n".join(wrong.faults), err=True)
        sys.exit(2)
