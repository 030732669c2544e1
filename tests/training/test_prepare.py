from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from nlsql_gateway.ask.prompt import describe
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.training.__main__ import STEPS, steps
from nlsql_gateway.training.prepare import command
from nlsql_gateway.training.prepare_catalogs import databases_in
from nlsql_gateway.training.prepare_held_out import FINGERPRINTS, HELD_OUT, held_out
from nlsql_gateway.training.prepare_layout import DATABASES, pairs_in


def test_pairs_are_kept_or_dropped_for_a_reason(prepared: Path) -> None:
    told = json.loads((prepared / "report.json").read_text())["prepare"]
    kept = {pair.id: pair for pair in pairs_in(prepared)}
    assert set(kept) == {"own-1", "own-2", "own-4", "own-5", "own-7", "own-8", "own-9", "own-12"}
    assert told["pairs"] == len(kept)
    assert told["sources"]["own"]["dropped"] == {
        "the question again": 1,
        "its SQL is not readable": 1,
        "held out: geography": 1,
        "its schema is not there": 1,
    }
    assert told["databases refused"]["own.map"] == "held out: geography"
    assert told["databases refused"]["own.broken"].startswith("does not load: ")
    assert kept["own-12"].split == "validation"
    assert kept["own-7"].sql is None


def test_sqlite_becomes_postgres(prepared: Path) -> None:
    kept = {pair.id: pair for pair in pairs_in(prepared)}
    assert kept["own-5"].sql == "SELECT name FROM gardener WHERE village = 'Erlau'"
    assert kept["own-4"].sql is not None
    assert '"' not in kept["own-4"].sql


def test_schemas_are_read_as_the_gateway_reads_them(prepared: Path) -> None:
    catalog = databases_in(prepared / DATABASES)["own.garden"].catalog
    assert describe(catalog.relations["public", "plot"], catalog) == (
        "CREATE TABLE plot (\n"
        "  plot_id integer PRIMARY KEY,\n"
        "  gardener_id integer REFERENCES gardener(gardener_id),\n"
        "  area numeric, -- square metres\n"
        "  beds integer,\n"
        "  planted_on date\n"
        ");"
    )


@pytest.mark.parametrize(
    ("database", "tables", "known"),
    [
        ("spider.scholar", ["anything"], "scholar"),
        ("new", ["tblCars", "tblSalesPersons", "tblSales", "tblCustomers"], "car_dealership"),
        ("new", ["doctors", "patients", "treatments", "wards", "beds", "nurses", "shifts"], ""),
        ("new", ["customers", "orders"], ""),
        ("new", ["business", "review", "tip", "users"], "yelp"),
    ],
)
def test_held_out_schemas_are_known_by_name_and_by_their_tables(database: str, tables: list[str], known: str) -> None:
    assert held_out(database, tables) == known


def test_each_held_out_schema_has_a_fingerprint() -> None:
    assert set(FINGERPRINTS) == HELD_OUT


def test_a_source_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"schemas\.jsonl\.gz is not there"):
        CliRunner().invoke(command, [str(tmp_path), str(tmp_path / "out")], catch_exceptions=False)


def test_steps_are_listed_with_their_help() -> None:
    told = CliRunner().invoke(steps, ["--help"], catch_exceptions=False).output
    assert all(step in told for step in STEPS)
