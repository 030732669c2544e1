"""What leakproof.py names against what the server marks."""

from __future__ import annotations

from itertools import product

import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.policy.leakproof import ORDERS, UNTYPED, comparable, plain

TYPES = (
    *("smallint", "integer", "bigint", "real", "double precision", "numeric", "text", "character varying"),
    *("character", "boolean", "uuid", "date", "timestamp without time zone", "timestamp with time zone", "interval"),
    *("json", "oid", "integer[]"),
)
_TEXTS = {"character varying": "text"}
"""Taken as the other, nothing converted (pg_cast.castmethod b)."""


def test_every_comparison_named_is_leakproof_on_the_server(postgres: EmbeddedPostgres) -> None:
    marked = {
        tuple(line.split("|"))
        for line in postgres.execute(
            "SELECT oprname, format_type(oprleft, NULL), format_type(oprright, NULL) FROM pg_operator"
            " JOIN pg_proc p ON p.oid = oprcode WHERE proleakproof AND oprnamespace = 'pg_catalog'::regnamespace"
        ).splitlines()
    }
    named = 0
    for left, operator, right in product(TYPES, sorted(ORDERS), TYPES):
        if comparable(left, operator, right):
            assert (operator, _TEXTS.get(left, left), _TEXTS.get(right, right)) in marked
            named += 1
    assert named > 100


@pytest.mark.parametrize(
    ("left", "operator", "right"),
    [
        ("integer", "=", "numeric"),
        ("numeric", "<", "numeric"),
        ("date", "=", "timestamp without time zone"),
        ("text", "=", "character"),
        ("text", "<", "text"),
        ("text", "=", "integer"),
        (UNTYPED, "=", UNTYPED),
        ("integer", "", "integer"),
        ("integer", "%", "integer"),
        ("", "=", ""),
        ("", "=", UNTYPED),
    ],
)
def test_what_is_not_certain_is_not_comparable(left: str, operator: str, right: str) -> None:
    assert not comparable(left, operator, right)


def test_a_length_is_no_other_type() -> None:
    assert plain("character varying(20)") == "character varying"
    assert plain("timestamp(3) without time zone") == "timestamp without time zone"
    assert comparable(plain("character(5)"), "=", UNTYPED)
