"""The program that signs the audit log beside ``serve``: ``nlsql-gateway audit heads`` without the other commands."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from nlsql_gateway import audit_serving
from nlsql_gateway.errors import GatewayError


def main() -> None:
    try:
        audit_serving.sign(Path(sys.argv[1]))
    except GatewayError as error:
        click.echo(f"error: {error.message}", err=True)
        if error.hint:
            click.echo(f"hint: {error.hint}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
