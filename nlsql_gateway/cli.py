"""The commands. No logic: each reads its arguments, calls ``app`` and prints what comes back.

Exit codes: 0 done; 1 the answer is no (refused, broken log, a check failed); 2 the command or a file it names is wrong.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from nlsql_gateway import __version__, app, audit_serving, console_serving
from nlsql_gateway.cli_audit import audit
from nlsql_gateway.cli_console import console
from nlsql_gateway.cli_model import model
from nlsql_gateway.cli_options import TEXT_MAY_BEGIN_WITH_DASHES as _TEXT_MAY_BEGIN_WITH_DASHES
from nlsql_gateway.cli_options import config_option as _config
from nlsql_gateway.cli_psql import psql
from nlsql_gateway.cli_semantics import semantics, verify
from nlsql_gateway.config import client_password, schema
from nlsql_gateway.errors import AuditError, ConfigError, GatewayError
from nlsql_gateway.evaluation.command import Options
from nlsql_gateway.evaluation.score import Result
from nlsql_gateway.printing import rendered


class _Commands(click.Group):
    """Turns our exceptions into one clear line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            click.echo(f"error: {error.message}", err=True)
            for label, text in (("detail", error.detail), ("hint", error.hint)):
                if text:
                    click.echo(f"{label}: {text}", err=True)
            ctx.exit(2 if isinstance(error, ConfigError | AuditError) else 1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="nlsql-gateway")
def main() -> None:
    """A Postgres proxy that answers questions in words, checks every statement and records it."""


@main.command()
@_config
def serve(config: Path) -> None:
    """Serve clients until SIGTERM, then let what runs finish and exit; a second SIGTERM ends at once.

    Prints one line "ready HOST PORT" on standard output when it accepts connections; logs go to standard error.
    SIGHUP reads policy, semantics, certificates and users again. With listen.workers it starts as many processes and
    keeps them running; with a section console it keeps the console running too, with audit.heads what signs the log.
    """
    with console_serving.beside(config) as start_console, audit_serving.beside(config) as start_signing:

        def ready(host: str, port: int) -> None:
            click.echo(f"ready {host} {port}")
            start_signing()
            start_console(host, port)

        app.serve(config, ready=ready)


@main.command()
@_config
@click.option("--database", "-d", default="postgres", show_default=True, help="The upstream database to connect to.")
def check(config: Path, database: str) -> None:
    """Try every part of a configuration and print a table; exit with 1 when a part fails."""
    findings = asyncio.run(app.check(config, database))
    width = max(len(finding.part) for finding in findings)
    for finding in findings:
        mark = "ok  " if finding.ok else "FAIL"
        click.echo(f"{mark}  {finding.part:<{width}}  {finding.message}")
        if finding.hint:
            click.echo(f"{'':<{width + 8}}{finding.hint}")
    if not all(finding.ok for finding in findings):
        sys.exit(1)


@main.command(context_settings=_TEXT_MAY_BEGIN_WITH_DASHES)
@click.argument("question")
@_config
@click.option("--as", "user", required=True, metavar="USER", help="Who asks.")
@click.option("--database", "-d", required=True, metavar="DB", help="The database to ask.")
@click.option("--explain", is_flag=True, help="Show the SQL and the policy's verdict; run nothing.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="Of the rows.",
)
def ask(question: str, config: Path, user: str, database: str, *, explain: bool, style: str) -> None:
    """Ask QUESTION through the running gateway and print the rows.

    The password of USER is read from PGPASSWORD or asked for. The SQL and the model are printed on standard error.
    """
    password = client_password()
    if app.needs_password(config):
        password = click.prompt(f"Password for {user}", hide_input=True, err=True)
    reply = asyncio.run(app.ask(config, question, user=user, password=password, database=database, explain=explain))
    for notice in reply.notices:
        click.echo(notice, err=True)
    click.echo(rendered(reply.columns, reply.rows, style), nl=False)


@main.command(context_settings=_TEXT_MAY_BEGIN_WITH_DASHES)
@click.argument("text")
@_config
@click.option("--as", "user", required=True, metavar="USER", help="Whose rights decide.")
@click.option("--database", "-d", required=True, metavar="DB", help="The database it would run in.")
@click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Of the answer."
)
@click.option(
    "--from", "address", default="", metavar="IP", help="Where the client is, for roles that count there only."
)
def explain(text: str, config: Path, user: str, database: str, style: str, address: str) -> None:
    """Show what would become of TEXT, a statement or a question, without running it. Exit with 1 when refused."""
    judgement = asyncio.run(app.explain(config, text, user=user, database=database, address=address))
    if style == "json":
        click.echo(json.dumps(judgement, ensure_ascii=False, indent=2))
    else:
        for key, value in judgement.items():
            lines = value if isinstance(value, list) else [value]
            for line in lines:
                shown = _rule(line) if isinstance(line, dict) else line
                if shown not in ("", None):
                    click.echo(f"{key:<10} {shown}")
    if judgement["verdict"] != "allow":
        sys.exit(1)


def _rule(fired: dict[str, Any]) -> str:
    """A rule that took part: what it is, its target and detail, and where it stands."""
    return " ".join(", ".join(part) if isinstance(part, list) else str(part) for part in fired.values() if part)


@main.group()
def config() -> None:
    """gateway.yaml: its keys."""


@config.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of gateway.yaml, for editors."""
    click.echo(schema(), nl=False)


@main.group()
def user() -> None:
    """Users who may log in."""


@user.command("add")
@click.argument("name")
@_config
@click.option("--users", type=click.Path(path_type=Path, dir_okay=False), help="The users file; default: auth.users.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
def user_add(name: str, config: Path, users: Path | None, *, password_stdin: bool) -> None:
    """Add NAME to the users file, or change its password. Only the SCRAM-SHA-256 verifier is stored."""
    if password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = click.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True, err=True)
    path = app.add_user(config, users, name, password)
    click.echo(f"{name} written to {path}")


@main.group()
def policy() -> None:
    """Policy files: checked, tested and compared; nothing runs."""


_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
_json = click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Of what is printed.",
)
_database = click.option("--database", "-d", required=True, metavar="DB", help="Whose tables the rules are about.")


@policy.command("check")
@_file
@_config
@click.option("--database", "-d", metavar="DB", help="Also compare every name with the tables of this one.")
@_json
def policy_check(file: Path, config: Path, database: str | None, style: str) -> None:
    """Is FILE a policy, and does it mean what it says?

    Exit codes: 0 fine; 1 there is something to look at; 2 it has a fault, named with its line and key.
    """
    found = asyncio.run(app.policy_check(file, config, database))
    click.echo(json.dumps(found, ensure_ascii=False, indent=2) if style == "json" else "\n".join(found) or "ok")
    if found:
        sys.exit(1)


@policy.command("test")
@_file
@_config
@_database
@_json
def policy_test(file: Path, config: Path, database: str, style: str) -> None:
    """Decide on each of the cases in FILE. Exit codes: 0 all as expected; 1 one is not, or there is none; 2 a fault."""
    found = asyncio.run(app.policy_test(file, config, database))
    if style == "json":
        rows = [{**asdict(result), "passed": result.passed} for result in found]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        for result in found:
            click.echo(result.words(file))
        click.echo(f"{sum(result.passed for result in found)} of {len(found)} cases as expected")
    if not found or not all(result.passed for result in found):
        sys.exit(1)


@policy.command("diff")
@click.argument("old", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("new", type=click.Path(path_type=Path, dir_okay=False))
@_config
@_database
@_json
def policy_diff(old: Path, new: Path, config: Path, database: str, style: str) -> None:
    """Who gains (+) and loses (-) what, or sees it otherwise (~), from OLD to NEW. Exit with 1 when they differ."""
    found = asyncio.run(app.policy_diff(old, new, config, database))
    if style == "json":
        click.echo(json.dumps([one.as_json() for one in found], ensure_ascii=False, indent=2))
    else:
        click.echo("\n".join(one.words() for one in found) or "no difference")
    if found:
        sys.exit(1)


@policy.command("schema")
def policy_schema() -> None:
    """Print the JSON Schema of policy files, for editors."""
    click.echo(app.policy_schema(), nl=False)


main.add_command(console)
main.add_command(semantics)
main.add_command(verify)
main.add_command(audit)


@main.command("eval")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The gateway's settings; it must be running.",
)
@click.option("--as", "user", metavar="USER", help="Who asks; not with --start.")
@click.option(
    "--start",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Start PostgreSQL with FOLDER/NAME.sql, Triton and a gateway; --config may give its ask and policy sections.",
)
@click.option("--skip-missing", is_flag=True, help="With --start: leave out questions on databases without a file.")
@click.option("--set", "sets", multiple=True, metavar="SET", help="Only the questions of this set.")
@click.option("--db", "databases", multiple=True, metavar="DB", help="Only the questions about this database.")
@click.option("--limit", type=click.IntRange(0), default=0, metavar="N", help="Only the first N of them.")
@click.option("--concurrency", type=click.IntRange(1, 64), default=1, show_default=True, help="Questions at a time.")
@click.option(
    "--golds",
    type=click.Choice(["gateway", "direct"]),
    default="gateway",
    show_default=True,
    help="Run golds through the gateway as the same person, or at PostgreSQL as the service role.",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Default: evaluation-FILE.")
@click.option(
    "--compare",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The results.json of an older run; several: all in one table, the last one side by side.",
)
@click.option("--fresh", is_flag=True, help="Ask everything again, also what an earlier run in --out has asked.")
def evaluate(
    file: Path, config: Path | None, user: str | None, start: Path | None, out: Path | None, **rest: Any
) -> None:
    """Ask the questions of FILE, or of all in a folder, through the gateway's port, and score the answers strictly.

    Exit codes: 0 all were asked; 1 stopped before the end, run it again to go on; 2 a file is wrong.
    """
    password = client_password()
    if start is None:
        if config is None or user is None:
            raise click.UsageError("name the gateway with --config and who asks with --as, or let --start start one")
        if app.needs_password(config):
            password = click.prompt(f"Password for {user}", hide_input=True, err=True)
    options = Options(
        file,
        out or Path(f"evaluation-{file.name.partition('.')[0]}"),
        config,
        user or "",
        password,
        start,
        **rest,
    )
    outcome = app.evaluate(options, _asking, lambda what: click.echo(f"{what} …", err=True))
    click.echo("\n".join((*outcome.words, *map(str, outcome.files))))
    if outcome.missing:
        click.echo(f"stopped: {outcome.missing} questions were not asked; run it again to go on", err=True)
        sys.exit(1)


@contextmanager
def _asking(count: int) -> Iterator[Callable[[Result], None]]:
    """The progress bar; it shows how many were right so far."""
    right = 0
    with click.progressbar(length=count, label="asking", show_pos=True, file=sys.stderr, item_show_func=str) as bar:

        def tell(result: Result) -> None:
            nonlocal right
            right += result.right
            bar.update(1, f"{right} right")

        yield tell


main.add_command(model)
main.add_command(psql)


@main.command()
@click.option("--once", is_flag=True, help="Exit after the tour: 0 only if every step held.")
def demo(*, once: bool) -> None:
    """Start PostgreSQL, Triton, the model and the gateway on this machine, and show a tour."""
    sys.exit(app.demo(once=once))
