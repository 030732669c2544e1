"""Attacks that are more than one text: pipelines, names, the fast path, sizes, bytes that are no text."""

from __future__ import annotations

import os
import struct

import pytest

from nlsql_gateway.wire.messages import message
from tests.attacks.house import DATABASE, PASSWORD, House, Wire, traces
from tests.server.raw import FLUSH, SYNC, Raw, bind, close, describe, execute, parse, query

SECRET = "SELECT secret FROM canary"
GOOD = "SELECT id FROM orders"
RUN = [bind("", ""), execute("")]

PIPELINES = [
    [parse("", GOOD), bind("", ""), parse("", SECRET), execute(""), SYNC],
    [parse("", GOOD), *RUN, parse("", SECRET), *RUN, SYNC],
    [parse("s", GOOD), close("S", "s"), parse("s", SECRET), bind("", "s"), execute(""), SYNC],
    [parse("s", GOOD), SYNC, close("S", "s"), parse("s", SECRET), SYNC, bind("", "s"), execute(""), SYNC],
    [parse("s", SECRET), bind("", "s"), execute(""), SYNC, bind("", "s"), execute(""), SYNC],
    [parse("s", GOOD), parse("s", SECRET), bind("", "s"), execute(""), SYNC],
    [parse("s", GOOD), SYNC, query("DEALLOCATE s"), parse("s", SECRET), bind("", "s"), execute(""), SYNC],
    [query(f"PREPARE s AS {GOOD}"), parse("s", SECRET), bind("", "s"), execute(""), SYNC],
    [parse("s", GOOD), SYNC, query(f"DEALLOCATE ALL; PREPARE s AS {SECRET}"), bind("", "s"), execute(""), SYNC],
    [parse("", GOOD), bind("p", ""), SYNC, parse("", SECRET), bind("p", ""), execute("p"), SYNC],
    [
        query("BEGIN"),
        parse("", GOOD),
        bind("p", ""),
        parse("", SECRET),
        bind("q", ""),
        execute("q"),
        execute("p"),
        SYNC,
    ],
    [query(f"BEGIN; DECLARE c CURSOR FOR {SECRET}"), query("FETCH ALL c"), bind("", "c"), execute("c"), SYNC],
    [parse("", GOOD), bind("", ""), execute("", 1), FLUSH, parse("", SECRET), execute(""), SYNC],
    [parse("", ""), *RUN, parse("", SECRET), describe("S", ""), SYNC],
    [parse("", GOOD), bind("", ""), query(SECRET), execute(""), SYNC],
    [parse("", SECRET), FLUSH, query(SECRET), SYNC],
    [parse("s\0x", GOOD), bind("", "s"), execute(""), SYNC],
]


@pytest.mark.parametrize("script", PIPELINES, ids=range(len(PIPELINES)))
def test_a_decision_is_bound_to_its_text(house: House, script: list[bytes]) -> None:
    """Whatever a name meant before, what runs was admitted."""
    before = house.fingerprint()
    with house.client() as wire:
        wire.send(*script, query("ROLLBACK"), query("SELECT 'the end'"))
        wire.seen.clear()
        while b"the end" not in bytes(wire.seen):
            wire.until("Z")
        assert not traces(bytes(wire.seen), "")
    assert house.fingerprint() == before


@pytest.mark.parametrize("name", ["pg_read_file", "lo_creat", "pg_reload_conf", "query_to_xml", "touch", "now"])
def test_the_fast_path_is_closed(house: House, name: str) -> None:
    """FunctionCall calls by OID, past every parser."""
    row = house.outside.execute("SELECT min(oid::bigint) FROM pg_proc WHERE proname = %s", [name]).fetchone()
    assert row is not None
    before = house.fingerprint()
    with house.client() as wire:
        value = struct.pack("!i", 10) + b"PG_VERSION"
        answer = wire.raw(message(b"F", struct.pack("!iHHH", row[0], 0, 1, 1)[:8] + value + b"\0\0"))
        assert answer.states
        assert answer.ours
        assert wire.simple("SELECT 1").rows == 1
    assert house.fingerprint() == before


@pytest.mark.parametrize(
    "parameters",
    [
        {"options": "-c default_transaction_read_only=off"},
        {"options": "-c role=postgres"},
        {"options": "-csearch_path=s2"},
        {"options": "--search_path=s2"},
        {"options": "-c row_security=off -c session_replication_role=replica"},
        {"search_path": "s2"},
        {"Default_Transaction_Read_Only": "off"},
        {"standard_conforming_strings": "off"},
        {"client_encoding": "SJIS"},
        {"session_authorization": "postgres"},
        {"options": "-c standard_conforming_strings=off"},
        {"options": "-c nlsql_gateway.hash_key=x"},
    ],
    ids=str,
)
def test_startup_cannot_change_what_counts(house: House, parameters: dict[str, str]) -> None:
    """Refused at login, or without effect."""
    with Raw("127.0.0.1", house.port) as raw:
        try:
            raw.login("eva", PASSWORD, DATABASE, None, **parameters)
        except AssertionError:
            return  # an ErrorResponse
        raw.send(query("SELECT current_setting('default_transaction_read_only') || current_setting('search_path')"))
        assert b"onpublic" in b"".join(body for _, body in raw.until("Z")).replace(b'"$user", ', b"")


WRONG_BYTES = [
    b"SELECT '\xc0\xa7; DELETE FROM twin; --'",
    b"SELECT '\xe0\x80\xa7'; DELETE FROM twin",
    b"SELECT '\x81'; DELETE FROM twin; --'",
    b"SELECT '\xbf\x27; DELETE FROM twin; --'",
    b"SELECT '\xed\xa0\x80'",
    b"SELECT '\xf8\x88\x80\x80\x80'",
    b"SELECT * FROM canary\xff",
    b"SELECT \xff\xfe* FROM canary",
    b"\xef\xbb\xbfSELECT * FROM canary",
    b"\xff\xfeS\0E\0L\0E\0C\0T\0",
    b"SELECT 1\0; DELETE FROM twin",
    b"SELECT 1;\0DELETE FROM twin\0",
    b"\0DELETE FROM twin",
]


@pytest.mark.parametrize("text", WRONG_BYTES, ids=str)
def test_what_is_no_text(house: House, text: bytes) -> None:
    """Invalid UTF-8, overlong quotes (CVE-2006-2313, CVE-2025-1094), byte order marks, NUL behind which more stands."""
    before = house.fingerprint()
    for messages in ([message(b"Q", text + b"\0")], [message(b"P", b"\0" + text + b"\0\0\0"), *RUN, SYNC]):
        with house.client() as wire:
            try:
                answer = wire.raw(*messages)
            except ConnectionError:
                continue
            assert answer.states
            assert not traces(answer.raw, "")
    assert house.fingerprint() == before


LARGE = [
    "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "SELECT " + "1+" * 20000 + "1",
    "SELECT " + "-" * 30000 + "1",
    "SELECT " + "NOT " * 5000 + "true",
    "SELECT " + "CASE WHEN true THEN " * 2000 + "1" + " END" * 2000,
    "SELECT 1" + " UNION ALL SELECT 1" * 5000,
    "SELECT * FROM " + "(SELECT * FROM " * 500 + "canary" + ") x" * 500,
    "WITH a AS (SELECT 1)" + ", a AS (SELECT 1)" * 500 + " SELECT * FROM canary",
    "SELECT " + "ARRAY[" * 2000 + "1" + "]" * 2000,
    "SELECT '" + "x" * 2_000_000 + "' FROM canary",
    "SELECT 1;" * 10_000 + "DELETE FROM twin",
    "/*" * 30000 + "*/" * 30000 + " DELETE FROM twin",
    "SELECT $" + "a" * 100_000 + "$x$" + "a" * 100_000 + "$ FROM canary",
    "SELECT id FROM orders WHERE id IN (" + "1," * 30000 + "(SELECT amount FROM canary))",
    "SELECT id FROM orders WHERE id IN (" + "1," * 300 + "touch()," + "1," * 300 + "1)",
    "SELECT x" + ".x" * 5000 + " FROM canary",
    "SELECT " + "x::text" + "::text" * 10000 + " FROM canary",
    "SELECT 1" + " + 1" * 300 + "; DELETE FROM twin",
]


@pytest.mark.parametrize("text", LARGE, ids=lambda text: text[:30])
def test_large_and_deep(house: House, text: str) -> None:
    """Refused, or PostgreSQL's own error; the gateway lives on, and so do its other clients."""
    before = house.fingerprint()
    with house.client() as other, house.client() as wire:
        wire.socket.settimeout(60)
        answer = wire.simple(text)
        assert answer.states
        assert not traces(answer.raw, "")
        assert other.simple("SELECT 1").rows == 1
    assert house.fingerprint() == before


def test_a_length_that_wraps_around(house: House) -> None:
    """CVE-2024-27304 (pgx), CVE-2024-32655 (Npgsql): a text of 4 GiB made a length of 32 bits begin a new message.

    Seen from here: a message says less than it has, or more than may be, and what follows is read as a message.
    """
    before = house.fingerprint()
    smuggled = query("DELETE FROM twin")
    for head in (
        b"Q\0\0\0\4",
        b"Q\0\0\0\5\0",
        b"Q\xff\xff\xff\xff",
        b"Q\x80\0\0\4",
        b"Q\0\0\0\0",
        b"P\x7f\xff\xff\xff",
    ):
        with house.client() as wire:
            wire.send(head, smuggled, query("SELECT * FROM canary"))
            try:
                wire.seen.clear()
                wire.socket.settimeout(1)
                wire.until("Z")
                wire.until("Z")
            except (ConnectionError, TimeoutError):
                pass
            assert not traces(bytes(wire.seen), "")
    assert house.fingerprint() == before


def test_a_text_in_bind_is_never_a_text(house: House) -> None:
    """Parameters, portal names and statement names are data."""
    before = house.fingerprint()
    with house.client() as wire:
        for value in (
            "'; DELETE FROM twin; --",
            "x\\'; DELETE FROM twin",
            "$$;DELETE FROM twin;--",
            "-1",
            os.urandom(8).hex(),
        ):
            answer = wire.raw(parse("", "SELECT $1::text"), bind("", "", value), execute(""), SYNC)
            assert answer.rows == 1
            named = wire.raw(parse(value, "SELECT 1"), bind(value, value), execute(value), close("S", value), SYNC)
            assert named.rows == 1
    assert house.fingerprint() == before


def _prepared(wire: Wire, text: str) -> list[str]:
    return wire.raw(parse("kept", text), SYNC).states


def test_a_batch_is_all_or_nothing(house: House) -> None:
    """The first SELECT must not run when a later statement is refused: seen in what the server logs as a setting."""
    with house.client() as wire:
        assert _prepared(wire, "SELECT 1") == []
        refused = wire.simple("SET application_name = 'changed'; DELETE FROM twin")
        assert refused.ours
        assert refused.rows == 0
        shown = wire.simple("SHOW application_name")
        assert b"changed" not in shown.raw
