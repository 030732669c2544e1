"""Joins that only values tell of."""

from __future__ import annotations

from dataclasses import replace

from nlsql_gateway.ask.joins import OVERLAP, graph, way
from nlsql_gateway.ask.overlaps import overlaps, to_test
from nlsql_gateway.ask.vocabulary import Held
from tests.ask.shop import catalog, table

FLIGHTS, PORTS, LINES = ("public", "flights"), ("public", "ports"), ("public", "lines")
SCHEMA = catalog(
    table("flights", "leaves text, carrier text, state text"),
    table("ports", "iata text, town text", key=False),
    table("lines", "short text, state text", key=False),
)
LEAVES = Held((FLIGHTS, "leaves"), ("BER", "LHR", "OSL"), complete=True)
STATE = Held((FLIGHTS, "state"), ("gone", "late"), complete=True)
IATA = Held((PORTS, "iata"), ("BER", "JFK", "LHR", "OSL"), unique=True, complete=True)
SHORT = Held((LINES, "short"), ("BA", "LH", "gone", "late"), unique=True, complete=True)


def test_a_column_whose_values_another_tables_key_has() -> None:
    found = overlaps([LEAVES, STATE, IATA, SHORT], SCHEMA)
    assert found == [(FLIGHTS, "leaves", PORTS, "iata")]
    ways = graph(replace(SCHEMA, overlaps=tuple(found)))
    edges = way(ways, [PORTS], FLIGHTS)
    assert edges is not None
    assert [(edge.on, edge.price) for edge in edges] == [((("iata", "leaves"),), OVERLAP)]


def test_not_where_some_are_missing_or_come_twice_or_may_be_more() -> None:
    for other in (
        replace(IATA, values=("BER", "JFK", "LHR")),
        replace(IATA, unique=False),
        replace(IATA, complete=False),
    ):
        assert overlaps([LEAVES, other], SCHEMA) == []


def test_names_and_keys_come_first() -> None:
    named = catalog(
        table("flights", "id integer, leaves text, port_id integer"),
        table("ports", "port_id integer, iata text"),
    )
    assert overlaps([LEAVES, IATA], named) == []
    assert to_test([LEAVES], [(PORTS, "iata")], named) == []
    with_names = replace(named, overlaps=((FLIGHTS, "leaves", PORTS, "iata"),))
    assert graph(with_names) == graph(named)


def test_what_is_not_known_of_a_large_key_is_to_be_tested() -> None:
    assert to_test([STATE, LEAVES], [(PORTS, "iata")], SCHEMA) == [(FLIGHTS, "leaves", PORTS, "iata")]


def test_a_name_that_many_tables_have_joins_none() -> None:
    many = catalog(*(table(f"t{number}", "name text", key=False) for number in range(5)))
    held = [
        Held((("public", f"t{number}"), "name"), ("a", "b", "c"), unique=True, complete=True) for number in range(5)
    ]
    assert overlaps(held, many) == []
    assert len(overlaps(held[:3], many)) == 3
