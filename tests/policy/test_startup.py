"""A client's startup parameters: the same table as SET, read as PostgreSQL reads them."""

from __future__ import annotations

import pytest

from nlsql_gateway.policy import load, startup_settings
from nlsql_gateway.policy.setting_rules import PINS
from tests.policy.company import policy


@pytest.mark.parametrize(
    ("parameters", "sent", "refused", "ignored"),
    [
        ({"user": "eva", "database": "d"}, {}, [], []),
        (
            {"DateStyle": "ISO", "TimeZone": "UTC", "extra_float_digits": "2", "application_name": "x"},
            {"datestyle": "ISO", "timezone": "UTC", "extra_float_digits": "2", "application_name": "x"},
            [],
            [],
        ),
        ({"client_encoding": "UTF8"}, {}, [], []),
        ({"client_encoding": "'utf-8'"}, {}, [], []),
        ({"client_encoding": "SQL_ASCII"}, {}, [], []),
        ({"client_encoding": "LATIN1"}, {}, ["client_encoding"], []),
        ({"search_path": "s2"}, {}, ["search_path"], []),
        ({"Search_Path": "s2", "ROLE": "postgres"}, {}, ["Search_Path", "ROLE"], []),
        ({"role": "postgres", "session_authorization": "x"}, {}, ["role", "session_authorization"], []),
        ({"default_transaction_read_only": "off"}, {}, ["default_transaction_read_only"], []),
        ({"transaction_read_only": "off"}, {}, ["transaction_read_only"], []),
        ({"row_security": "off"}, {}, ["row_security"], []),
        ({"session_replication_role": "replica"}, {}, ["session_replication_role"], []),
        ({"standard_conforming_strings": "off"}, {}, ["standard_conforming_strings"], []),
        (
            {"options": "-c default_transaction_read_only=off -c role=postgres"},
            {},
            ["default_transaction_read_only", "role"],
            [],
        ),
        ({"options": "--search_path=s2"}, {}, ["search_path"], []),
        ({"options": "--search-path=s2"}, {}, ["search_path"], []),
        ({"options": r"-c\ search_path=s2"}, {}, [], [" search_path"]),
        ({"options": "-c statement-timeout=5s"}, {"statement_timeout": "5s"}, [], []),
        ({"options": "-cstatement_timeout=0"}, {}, ["statement_timeout"], []),
        (
            {"options": r"-c application_name=a\ b\\c --TimeZone=UTC"},
            {"application_name": r"a b\c", "timezone": "UTC"},
            [],
            [],
        ),
        ({"options": "-capplication_name=a -c application_name=b"}, {"application_name": "b"}, [], []),
        ({"application_name": "a", "options": "-c application_name=b"}, {"application_name": "a"}, [], []),
        ({"options": "-e"}, {"datestyle": "euro"}, [], []),
        ({"options": "-ec jit=off"}, {"datestyle": "euro", "jit": "off"}, [], []),
        ({"options": "-S 64MB -d 5 -Pt parser"}, {}, [], ["-d", "-P", "-t", "work_mem"]),
        ({"options": "-c"}, {}, ["options"], []),
        ({"options": "-c jit"}, {}, ["options"], []),
        ({"options": "-Z"}, {}, ["options"], []),
        ({"options": "role=postgres"}, {}, ["options"], []),
        ({"options": "-- -c jit=off"}, {}, ["options", "options"], []),
        ({"options": "-c a\u00a0-c\u00a0role=postgres"}, {}, [], ["a\u00a0_c\u00a0role"]),
        ({"work_mem": "1GB", "options": "-c temp_file_limit=-1"}, {}, [], ["temp_file_limit", "work_mem"]),
        ({"ApplicationIntent": "ReadOnly", "myapp.user": "eva"}, {}, [], ["ApplicationIntent", "myapp.user"]),
        ({"_pq_.something": "1", "replication": "database"}, {}, [], []),
        ({"nlsql_gateway.hash_key": "x"}, {}, ["nlsql_gateway.hash_key"], []),
    ],
    ids=repr,
)
def test_startup(parameters: dict[str, str], sent: dict[str, str], refused: list[str], ignored: list[str]) -> None:
    """Checklist: every startup param and every options entry through the same GUC allowlist as SET.

    role, session_authorization, the read-only settings, row_security, session_replication_role and search_path are
    denied (CVE-2025-12819); unknown ones are accepted and ignored.
    """
    found = startup_settings(parameters, policy())
    assert found.sent == {**sent, **PINS, "client_encoding": "UTF8"}
    assert found.refused == refused
    assert found.ignored == ignored


def test_pins_win() -> None:
    of = load(
        "version: 1\nname: x\nsearch_path: [public, s2]\nhash_key: sixteen characters\n"
        "settings: {pin: {statement_timeout: 60s}, allow: {work_mem: [4MB], jit: any}, deny: timezone}\n",
        "x",
    )
    found = startup_settings(
        {"search_path": '"public",s2', "statement_timeout": "10s", "work_mem": "4MB", "TimeZone": "UTC"}, of
    )
    assert found.sent == {
        **PINS,
        "search_path": "public, s2",
        "statement_timeout": "10s",
        "work_mem": "4MB",
        "nlsql_gateway.hash_key": "sixteen characters",
    }
    assert found.ignored == ["TimeZone"]
    assert startup_settings({"statement_timeout": "2min"}, of).refused == ["statement_timeout"]


def test_pass_through_sends_everything() -> None:
    of = load("version: 1\nname: x\npass_through: true\n", "x")
    parameters = {"user": "a", "options": "-c work_mem=1GB", "search_path": "s2", "_pq_.x": "1"}
    found = startup_settings(parameters, of)
    assert found.sent == {"options": "-c work_mem=1GB", "search_path": "s2"}
    assert found.refused == found.ignored == []
