"""``prepare SOURCE FOLDER``: what of a source may be learnt from, with its schemas as the gateway reads them."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import click
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from nlsql_gateway.errors import ConfigError
from nlsql_gateway.sql.names import identifier
from nlsql_gateway.training.prepare_catalogs import Database, as_row, read_catalogs, tables_of
from nlsql_gateway.training.prepare_held_out import fingerprint, held_out, resembles
from nlsql_gateway.training.prepare_layout import (
    DATABASES,
    PAIRS,
    Counts,
    Pair,
    Split,
    folder_for,
    lines,
    report,
    write_lines,
    write_pairs,
)

MAX_TEXT = 4000
"""Characters of a question, with its notes: what the gateway takes."""


@click.command()
@click.argument("source", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--dialect",
    type=click.Choice(["postgres", "sqlite"]),
    default="postgres",
    show_default=True,
    help="Of the golds whose row does not say (`dialect`).",
)
def command(source: Path, folder: Path, dialect: Literal["postgres", "sqlite"]) -> None:
    """Read the pairs of SOURCE, keep what may be learnt from, in FOLDER."""
    folder_for(folder)
    databases, refused = _databases(source)
    counts, seen = Counts(), set[tuple[str, str]]()

    def kept() -> Iterator[Pair]:
        for row in _pair_rows(source):
            origin = str(row.get("source", "")) if row.get("sql") is not None else "unanswerable"
            counts.take(origin)
            pair = _pair(row, origin, databases, refused, dialect)
            if isinstance(pair, str):
                counts.drop(origin, pair)
            elif (key := (pair.database, pair.question.casefold())) in seen:
                counts.drop(origin, "the question again")
            else:
                seen.add(key)
                counts.keep(origin)
                yield pair

    total = write_pairs(folder / PAIRS, kept())
    write_lines(folder / DATABASES, (as_row(database) for database in databases.values()))
    report(
        folder,
        "prepare",
        {"pairs": total, "databases": len(databases), "databases refused": refused, "sources": counts.told()},
    )


def _databases(source: Path) -> tuple[dict[str, Database], dict[str, str]]:
    """Those that may be learnt from, and why not, of the others."""
    rows = {str(row["db_id"]): row for row in lines(_the(source / "schemas" / "schemas.jsonl.gz"))}
    for row in _pair_rows(source):
        if row.get("ddl"):
            rows.setdefault(str(row["db_id"]), {**row, "split": row.get("split", "train"), "contents": False})
    click.echo(f"{len(rows)} schemas: reading them from a PostgreSQL", err=True)
    relations, failed = read_catalogs({one: str(row["ddl"]) for one, row in rows.items()})
    refused = {one: f"does not load: {why}" for one, why in failed.items()}
    members = _members(source / "contents")
    found: dict[str, Database] = {}
    for one, row in rows.items():
        if one in refused:
            continue
        if known := held_out(one, tables_of(relations[one])):
            refused[one] = f"held out: {known}"
            continue
        if not relations[one]:
            refused[one] = "has no tables"
            continue
        split: Split = "validation" if row["split"] == "validation" else "train"
        found[one] = Database(one, str(row["source"]), split, str(row["ddl"]), relations[one], members.get(one, ""))
    for one in _twins(found):
        refused[one] = "validation: a training database has its tables"
        del found[one]
    return found, refused


def _twins(databases: dict[str, Database]) -> list[str]:
    """Validation databases most of whose tables a training database has under the same names and columns."""
    learnt = [_places(database) for database in databases.values() if database.split == "train"]
    return [
        one
        for one, database in databases.items()
        if database.split == "validation" and any(resembles(_places(database), other) for other in learnt)
    ]


def _places(database: Database) -> frozenset[str]:
    return frozenset(
        f"{table} {column.name.lower()}"
        for relation in database.relations
        for table in fingerprint([relation.name])
        for column in relation.columns
    )


def _pair(
    row: dict[str, Any], origin: str, databases: dict[str, Database], refused: dict[str, str], dialect: str
) -> Pair | str:
    """The pair, or why it is dropped."""
    database = databases.get(str(row["db_id"]))
    if database is None:
        reason = refused.get(str(row["db_id"]), "its schema is not there")
        return reason.partition(":")[0] if reason.startswith("does not load") else reason
    sql = row.get("sql")
    if sql is not None:
        sql = translated(str(sql), str(row.get("dialect", dialect)), database)
        if sql is None:
            return "its SQL is not readable"
    question, notes = " ".join(str(row["question"]).split()), " ".join(str(row.get("evidence") or "").split())
    if not question or len(question) + len(notes) > MAX_TEXT:
        return "its question is empty or too long"
    return Pair(
        str(row["id"]),
        origin,
        database.id,
        database.split,
        question,
        sql,
        notes,
        str(row.get("licence", "")),
        row.get("exec") == "empty",
    )


def translated(sql: str, dialect: str, database: Database) -> str | None:
    """One SELECT in PostgreSQL's words; None where it is not readable.

    SQLite reads a text in double quotes that is no name as a string ("Double-quoted String Literals Are Accepted" in
    its list of quirks), and its LIKE ignores case.
    """
    try:
        trees = sqlglot.parse(sql, dialect=dialect)
    except (SqlglotError, RecursionError):
        return None
    tree = trees[0] if len(trees) == 1 else None
    if not isinstance(tree, exp.Query):
        return None
    if dialect != "sqlite":
        return sql
    names = {relation.name.lower(): relation.name for relation in database.relations}
    names |= {column.name.lower(): column.name for relation in database.relations for column in relation.columns}
    outputs = {one.alias.lower() for one in tree.find_all(exp.Alias)}
    for column in list(tree.find_all(exp.Column)):
        bare = column.this
        quoted = isinstance(bare, exp.Identifier) and bare.args.get("quoted") and not column.table
        if quoted and bare.name.lower() not in names and bare.name.lower() not in outputs:
            column.replace(exp.Literal.string(bare.name))
    for like in list(tree.find_all(exp.Like)):
        like.replace(exp.ILike(this=like.this, expression=like.expression))
    for name in list(tree.find_all(exp.Identifier)):
        folded = name.name.lower()
        name.replace(identifier(names.get(folded, folded)))
    return tree.sql(dialect="postgres", normalize_functions=False)


def _pair_rows(source: Path) -> Iterator[dict[str, Any]]:
    for path in sorted((source / "pairs").glob("*.jsonl*")):
        yield from lines(path)


def _members(contents: Path) -> dict[str, str]:
    """Database -> where its rows are."""
    found = {}
    for path in sorted(contents.glob("*.tar.gz")):
        try:
            with tarfile.open(path) as archive:
                for member in archive.getnames():
                    if member.endswith(".sql"):
                        found[Path(member).stem] = f"{path}:{member}"
        except (OSError, tarfile.TarError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
    return found


def _the(path: Path) -> Path:
    """``path`` or the same without .gz. Raises ConfigError: neither is there."""
    for one in (path, path.with_suffix("")):
        if one.exists():
            return one
    raise ConfigError(f"{path} is not there", hint="docs/training.md says how a source is laid out")
