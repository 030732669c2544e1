"""``nlsql-gateway console``: the pages in a browser."""

from __future__ import annotations

from pathlib import Path

import click

from nlsql_gateway import console_serving
from nlsql_gateway.cli_options import config_option


def _address(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, int] | None:
    if value is None:
        return None
    host, colon, port = value.rpartition(":")
    if not host or not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        raise click.BadParameter("write host:port")
    return host.strip("[]"), int(port)


@click.command()
@config_option
@click.option("--host", metavar="HOST", help="Where to listen; default: console.listen.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="0: any free port; default: console.listen.port.")
@click.option(
    "--gateway", metavar="HOST:PORT", callback=_address, help="Where the gateway listens; default: its listen.host."
)
def console(config: Path, host: str | None, port: int | None, gateway: tuple[str, int] | None) -> None:
    """Serve the console, pages in a browser for whoever asks, until SIGTERM. The gateway must be running.

    Prints one line "console HOST PORT" on standard output when it accepts connections. With a section console in
    gateway.yaml, serve starts it too.
    """
    console_serving.serve(
        config,
        host=host,
        port=port,
        gateway=gateway,
        ready=lambda host, port: click.echo(f"console {host} {port}"),
    )
