"""What a gold stands for, and which questions ask for an order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlsql_gateway.errors import ConfigError
from nlsql_gateway.evaluation.golds import asks_for_order, expand


@pytest.mark.parametrize(
    ("gold", "queries"),
    [
        ("SELECT 1", [["SELECT 1"]]),
        ("SELECT 1;", [["SELECT 1"]]),
        ("SELECT 1; SELECT 2 ;", [["SELECT 1"], ["SELECT 2"]]),
        ("SELECT ';{a}' -- ; {b}\n;SELECT \";\"", [["SELECT ';{a}' -- ; {b}"], ['SELECT ";"']]),
        ("SELECT $$;$$, $x$ ; $$ {a} $x$ /* ;{b} */", [["SELECT $$;$$, $x$ ; $$ {a} $x$ /* ;{b} */"]]),
        ("SELECT {a, b} FROM t", [["SELECT a FROM t", "SELECT b FROM t", "SELECT a, b FROM t"]]),
        ("SELECT {a} FROM t", [["SELECT a FROM t"]]),
        (
            "SELECT {t.a, t.b}, count(*) FROM t GROUP BY {}, c ORDER BY 2",
            [
                [
                    "SELECT t.a, count(*) FROM t GROUP BY t.a, c ORDER BY 2",
                    "SELECT t.b, count(*) FROM t GROUP BY t.b, c ORDER BY 2",
                    "SELECT t.a, t.b, count(*) FROM t GROUP BY t.a, t.b, c ORDER BY 2",
                ]
            ],
        ),
        (
            "SELECT {concat(a, ',', b) AS name, a} FROM t GROUP BY {}",
            [
                [
                    "SELECT concat(a, ',', b) AS name FROM t GROUP BY concat(a, ',', b)",
                    "SELECT a FROM t GROUP BY a",
                    "SELECT concat(a, ',', b) AS name, a FROM t GROUP BY concat(a, ',', b), a",
                ]
            ],
        ),
        ("SELECT {a, b}, {c} FROM t", [["SELECT a, c FROM t", "SELECT b, c FROM t", "SELECT a, b, c FROM t"]]),
    ],
)
def test_expand(gold: str, queries: list[list[str]]) -> None:
    assert [list(variants) for variants in expand(gold)] == queries


@pytest.mark.parametrize(
    ("gold", "message"),
    [
        ("", "empty"),
        (" ; ", "empty"),
        ("SELECT a FROM t GROUP BY {}", "in front of"),
        ("SELECT {a, b, c, d, e, f, g} FROM t", "more than 6"),
        ("SELECT {a, b, c, d, e}, {f, g, h, i} FROM t", "465 queries"),
    ],
)
def test_golds_that_are_none(gold: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        expand(gold)


@pytest.mark.parametrize(
    "question",
    [
        "List the albums ordered by year",
        "Order the results by name",
        "Show the cities, order by population",
        "Sort the shops by revenue",
        "names in alphabetical order",
        "All members, in descending order of age",
        "Shops by revenue from highest to lowest",
        "the stations from the oldest to the newest",
        "Sales per month, starting with the earliest month",
        "Show me the visits, most recent first",
        "Rank the teams by points",
        "name and height, tallest at the top, descending",
        "Total per user, the longest duration first",
        "List the shops starting from the best rating",
        "Names in reverse alphabetical order",
        "All rivers, ranked by length",
    ],
)
def test_an_order_is_asked_for(question: str) -> None:
    assert asks_for_order(question)


@pytest.mark.parametrize(
    "question",
    [
        "What are the top 5 shops by revenue?",
        "How many orders were placed in March?",
        "What is the average order value?",
        "In order to plan, how many seats are free?",
        "Which customer ordinarily pays late?",
        "What rank has the newest member?",
        "How many flights go from Rome to Oslo?",
        "Who came first in the race?",
        "Which products were ordered most?",
        "Who ordered from Spain in 2023?",
        "How many items are in an average order?",
        "What sort of shops are there?",
        "Which lakes have a name starting with the letter L?",
        "What is the earliest first name in the list of members?",
    ],
)
def test_no_order_is_asked_for(question: str) -> None:
    assert not asks_for_order(question)


@given(st.text(alphabet="{}(),;'\"$-/* a\nASGROUPBY", max_size=60))
def test_any_text_is_queries_or_a_clear_error(text: str) -> None:
    try:
        golds = expand(text)
    except ConfigError:
        return
    assert golds
    assert all(variants and all(isinstance(sql, str) for sql in variants) for variants in golds)
