"""``nlsql-gateway audit``: the log, its signed heads."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from nlsql_gateway import app, audit_serving, audit_tools
from nlsql_gateway.cli_options import config_option

_FILE = click.Path(path_type=Path, dir_okay=False)
_key = click.option(
    "--key", "keys", required=True, multiple=True, type=_FILE, metavar="FILE", help="The public key that signed."
)
_paths = click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
_moment = click.DateTime(["%Y-%m", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])
_since = click.option(
    "--since", type=_moment, metavar="TIME", help="From then on: 2026-03, 2026-03-01 or with a time; UTC."
)
_until = click.option("--until", type=_moment, metavar="TIME", help="Before then.")


@click.group()
def audit() -> None:
    """The audit log."""


@audit.command("verify")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--heads", type=_FILE, metavar="FILE", help="Signed heads that PATH must agree with; needs --key.")
@click.option("--key", "keys", multiple=True, type=_FILE, metavar="FILE", help="The public key that signed them.")
def audit_verify(path: Path, heads: Path | None, keys: tuple[Path, ...]) -> None:
    """Prove that no record of PATH was altered, removed, reordered or cut off.

    With signed heads also that it was not written anew. Exit codes: 0 whole; 1 broken, the first bad record or the
    head that does not agree is named; 2 unreadable.
    """
    if (heads is None) != (not keys):
        raise click.UsageError("--heads and --key go together")
    whole, message = audit_tools.verify(path, heads, keys)
    click.echo(message)
    if not whole:
        sys.exit(1)


@audit.command("tail")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("-n", "--lines", "last", default=20, show_default=True, help="How many records.")
@click.option("--follow", "-f", is_flag=True, help="Go on with new records until Ctrl-C.")
def audit_tail(path: Path, last: int, *, follow: bool) -> None:
    """Print the last records of PATH, one readable line each."""
    for line in audit_tools.tail(path, last, follow=follow):
        click.echo(line)


@audit.command("keygen")
@click.argument("file", type=_FILE)
def audit_keygen(file: Path) -> None:
    """Make the key that signs heads: the private one in FILE, the public one in FILE.pub. Overwrites nothing."""
    click.echo(audit_tools.keygen(file))


@audit.command("heads")
@config_option
@click.option("--once", is_flag=True, help="One round; exit with 1 when a log has a fault.")
def audit_heads(config: Path, *, once: bool) -> None:
    """Sign heads of the log as audit.heads says, until SIGTERM. serve keeps one of these running by itself."""
    if not once:
        audit_serving.sign(config)
    done = audit_serving.sign_once(config)
    for head in done.signed:
        click.echo(f"signed: {head.chain}, {head.size} records")
    if done.faults:
        sys.exit(1)


@audit.command("receipt")
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("record", metavar="ID")
@click.option("--heads", required=True, type=_FILE, metavar="FILE", help="Signed heads of PATH.")
@_key
@click.option("--out", type=_FILE, metavar="FILE", help="Where to write it; default: standard output.")
def audit_receipt(path: Path, record: str, heads: Path, keys: tuple[Path, ...], out: Path | None) -> None:
    """Prove one entry of PATH to somebody who has only the public key.

    ID is that of a decision or execution; its outcome comes with it. The receipt shows these records and no other.
    """
    _give(audit_tools.receipt(path, record, heads, keys), out)


@audit.command("check-receipt")
@click.argument("file", type=_FILE)
@_key
def audit_check_receipt(file: Path, keys: tuple[Path, ...]) -> None:
    """Prove that the records of a receipt stood in the log that was signed; needs nothing but the public key.

    Of a consistency proof, that the newer log goes on from the older one. Exit codes: 0 proved, what it is about is
    shown; 1 not; 2 unreadable.
    """
    proved, message = audit_tools.check_receipt(file, keys)
    click.echo(message)
    if not proved:
        sys.exit(1)


@audit.command("schema")
def audit_schema() -> None:
    """Print the JSON Schema of a record."""
    click.echo(audit_tools.schema(), nl=False)


@audit.command("report")
@_paths
@_since
@_until
@click.option(
    "--format",
    "style",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="Of the rows.",
)
def audit_report(paths: tuple[Path, ...], since: datetime | None, until: datetime | None, style: str) -> None:
    """Who read which table, month by month: runs, the rows that came back, statements that were refused.

    It counts what stands in the log; that this is whole is for audit verify to prove. Exit with 1 when something could
    not be counted.
    """
    text, doubts = audit_tools.report(paths, since, until, style)
    click.echo(text, nl=False)
    if doubts:
        click.echo(doubts, err=True)
        sys.exit(1)


@audit.command("replay")
@_paths
@click.option("--policy", required=True, type=_FILE, metavar="FILE", help="The other policy.")
@config_option
@click.option("--database", "-d", required=True, metavar="DB", help="Whose statements, and whose tables.")
@_since
@_until
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Of what is printed.",
)
def audit_replay(
    paths: tuple[Path, ...],
    policy: Path,
    config: Path,
    database: str,
    since: datetime | None,
    until: datetime | None,
    style: str,
) -> None:
    """Decide on every recorded statement again: who would gain (+) and lose (-) what, or see it otherwise (~).

    It compares the policy of the gateway's settings with the one in FILE, on the tables as they are now; nothing runs.
    Exit with 1 when they differ.
    """
    done = asyncio.run(
        app.audit_replayed(paths, policy, config, database, audit_tools.stamp(since), audit_tools.stamp(until))
    )
    found = done.found()
    if style == "json":
        click.echo(json.dumps([asdict(one) for one in found], indent=2))
    else:
        click.echo("\n".join(one.words() for one in found) or "no difference")
    click.echo(done.words(), err=True)
    if found:
        sys.exit(1)


@audit.command("search")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--user", default="", metavar="USER", help="Who sent it, whole.")
@click.option("--table", "relation", default="", metavar="TABLE", help="That it reads, or a part of its name.")
@click.option(
    "--verdict",
    type=click.Choice(["allow", "deny", "error", "shadow"]),
    default=None,
    help="What became of it; shadow: it ran, and would have been refused or changed.",
)
@click.option("--words", default="", metavar="TEXT", help="In its text, its question, the answer or the reason.")
@_since
@_until
@click.option("-n", "--lines", "most", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json: whole records, one a line.",
)
def audit_search(path: Path, since: datetime | None, until: datetime | None, style: str, **wanted: Any) -> None:
    """Find decisions in the logs of PATH, the newest first, each with its id. Exit with 1 when there is none."""
    found = False
    for line in audit_tools.search(path, since, until, style, **wanted):
        click.echo(line)
        found = True
    if not found:
        sys.exit(1)


@audit.command("consistency")
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("old", type=_FILE)
@click.option("--heads", required=True, type=_FILE, metavar="FILE", help="Signed heads of PATH, the newest among them.")
@_key
@click.option("--out", type=_FILE, metavar="FILE", help="Where to write it; default: standard output.")
def audit_consistency(path: Path, old: Path, heads: Path, keys: tuple[Path, ...], out: Path | None) -> None:
    """Prove that PATH goes on from a head that somebody kept: the one in OLD, of several the first.

    The proof has no record of the log; audit check-receipt checks it.
    """
    _give(audit_tools.consistency(path, old, heads, keys), out)


def _give(text: str, out: Path | None) -> None:
    if out is None:
        click.echo(text, nl=False)
    else:
        audit_tools.write_new(out, text)
        click.echo(f"written to {out}")
