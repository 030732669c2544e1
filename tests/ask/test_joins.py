"""The join graph: declared keys first, names after."""

from __future__ import annotations

from nlsql_gateway.ask.joins import INFERRED, TO_CHILD, TO_PARENT, family, graph, way
from tests.ask.shop import SHOP, catalog, table


def steps(schema_way: tuple[object, ...] | None) -> list[str]:
    assert schema_way is not None
    return [str(getattr(edge, "right")[1]) for edge in schema_way]  # noqa: B009


def test_declared_keys_are_edges_both_ways() -> None:
    ways = graph(SHOP)
    (edge,) = (edge for edge in ways["public", "orders"] if edge.right == ("public", "customers"))
    assert (edge.on, edge.price) == ((("customer_id", "id"),), TO_PARENT)
    (back,) = (edge for edge in ways["public", "customers"] if edge.right == ("public", "orders"))
    assert (back.on, back.price) == ((("id", "customer_id"),), TO_CHILD)


def test_the_way_goes_over_the_tables_between() -> None:
    ways = graph(SHOP)
    assert steps(way(ways, [("public", "customers")], ("public", "products"))) == ["orders", "order_items", "products"]
    assert steps(way(ways, [("public", "customers"), ("public", "order_items")], ("public", "products"))) == [
        "products"
    ]
    assert way(ways, [("public", "customers")], ("public", "categories")) is None  # four joins are too many
    assert way(ways, [("public", "orders")], ("public", "orders")) == ()


def test_keys_are_inferred_where_none_is_declared() -> None:
    schema = catalog(
        table("author", "aid bigint, name text", key=False),
        table("writes", "aid bigint, pid bigint", key=False),
        table("restaurant", "id integer, name text", key=False),
        table("location", "restaurant_id integer, street text, status_id text", key=False),
        table("status", "id integer, name text", key=False),
    )
    ways = graph(schema)
    assert [(edge.on, edge.price) for edge in ways["public", "author"]] == [((("aid", "aid"),), INFERRED)]
    assert [edge.on for edge in ways["public", "location"]] == [(("restaurant_id", "id"),)]  # status_id is a text


def test_keys_may_only_end_alike() -> None:
    schema = catalog(
        table("customer", "sbcustid text, name text", key=False),
        table("transaction", "sbtxid text, sbtxcustid text", key=False),
        table("renter", "renter_id integer", key=False),
        table("center", "center_id integer", key=False),
    )
    ways = graph(schema)
    assert [edge.on for edge in ways["public", "customer"]] == [(("sbcustid", "sbtxcustid"),)]
    assert ways["public", "renter"] == ways["public", "center"] == ()


def test_a_key_to_a_table_that_is_not_visible_is_no_edge() -> None:
    schema = catalog(table("orders", "id integer, customer_id integer", "customer_id customers(id)"))
    assert graph(schema) == {("public", "orders"): ()}


def test_no_key_is_inferred_between_tables_with_a_declared_one() -> None:
    ways = graph(SHOP)
    assert [edge.right[1] for edge in ways["public", "order_items"]] == ["orders", "products"]


def test_families() -> None:
    assert family("character varying(20)") == family("text") == "text"
    assert family("numeric(9,2)") == family("bigint")
    assert family("timestamp with time zone") == family("timestamp(0) without time zone") == family("date")
    assert family("tsvector") == "tsvector"


def test_in_a_crowd_a_key_leads_only_to_the_table_it_is_the_key_of() -> None:
    crowd = [table(f"t{number:02}", "id integer, tenant_id integer") for number in range(40)]
    ways = graph(catalog(table("tenant", "tenant_id integer, name text"), *crowd))
    assert [edge.right[1] for edge in ways["public", "t07"]] == ["tenant"]
    assert len(ways["public", "tenant"]) == 40
