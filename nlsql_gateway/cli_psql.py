"""``nlsql-gateway psql``: psql, in which a question can be typed at the prompt."""

from __future__ import annotations

import sys

import click

from nlsql_gateway import config


@click.command(
    context_settings={
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
        "help_option_names": ["--help"],  # -h is psql's: the host
    }
)
@click.argument("arguments", metavar="[PSQL'S OWN ARGUMENTS]...", nargs=-1, type=click.UNPROCESSED)
def psql(arguments: tuple[str, ...]) -> None:
    """Run psql, the real one, in which "-- ask: top 5 customers by revenue" can be typed at the prompt.

    psql itself throws such comments away; here the line goes on as "/* ask: … */;", which is what the history keeps.
    All else is psql's own: nlsql-gateway psql -h localhost -p 6432 -U anna retail. It is the psql of the PATH, or the
    embedded one.

    Where standard input or output is no terminal, psql runs as if it had been started without us.
    """
    from nlsql_gateway.embedded import terminal

    status = terminal.run(arguments, config.environment())
    sys.exit(status if status >= 0 else 128 - status)
