"""A source of two databases and some pairs, laid out as docs/training.md says."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

GARDEN = """
CREATE TABLE gardener (gardener_id integer PRIMARY KEY, name text, village text);
CREATE TABLE plot (plot_id integer PRIMARY KEY, gardener_id integer REFERENCES gardener (gardener_id),
  area numeric, beds integer, planted_on date);
COMMENT ON COLUMN plot.area IS 'square metres';
"""
GARDEN_ROWS = """
CREATE TABLE gardener (gardener_id integer PRIMARY KEY, name text, village text);
CREATE TABLE plot (plot_id integer PRIMARY KEY, gardener_id integer, area numeric, beds integer, planted_on date);
COPY gardener FROM stdin;
1\tIda Moos\tLinden
2\tPaul Halm\tLinden
3\tRuth Kern\tErlau
\\.
COPY plot FROM stdin;
1\t1\t40\t4\t2024-03-01
2\t1\t25\t3\t2024-04-10
3\t2\t60\t7\t2023-05-05
4\t3\t10\t\\N\t2024-05-20
\\.
"""
CHOIR = """
CREATE TABLE singer (singer_id integer PRIMARY KEY, full_name text, voice text, joined_year integer);
CREATE TABLE rehearsal (rehearsal_id integer PRIMARY KEY, hall text, held_on date);
"""
MAP = "CREATE TABLE rivers (name text); CREATE TABLE lakes (name text); CREATE TABLE mountain (name text);"

Row = dict[str, Any]


def pair(number: int, database: str, question: str, sql: str | None, **more: Any) -> Row:
    return {
        "id": f"own-{number}",
        "db_id": database,
        "question": question,
        "evidence": "",
        "sql": sql,
        "hardness": "easy",
        "source": "own",
        "licence": "Apache-2.0",
        "exec": None,
        **more,
    }


PAIRS = [
    pair(1, "own.garden", "How many plots does each gardener have?",
         "SELECT COUNT(*) FROM plot AS T1 JOIN gardener AS T2 ON T1.gardener_id = T2.gardener_id GROUP BY T2.name"),
    pair(2, "own.garden", "Which gardeners live in Linden?", "SELECT name FROM gardener WHERE village = 'Linden'"),
    pair(3, "own.garden", "Which gardeners live in Linden?", "SELECT name FROM gardener WHERE village = 'Linden'"),
    pair(4, "own.garden", "How many beds are there for each square metre of the plots?",
         'select sum("beds") / sum("area") from "plot"', dialect="sqlite"),
    pair(5, "own.garden", "Which gardeners live in Erlau?", 'SELECT name FROM gardener WHERE village = "Erlau"',
         dialect="sqlite"),
    pair(6, "own.garden", "Broken", "SELECT FROM WHERE"),
    pair(7, "own.garden", "Which trains are late?", None),
    pair(8, "own.garden", "Who lives in Atlantis?", "SELECT name FROM gardener WHERE village = 'Atlantis'"),
    pair(9, "own.garden", "Who is tall?", "SELECT tall FROM gardener"),
    pair(10, "own.map", "Which rivers are there?", "SELECT name FROM rivers"),
    pair(11, "own.nowhere", "What is there?", "SELECT 1"),
    pair(12, "own.choir", "How many singers are there for each voice?", "SELECT COUNT(*) FROM singer GROUP BY voice"),
]  # fmt: skip


def write_source(folder: Path, pairs: list[Row] | None = None) -> Path:
    for name in ("schemas", "pairs", "contents"):
        (folder / name).mkdir(parents=True)
    schemas = [
        {"db_id": "own.garden", "source": "own", "ddl": GARDEN, "split": "train", "contents": True},
        {"db_id": "own.choir", "source": "own", "ddl": CHOIR, "split": "validation", "contents": False},
        {"db_id": "own.map", "source": "own", "ddl": MAP, "split": "train", "contents": False},
        {"db_id": "own.broken", "source": "own", "ddl": "CREATE TABLE", "split": "train", "contents": False},
    ]
    _write(folder / "schemas" / "schemas.jsonl.gz", schemas)
    _write(folder / "pairs" / "own.jsonl.gz", PAIRS if pairs is None else pairs)
    with tarfile.open(folder / "contents" / "own.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("own.garden.sql")
        script = GARDEN_ROWS.encode()
        member.size = len(script)
        archive.addfile(member, io.BytesIO(script))
    return folder


def _write(path: Path, rows: list[Row]) -> None:
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
