"""Of what values may be kept for a person's questions."""

from __future__ import annotations

from nlsql_gateway.policy import legible, load, visible
from tests.policy.company import catalog, policy

CUSTOMERS, ORDERS = ("public", "customers"), ("public", "orders")
HEAD = "version: 1\nname: x\nhash_key: only-for-this-test\nusers: {x: {roles: r}, y: {roles: [r, clear]}}\nroles:\n"


def test_masked_and_hidden_columns_are_not_and_filtered_relations_in_part() -> None:
    eva = policy().principal("eva")
    found = legible(catalog(), eva, policy())
    assert "name" in found.shown[CUSTOMERS]
    assert "ssn" not in found.shown[CUSTOMERS], "masked"
    assert CUSTOMERS not in found.whole, "it has a row filter"
    assert ORDERS in found.whole
    seen = visible(catalog(), eva, policy())
    assert set(found.shown) <= set(seen.relations)
    for key, columns in found.shown.items():
        assert columns <= {column.name for column in seen.relations[key].columns}


def test_columns_for_aggregates_only_are_not() -> None:
    of = load(
        HEAD + "  clear: {read: public.orders}\n  r: {read: public.customers, "
        "aggregate_only: [{columns: public.customers.name, groups_of: 5}]}\n",
        "x",
    )
    found = legible(catalog(), of.principal("x"), of)
    assert "name" not in found.shown[CUSTOMERS]
    assert "id" in found.shown[CUSTOMERS]
    assert CUSTOMERS in found.whole


def test_a_mask_in_some_rows_is_a_mask() -> None:
    """Two roles: one gives all rows masked, the other some rows clearly."""
    of = load(
        HEAD
        + "  r: {read: public.customers, masks: [{columns: public.customers.name, with: hash}]}\n"
        + "  clear: {read: public.customers, rows: [{tables: public.customers, using: id < 5}]}\n",
        "x",
    )
    both = of.principal("y")
    found = legible(catalog(), both, of)
    assert "name" not in found.shown[CUSTOMERS]


def test_of_nobody_and_of_everybody() -> None:
    assert legible(catalog(), policy().principal("nobody"), policy()).shown == {}
    open_ = load("version: 1\nname: open\npass_through: true\n", "open.yaml")
    found = legible(catalog(), open_.principal("x"), open_)
    assert "ssn" in found.shown[CUSTOMERS]
    assert CUSTOMERS in found.whole
