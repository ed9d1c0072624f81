"""`scaleledger claim`: hand a claim code from the centre to the gateway, running or not."""

import sys
from pathlib import Path

import click


@click.command()
@click.argument("code")
@click.option("--config", "-c", "path", type=click.Path(path_type=Path), required=True, help="The TOML file.")
def command(code: str, path: Path) -> None:
    """Let the gateway be approved at once by the CODE that the centre shows, like K7Q2-ABCD-EFGH-JKMN-PQRS.

    The gateway uses it once, when it next asks the centre how it stands; a code is good for 15 minutes. Exit 2: the code or
    the configuration is wrong; 3: the data folder cannot be written.
    """
    from scaleledger.config.load import ConfigError, load_config
    from scaleledger.domain.errors import ClaimMistyped
    from scaleledger.domain.standing import claim_of
    from scaleledger.store.claim import leave_claim

    try:
        claim = claim_of(code)
        config = load_config(path)
    except ClaimMistyped as wrong:
        raise click.BadParameter(str(wrong), param_hint="CODE") from wrong
    except ConfigError as wrong:
        click.echo("\n".join(wrong.faults), err=True)
        sys.exit(2)
    if config.central is None:
        raise click.UsageError(f"{path} has no [[uplink]] of type central: there is no centre that would take a code")
    folder = path.parent / config.gateway.data_dir
    try:
        leave_claim(folder, claim.id + claim.secret)
    except OSError as failure:
        click.echo(f"the code cannot be left in {folder}: {failure.strerror}", err=True)
        sys.exit(3)
    click.echo(f"The code {claim.id}-… waits in {folder}. The gateway uses it when it next asks {config.central.url}.")
