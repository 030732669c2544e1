"""Who waits for an answer hears what is being done; nobody else hears anything."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nlsql_gateway.policy import load, startup_settings
from nlsql_gateway.server import telling
from tests.server.conftest import Served

POLICIES = Path(__file__).parents[2] / "policies"

ANSWERED = ("00000", "SQL: SELECT 42", "model: none")


class Heard(list[tuple[str, str, str]]):
    """SQLSTATE, message and detail of each NOTICE."""

    def __call__(self, diag: psycopg.errors.Diagnostic) -> None:
        self.append((diag.sqlstate or "", diag.message_primary or "", diag.message_detail or ""))

    def stages(self) -> list[str]:
        return [json.loads(detail)["stage"] for sqlstate, _, detail in self if sqlstate == telling.SQLSTATE]


def connect(served: Served, heard: Heard, **more: Any) -> psycopg.Connection[tuple[object, ...]]:
    connection = psycopg.connect(served.conninfo(), autocommit=True, **more)
    connection.add_notice_handler(heard)
    return connection


def test_the_stages_are_told_to_whoever_asks_for_them(served: Served) -> None:
    heard = Heard()
    with connect(served, heard, options="-c nlsql.progress=on") as connection:
        assert connection.execute("ask: something").fetchall() == [(42,)]
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
        assert connection.execute("ask: something", prepare=True).fetchall() == [(42,)]
    assert heard.stages() == ["linking", "model"] * 2
    assert [one for one in heard if one[0] != telling.SQLSTATE] == [ANSWERED] * 2
    assert all(json.loads(detail)["ms"] >= 0 for sqlstate, _, detail in heard if sqlstate == telling.SQLSTATE)


@pytest.mark.parametrize("options", ["", "-c nlsql.progress=off", "-c nlsql.progress=on --nlsql.progress=no"])
def test_nobody_else_hears_of_stages(served: Served, options: str) -> None:
    heard = Heard()
    with connect(served, heard, options=options) as connection:
        assert connection.execute("ask: something").fetchall() == [(42,)]
    assert heard == [ANSWERED]


def test_who_waits_for_long_is_told_once_and_by_what(served: Served) -> None:
    heard = Heard()
    with connect(served, heard) as connection:
        assert connection.execute("ask: something that takes a while").fetchall() == [(42,)]
        assert connection.execute("ask: something").fetchall() == [(42,)]
    assert heard == [("00000", "still working on the answer: the model is writing SQL", ""), ANSWERED, ANSWERED]


def test_nothing_is_told_of_a_question_that_was_cancelled(served: Served) -> None:
    heard = Heard()
    with connect(served, heard) as connection:
        threading.Timer(0.3, connection.cancel_safe).start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("ask: something slow")
        connection.execute(f"SELECT pg_sleep({telling.PATIENCE})")
    assert heard == []


@pytest.mark.parametrize("name", ["read-only", "pass-through"])
def test_the_upstream_is_not_told_of_the_setting(name: str) -> None:
    policy = load((POLICIES / f"{name}.yaml").read_text(), name)
    found = startup_settings({"nlsql.progress": "on", "options": "-c nlsql.progress=on"}, policy)
    assert "nlsql.progress" not in found.sent
    assert not found.refused
    assert not found.ignored


@pytest.mark.parametrize(
    ("parameters", "wanted"),
    [
        ({}, False),
        ({"nlsql.progress": "on"}, True),
        ({"NLSQL.Progress": "TRUE"}, True),
        ({"nlsql.progress": "maybe"}, False),
        ({"options": "-c nlsql.progress=on", "nlsql.progress": "off"}, False),
        ({"options": "--nlsql.progress=1"}, True),
    ],
)
def test_how_it_is_asked_for(parameters: dict[str, str], wanted: bool) -> None:
    assert telling.wanted(parameters) is wanted
