"""`scaleledger scan`: the serial ports of this machine, as the centre would see them."""

import json

import click


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For scripts: one array, eleven fields per port.")
@click.option("--ports", "globs", multiple=True, metavar="GLOB", help="More device paths, as in [[uplink]] ports.")
def command(*, as_json: bool, globs: tuple[str, ...]) -> None:
    """Show the serial ports: device, what it is, USB serial number and location."""
    from scaleledger.transports.serial_ports import look

    ports = look(globs)
    if as_json:
        click.echo(json.dumps(ports))
        return
    for port in ports:
        known = (port["description"], port["serial_number"], port["location"])
        click.echo(f"{port['device']}  {'  '.join(str(text) for text in known if text)}".rstrip())
    if not ports:
        click.echo("There is no serial port here. Is the adapter plugged in, and may this user see it?")
