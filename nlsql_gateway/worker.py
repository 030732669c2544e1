"""The program of one worker: ``server/workers.py`` starts it when ``listen.workers`` is more than one."""

from __future__ import annotations

import sys

import click

from nlsql_gateway import serving
from nlsql_gateway.errors import GatewayError


def main() -> None:
    try:
        serving.work(ready=lambda host, port: click.echo(f"ready {host} {port}"))
    except GatewayError as error:
        click.echo(f"error: {error.message}", err=True)
        if error.hint:
            click.echo(f"hint: {error.hint}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
