"""What libpg_query's JSON tree is read as."""

from __future__ import annotations

import json

import pytest
from postgast.native import lib

from nlsql_gateway.errors import LimitError
from nlsql_gateway.sql.grammar import encoded, parse


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 'ü😀\x01\x7f\u2028', E'\\u0041\\001\\x1f', U&'\\D83D\\DE00' AS \"a\\b\"",
        "SELECT 2147483647, 2147483648, 99999999999999999999999999, 1e400, -0.0, 0x1F, B'1', x'1F'",
        "; SELECT 1; TABLE t",
    ],
)
def test_the_tree_is_read_as_json_reads_it(text: str) -> None:
    result = lib.pg_query_parse(encoded(text))
    try:
        raw = json.loads(result.parse_tree)["stmts"]
    finally:
        lib.pg_query_free_parse_result(result)
    assert [statement.node for statement in parse(encoded(text))] == [item["stmt"] for item in raw]


def test_what_is_nested_too_deeply_is_refused() -> None:
    assert len(parse(encoded("SELECT " + "NOT " * 100 + "true"))) == 1
    with pytest.raises(LimitError, match="nested too deeply"):
        parse(encoded("SELECT " + "NOT " * 2000 + "true"))
