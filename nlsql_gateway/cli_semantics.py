"""The commands of the semantics file: its schema, and verified questions from the audit log."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from nlsql_gateway import app
from nlsql_gateway.cli_options import TEXT_MAY_BEGIN_WITH_DASHES, config_option


@click.group()
def semantics() -> None:
    """What words mean: the file that ask.semantics names."""


@semantics.command("schema")
def semantics_schema() -> None:
    """Print the JSON Schema of semantics files, for editors."""
    click.echo(app.semantics_schema(), nl=False)


def _pairs(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    found = dict(value.partition("=")[::2] for value in values)
    if not all(found.values()) or not all(name.isidentifier() and name.islower() for name in found):
        raise click.BadParameter("write name=value")
    return found


@click.command(context_settings=TEXT_MAY_BEGIN_WITH_DASHES)
@click.argument("record", required=False, metavar="[ID]")
@config_option
@click.option("--question", metavar="TEXT", help="In place of ID: the last time that this was asked and answered.")
@click.option("--wording", metavar="TEXT", help="The question as it is to be written.")
@click.option(
    "--parameter",
    "parameters",
    multiple=True,
    callback=_pairs,
    metavar="NAME=VALUE",
    help="Make VALUE a parameter of the question and its SQL.",
)
@click.option("--by", metavar="NAME", help="Who verifies it; asked for otherwise.")
@click.option("--yes", is_flag=True, help="Ask nothing; needs --by.")
def verify(
    record: str | None,
    config: Path,
    question: str | None,
    wording: str | None,
    parameters: dict[str, str],
    by: str | None,
    *,
    yes: bool,
) -> None:
    """Make a recorded question a verified one: it is answered from its SQL, without the model.

    ID is that of the decision in the audit log. Shows the question, its SQL and the verdict, asks, and writes an entry
    into the file that ask.semantics names; the gateway reads it. Exit with 1 when you say no.
    """
    if (record is None) == (question is None):
        raise click.UsageError("name a record by its ID, or give --question")
    if yes and by is None:
        raise click.UsageError("--yes needs --by")
    found = asyncio.run(
        app.verifying(config, record_id=record, question=question, wording=wording, parameters=parameters)
    )
    for label, value in found.shown():
        click.echo(f"{label:<10} {value}")
    name = by or click.prompt("Who verifies it", err=True)
    if not app.write_verified(found, name, lambda: yes or click.confirm(f"Write it to {found.file}?", err=True)):
        sys.exit(1)
    click.echo(f"written to {found.file}")
