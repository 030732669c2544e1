"""Every function of pg_catalog with telling arguments: what goes through shows no canary and changes nothing.

The gateway's role is a superuser, so nothing else stops a function that reads files, tables or other people's values.
"""

from __future__ import annotations

from itertools import islice, product
from typing import Final

from nlsql_gateway.policy.setting_rules import PINS, SETTINGS
from tests.attacks.house import House, traces

_TEXTS: Final = [
    *("'canary'", "'public.canary'", "'SELECT secret, secret FROM canary'", "'PG_VERSION'", "'secret'", "'c'", "'{}'"),
]
_OIDS: Final = ["'canary'::regclass::oid", "(SELECT oid FROM pg_class WHERE relname = 'canary')", "1", "1259"]
_VALUES: Final[dict[str, list[str]]] = {
    **dict.fromkeys(("text", "name", "cstring", "character varying", "unknown", "character"), _TEXTS),
    "oid": _OIDS[1:],
    "regclass": ["(SELECT oid FROM pg_class WHERE relname = 'canary')::regclass", "'orders'::regclass"],
    **{kind: ["1", "0", "-1"] for kind in ("integer", "bigint", "smallint", "numeric", "real", "double precision")},
    "boolean": ["true", "false"],
    "anyelement": ["1", "'canary'::text"],
    '"any"': ["1", "'canary'::text", "(SELECT c FROM customers c LIMIT 1)"],
    "record": ["(SELECT c FROM customers c LIMIT 1)", "ROW(1)"],
    "anyarray": ["ARRAY[1]", "ARRAY['canary']"],
    "text[]": ["ARRAY['canary']", "'{}'"],
    "bytea": ["'\\x41'", "'canary'"],
    "xml": ["'<a/>'"],
    "json": ["'{\"a\": 1}'"],
    "jsonb": ["'{\"a\": 1}'"],
    "tsquery": ["'a'"],
    "refcursor": ["'c'"],
    "xid": ["'3'"],
    "timestamp with time zone": ["now()"],
    "interval": ["'0'"],
    "pg_lsn": ["'0/1'"],
}
_SKIPPED: Final = ("internal", "trigger", "event_trigger", "fdw_handler", "language_handler", "table_am_handler")


def _calls(house: House) -> list[tuple[str, str]]:
    rows = house.outside.execute(
        "SELECT proname, ARRAY(SELECT format_type(t, NULL) FROM unnest(proargtypes) t)::text[], provariadic <> 0"
        " FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' ORDER BY oid"
    ).fetchall()
    found = []
    for name, arguments, _ in rows:
        if any(argument in _SKIPPED for argument in arguments):
            continue
        choices = [_VALUES.get(argument, ["NULL", "'1'"]) for argument in arguments]
        found += [(name, f'"{name}"({", ".join(values)})') for values in islice(product(*choices), 0, 12)]
    return found


def test_every_function_of_the_server(house: House) -> None:
    calls = _calls(house)
    assert len(calls) > 5000
    ran = leaked = 0
    before = house.fingerprint()
    with house.client() as wire:
        wire.simple("SET statement_timeout = '2s'")
        for number, (name, call) in enumerate(calls):
            text = f"SELECT {call}"
            answer = wire.simple(text)
            ran += not answer.states
            found = traces(answer.raw, text)
            assert not found, (text, found)
            assert answer.ours or "25006" not in answer.states, text
            if number % 50 == 49:
                assert house.fingerprint() == before, [one for _, one in calls[number - 49 : number + 1]]
            leaked += name == "pg_read_file" and not answer.ours
    assert house.fingerprint() == before
    assert not leaked
    assert ran > 2000


def test_every_relation_of_the_server(house: House) -> None:
    """Statistics, sizes, other people's statements and the canary's rows are in none that may be read."""
    names = house.outside.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace IN"
        " ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) ORDER BY 1"
    ).fetchall()
    shown = 0
    with house.client() as wire:
        wire.simple("SET statement_timeout = '5s'")
        for (name,) in names:
            for text in (
                f"SELECT * FROM {name}",
                f"SELECT x::text FROM {name} x",
                f"SELECT row_to_json(x) FROM {name} x",
            ):
                answer = wire.simple(text)
                shown += not answer.states
                assert not traces(answer.raw, text), text
                rows = [body for kind, body in answer.replies if kind == "D" and b"canary" in body]
                assert not any(b"3191" in body for body in rows), (text, rows)
    assert shown > 200


def test_every_setting_of_the_server(house: House) -> None:
    """Only those of the policy's table can be set, and none so that something can be written."""
    names = house.outside.execute("SELECT name FROM pg_settings ORDER BY 1").fetchall()
    before = house.fingerprint()
    changed = []
    with house.client() as wire:
        for (name,) in names:
            for value in ("off", "0", "'x'", "DEFAULT", "1000000"):
                wire.simple(f"SET {name} = {value}")
                if not wire.simple(f"SELECT set_config('{name}', '{value.strip(chr(39))}', false)").states:
                    changed.append(name)
                state = wire.simple("SELECT current_setting('transaction_read_only') || current_setting('search_path')")
                assert b"onpublic" in state.raw.replace(b'"$user", ', b""), (name, value)
        assert wire.simple("SHOW default_transaction_read_only").raw.count(b"on")
    assert house.fingerprint() == before
    assert set(changed) <= set(wire_settings())


def wire_settings() -> list[str]:
    return [*SETTINGS, *PINS, "DateStyle", "IntervalStyle", "TimeZone", "search_path"]
