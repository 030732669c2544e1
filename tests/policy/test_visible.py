"""The catalog as a person sees it: what a model's prompt may contain."""

from __future__ import annotations

from dataclasses import replace

from nlsql_gateway.policy import load, visible
from tests.policy.company import catalog, policy


def test_only_what_may_be_read() -> None:
    found = visible(catalog(), policy().principal("eva"), policy())
    assert {".".join(key) for key in found.relations} == {
        "public.Customers",
        "public.customers",
        "public.customers_child",
        "public.events",
        "public.events_eu",
        "public.events_us",
        "public.orders",
        "public.staff",
        "public.v_open",
    }
    assert [column.name for column in found.relations["public", "staff"].columns] == ["id", "name", "phone", "hired"]
    assert found.relations["public", "customers"].column("ssn") is not None, "masked, not hidden"
    assert found.relations["public", "customers"].columns[1].comment == "the name"
    assert found.relations["public", "customers"].estimated_rows == -1
    assert found.relations["public", "orders"].estimated_rows == 1000
    assert found.functions == {}


def test_what_a_column_may_hold_is_told_where_it_is_shown_as_it_is() -> None:
    whole = catalog()
    customers = whole.relations["public", "customers"]
    listed = replace(customers, columns=tuple(replace(column, values=("a", "b")) for column in customers.columns))
    known = replace(whole, relations={**whole.relations, customers.key: listed})
    found = visible(known, policy().principal("eva"), policy()).relations["public", "customers"]
    assert {column.name: column.values for column in found.columns if column.name in ("name", "ssn")} == {
        "name": ("a", "b"),
        "ssn": (),
    }


def test_nobody_sees_nothing() -> None:
    assert visible(catalog(), policy().principal("nobody"), policy()).relations == {}


def test_keys_to_hidden_things_go() -> None:
    eva = visible(catalog(), policy().principal("eva"), policy())
    assert eva.relations["public", "orders"].foreign_keys
    of = load(
        "version: 1\nname: x\nusers: {x: {roles: r}}\n"
        "roles: {r: {read: [public.orders, {tables: public.customers, hide: id}, public.events_eu]}}\n",
        "x",
    )
    found = visible(catalog(), of.principal("x"), of)
    assert found.relations["public", "orders"].foreign_keys == ()
    assert found.relations["public", "customers"].primary_key == ()
    assert found.relations["public", "events_eu"].parents == ()


def test_the_version_tells_who_sees_what() -> None:
    versions = {
        visible(catalog(), policy().principal(user), policy()).version for user in ("eva", "clara", "boss", "nobody")
    }
    assert len(versions) == 4
    assert visible(catalog(), policy().principal("eva"), policy()).version in versions


def test_pass_through_sees_all_relations_of_users() -> None:
    of = load("version: 1\nname: x\npass_through: true\n", "x")
    found = visible(catalog(), of.principal("anyone"), of)
    assert ("public", "hr_salaries") in found.relations
    assert ("pg_catalog", "pg_class") not in found.relations
