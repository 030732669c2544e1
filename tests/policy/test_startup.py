"""A client's startup parameters: the same table as SET."""

from __future__ import annotations

import pytest

from nlsql_gateway.policy import load, startup_settings
from nlsql_gateway.policy.setting_rules import PINS
from tests.policy.company import policy


@pytest.mark.parametrize(
    ("parameters", "sent", "refused"),
    [
        ({"user": "eva", "database": "d"}, {}, []),
        (
            {"DateStyle": "ISO", "TimeZone": "UTC", "extra_float_digits": "2", "application_name": "x"},
            {"datestyle": "ISO", "timezone": "UTC", "extra_float_digits": "2", "application_name": "x"},
            [],
        ),
        ({"client_encoding": "UTF8"}, {}, []),
        ({"client_encoding": "'utf-8'"}, {}, []),
        ({"client_encoding": "SQL_ASCII"}, {}, []),
        ({"client_encoding": "LATIN1"}, {}, ["client_encoding"]),
        ({"search_path": "s2"}, {}, ["search_path"]),
        ({"role": "postgres", "session_authorization": "x"}, {}, ["role", "session_authorization"]),
        ({"default_transaction_read_only": "off"}, {}, ["default_transaction_read_only"]),
        (
            {"options": "-c default_transaction_read_only=off -c role=postgres"},
            {},
            ["default_transaction_read_only", "role"],
        ),
        ({"options": "--search_path=s2"}, {}, ["search_path"]),
        ({"options": "-c statement-timeout=5s"}, {"statement_timeout": "5s"}, []),
        ({"options": "-cstatement_timeout=0"}, {}, ["statement_timeout"]),
        (
            {"options": r"-c application_name=a\ b\\c --TimeZone=UTC"},
            {"application_name": r"a b\c", "timezone": "UTC"},
            [],
        ),
        ({"options": "-d 5 -c"}, {}, ["options", "options", "options"]),
        ({"options": "-c jit"}, {}, ["options"]),
        ({"_pq_.something": "1", "replication": "database"}, {}, []),
        ({"nlsql_gateway.hash_key": "x"}, {}, ["nlsql_gateway.hash_key"]),
    ],
)
def test_startup(parameters: dict[str, str], sent: dict[str, str], refused: list[str]) -> None:
    found, names = startup_settings(parameters, policy())
    assert found == {**sent, **PINS, "client_encoding": "UTF8"}
    assert names == refused


def test_pins_win() -> None:
    of = load(
        "version: 1\nname: x\nsearch_path: [public, s2]\nhash_key: sixteen characters\n"
        "settings: {pin: {statement_timeout: 60s}, allow: {work_mem: [4MB], jit: any}, deny: timezone}\n",
        "x",
    )
    found, refused = startup_settings(
        {"search_path": '"public",s2', "statement_timeout": "10s", "work_mem": "4MB", "TimeZone": "UTC"}, of
    )
    assert found == {
        **PINS,
        "search_path": "public, s2",
        "statement_timeout": "10s",
        "work_mem": "4MB",
        "nlsql_gateway.hash_key": "sixteen characters",
    }
    assert refused == ["TimeZone"]
    assert startup_settings({"statement_timeout": "2min"}, of)[1] == ["statement_timeout"]


def test_pass_through_sends_everything() -> None:
    of = load("version: 1\nname: x\npass_through: true\n", "x")
    parameters = {"user": "a", "options": "-c work_mem=1GB", "search_path": "s2", "_pq_.x": "1"}
    assert startup_settings(parameters, of) == ({"options": "-c work_mem=1GB", "search_path": "s2"}, [])
