"""Where literals are, and which of them are free: as the server's scanner and grammar say, or there is no template."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlsql_gateway.errors import GatewayError
from nlsql_gateway.sql import Batch, classify, template
from nlsql_gateway.sql.grammar import TokenCode, scan
from nlsql_gateway.sql.template import Template, learn

_CONSTANTS = (TokenCode.ICONST, TokenCode.FCONST, TokenCode.SCONST)


def learned(text: str) -> Template | None:
    batch = classify(text)
    assert isinstance(batch, Batch)
    return learn(batch)


def free(text: str) -> list[str]:
    found = learned(text)
    return [] if found is None else [found.literals[number] for number in found.free]


def test_pieces() -> None:
    found = learned("SELECT a FROM t WHERE b = 12 AND c = 'x''y' AND d > 1.50 ORDER BY 1;")
    assert found is not None
    assert found.literals == ("12", "'x''y'", "1.50", "1")
    assert found.free == (0, 1, 2)
    assert found.matches("\0".join(["7", "''", "0.1", "1"]))
    assert not found.matches("\0".join(["7", "''", "0.1", "2"])), "ORDER BY 2 is another statement"
    assert not found.matches("\0".join(["7.5", "''", "0.1", "1"]))
    assert not found.matches("\0".join(["'7'", "''", "0.1", "1"]))


@pytest.mark.parametrize(
    ("text", "literals"),
    [
        ("SELECT 1 AS a, 'b' AS c, 2.5 AS d", ["1", "'b'", "2.5"]),
        ("SELECT 1, -2, - 3, +4", ["1", "2", "3", "4"]),
        ("SELECT a + 1, 2 * (b - 3) FROM t", ["1", "2", "3"]),
        ("SELECT a FROM t WHERE b IN (1, 2) AND c BETWEEN 3 AND 4 AND d LIKE 'e%'", ["1", "2", "3", "4", "'e%'"]),
        ("SELECT CASE a WHEN 1 THEN 2 ELSE 3 END, coalesce(b, 4), greatest(c, 5) FROM t", ["1", "2", "3", "4", "5"]),
        ("SELECT a FROM t LIMIT 5 OFFSET 6", ["5", "6"]),
        ("SELECT a FROM t WHERE b = ANY (ARRAY[1, 2])", ["1", "2"]),
        ("SELECT a FROM t WHERE b > date '2026-01-01' AND c = '5'::int4", ["'2026-01-01'", "'5'"]),
        ("SELECT a FROM t WHERE b = 99999999999 AND c = 1", ["99999999999", "1"]),
        ("SELECT a FROM t WHERE EXISTS (SELECT FROM u WHERE u.b = 5)", ["5"]),
        ("SELECT a, count(*) FROM t GROUP BY 1 HAVING count(*) > 2 ORDER BY 2", ["2"]),
        ("SELECT é FROM t WHERE \u00a0b = 'ü' AND c = 7", ["'ü'", "7"]),
        ("SELECT a /* not '5' */ FROM t -- nor 6\n WHERE b = 7", []),  # the regular expression sees more literals
        ("SELECT a /* no number */ FROM t -- nor here\n WHERE b = 7", ["7"]),
    ],
)
def test_free_are_operands(text: str, literals: list[str]) -> None:
    assert free(text) == literals


@pytest.mark.parametrize(
    "text",
    [
        "SELECT a FROM t ORDER BY 1",
        "SELECT a FROM t GROUP BY 1",
        "SELECT DISTINCT ON (1) a FROM t",
        "SELECT a FROM t ORDER BY -1",
        "SELECT sum(a) OVER (ORDER BY b ROWS 5 PRECEDING) FROM t",
        "SELECT a::varchar(5), b::numeric(10, 2) FROM t",
        "SELECT interval '5' day, interval(3) '1 day'",
        "SELECT set_config('work_mem', '4MB', true), current_setting('work_mem')",
        "SELECT pg_get_viewdef('v'), to_regclass('t')",
        "SELECT 't'::regclass, '{t}'::regclass[], 't'::text::regclass",
        "SELECT a[1], a[1:2] FROM t",
        "SELECT a FROM t TABLESAMPLE system (5)",
        "SELECT b FROM (SELECT 'b' FROM t) AS x",
        "SELECT b FROM (SELECT ('b' = a) FROM t) AS x",
        "WITH x AS (SELECT 'b') SELECT b FROM x",
        "SELECT a FROM t WHERE b = -0",
        "SELECT a FROM t WHERE b = 007",
        "SELECT a FROM t WHERE b = 2147483648",
        "SELECT a FROM t WHERE b = 9999999999999999999999",
        "SELECT a FROM t WHERE b @> '{1}'",
        "SELECT a -> 'b', a ->> 5 FROM t",
        "SELECT 1 AS a; SELECT 2 AS a",
        "SET work_mem = '4MB'",
        "EXPLAIN SELECT a FROM t WHERE b = 5",
        "PREPARE p AS SELECT a FROM t WHERE b = 5",
        "EXECUTE p(5)",
        "DECLARE c CURSOR FOR SELECT a FROM t WHERE b = 5",
        "FETCH 5 FROM c",
        "COPY (SELECT a FROM t WHERE b = 5) TO STDOUT",
        "UPDATE t SET a = 5 WHERE b = 6",
        "VALUES (1)",
        "-- 5\nSELECT a FROM t WHERE b = 5",
        "/* x */ SELECT a FROM t WHERE b = 5",
        "SELECT a FROM t WHERE b = 973100000",
        "SELECT a FROM t WHERE b = 5 AND c = '" + "x" * template.LONGEST + "'",
        "SELECT a FROM t WHERE b IN (" + "1, " * template.MOST + "1)",
    ],
)
def test_not_free(text: str) -> None:
    assert free(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "SELECT e'x', E'it\\'s', b'1', x'1F', n'y', U&'d\\0061t' AS a",
        "SELECT $$x$$, $a$ '5' $a$, $1",
        "SELECT 1.e5, 5., .5, 1e5, 1.5e3, 0x1F, 0o17, 0b1, 1_000",
        "SELECT a1, _1, é1, a$1, \u00a01 FROM t",
        "SELECT 'a'\n'b'",
        "SELECT 'a\\b'",
        'SELECT "it\'s 5", "a""5" FROM t',
        "SELECT '\u00a0' AS \u0661",  # an Arabic digit is a letter to the scanner
        "SELECT /* /* 5 */ '6' */ a FROM t",
        "SELECT a FROM t WHERE b @-1",
    ],
)
def test_what_is_no_plain_literal_is_kept_whole(text: str) -> None:
    assert "".join(template.cut(text)) == text
    found = learned(text)
    if found is not None:
        assert set(found.literals) == plain(text)


@pytest.mark.parametrize("literal", ["'\ud800'", "'\0'", "'\\'"])
def test_what_is_refused_or_hard_is_never_cut_out(literal: str) -> None:
    assert template.cut(f"SELECT {literal}") == [f"SELECT {literal}"]


def plain(text: str) -> set[str]:
    source = text.encode()
    words = {source[token.start : token.end].decode() for token in scan(text) if token.code in _CONSTANTS}
    return {word for word in words if word[0] == "'" or word.replace(".", "", 1).isdecimal()}


_PARTS = st.sampled_from(
    [
        *("'", "''", '"', "\\", "$", "$$", "$a$", "--", "/*", "*/", "\n", "\r", " ", "\u00a0", "\u3000", "é", "\u0661"),
        *(
            "E",
            "e",
            "U&",
            "&",
            "x",
            "_",
            "a",
            "1",
            "5",
            "0",
            "1.5",
            ".",
            "..",
            "e5",
            "0x1",
            "12345678901",
            "(",
            ")",
            ",",
        ),
        *("::", "-", "+", "@", "=", "<", " = ", " AND ", "SELECT ", " FROM t ", " AS ", "'a'", " 'b' ", ";", "::date"),
    ]
)


@settings(max_examples=3000, deadline=None)
@given(
    st.lists(_PARTS, max_size=20).map("".join),
    st.sampled_from(["SELECT 1 + {}", "SELECT {}", "SELECT a = 5, {}", "{}"]),
)
def test_any_text(part: str, around: str) -> None:
    """``cut`` loses nothing; and a template's literals are the scanner's constants, with other values too."""
    text = around.format(part)
    assert "".join(template.cut(text)) == text
    try:
        batch = classify(text)
    except GatewayError:
        return
    if not isinstance(batch, Batch):
        return
    found = learn(batch)
    if found is not None:
        assert template.cut(found.sample)[::2] == list(found.pieces[::2])
        assert [token.code for token in scan(found.sample)] == [token.code for token in scan(text)]
        assert set(found.literals) <= plain(text)
        shown = template.cut(found.sample)[1::2]
        assert (
            "".join(shown[place] if isinstance(place, int) else place for place in found.places(found.sample))
            == found.sample
        )
