"""Who may read what of a relation: the resolution order of docs/policy.md, rule by rule."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from nlsql_gateway.policy import Policy, load
from nlsql_gateway.policy.access import Access, access
from tests.policy.company import catalog, policy

HEAD = "version: 1\nname: t\nusers:\n"


def seen(of: Policy, user: str, name: str, schema: str = "public") -> Access | None:
    return access(catalog().relations[schema, name], of.principal(user), catalog(), of)


def given(of: Policy, user: str, name: str) -> Access:
    found = seen(of, user, name)
    assert found is not None
    return found


def shown(found: Access) -> dict[str, str | None]:
    return {column.name: expression for column, expression in found.columns}


def test_no_rule_no_access() -> None:
    for user in ("nobody", "stranger"):
        assert all(seen(policy(), user, name) is None for schema, name in catalog().relations if schema == "public")
    assert seen(policy(), "eva", "hr_salaries") is None


def test_default_roles_are_for_those_who_are_not_listed() -> None:
    of = load(
        HEAD + "  known: {roles: []}\ndefault: r\nroles: {r: {read: public.orders}}\n",
        "t",
    )
    assert seen(of, "known", "orders") is None
    assert given(of, "stranger", "orders").whole


def test_all_of_a_table_is_whole() -> None:
    assert given(policy(), "boss", "customers").whole
    assert not given(policy(), "eva", "customers").whole
    assert not given(policy(), "clara", "customers").whole


def test_rules_on_single_columns_hold_for_columns_to_come() -> None:
    """All columns of today are readable, and yet the statement must name them."""
    of = load(
        HEAD
        + """
  x: {roles: a}
  y: {roles: b}
  z: {roles: [a, all]}
roles:
  a: {read: [{tables: public.Customers, columns: [id, Full Name]}]}
  b: {read: public.assignments, masks: [{columns: public.assignments.ssn, with: year}]}
  all: {read: public.*}
""",
        "t",
    )
    assert not given(of, "x", "Customers").whole
    assert not given(of, "y", "assignments").whole
    assert given(of, "z", "Customers").whole


def test_a_star_stands_for_all_columns_where_no_rule_of_any_role_speaks_of_single_ones() -> None:
    """With another role's rule it would show a column that is added in rows that only the other role gives."""
    of = load(
        HEAD
        + """
  rows: {roles: a}
  both: {roles: [a, b]}
  of_parent: {roles: c}
roles:
  a: {read: public.customers*, rows: [{tables: public.customers, using: region = 'EU'}]}
  b:
    read: [{tables: public.customers, hide: not_there_yet}]
    rows: [{tables: public.customers, using: region = 'US'}]
  c:
    read: [public.customers_child, {tables: public.customers, hide: not_there_yet}]
    rows: [{tables: public.customers_child, using: region = 'EU'}]
""",
        "t",
    )
    assert given(of, "rows", "customers").query(only=False).startswith("(SELECT * FROM public.customers WHERE ")
    for user, name in (("both", "customers"), ("of_parent", "customers_child")):
        query = given(of, user, name).query(only=False)
        assert query.startswith(f"(SELECT {name}.id, {name}.name, ")
        assert "*" not in query
    assert "*" not in given(of, "rows", "customers").query(only=False, veiled=True)


def test_patterns_leave_views_sequences_and_system_relations_out() -> None:
    of = load(HEAD + '  x: {roles: r}\nroles: {r: {read: "*.*"}}\n', "t")
    assert given(of, "x", "orders").whole
    assert seen(of, "x", "v_open") is None
    assert seen(of, "x", "mv_customers") is None
    assert seen(of, "x", "seq1") is None
    assert seen(policy(), "boss", "seq1") is None
    assert given(policy(), "boss", "mv_customers").whole
    named = load(HEAD + "  x: {roles: r}\nroles: {r: {read: [public.seq1, public.v_open]}}\n", "t")
    assert given(named, "x", "seq1").whole
    assert given(named, "x", "v_open").whole


def test_the_closest_grant_counts() -> None:
    of = load(
        HEAD
        + """
  x: {roles: r}
roles:
  r:
    read:
      - "*.*"
      - {tables: public.*, but_not: public.hr_*}
      - {tables: public.staff, columns: [id, name, pay], hide: pay}
      - {tables: public.staff, columns: hired}
""",
        "t",
    )
    assert set(shown(given(of, "x", "staff"))) == {"id", "name", "hired"}
    assert given(of, "x", "hr_salaries").whole, "left out of one grant, covered by a wider one"
    assert given(of, "x", "Customers").whole


def test_a_grant_of_columns_that_are_not_there_gives_nothing() -> None:
    of = load(HEAD + "  x: {roles: r}\nroles: {r: {read: [{tables: public.staff, columns: nothing}]}}\n", "t")
    assert seen(of, "x", "staff") is None


def test_filters_of_one_role_are_all_to_be_met() -> None:
    condition = given(policy(), "tim", "customers").condition
    assert condition is None, "his other role gives all rows"
    of = policy()
    lone = access(
        catalog().relations["public", "customers"],
        type(of.principal("tim"))("tim", frozenset({"tenant"}), {"name": "tim", "tenants": (1, 2)}),
        catalog(),
        of,
    )
    assert lone is not None
    assert lone.condition == (
        "(customers.tenant_id = ANY('{1,2}'::bigint[])) AND (EXISTS (SELECT 1 FROM public.assignments a"
        " WHERE a.customer_id = customers.id AND person = 'tim'::text))"
    )


def test_roles_add_up_cell_by_cell() -> None:
    found = given(policy(), "tim", "customers")
    cells = shown(found)
    assert found.condition is None
    assert cells["id"] is None
    assert cells["region"] is None
    email = cells["email"]
    assert email is not None
    assert email.startswith("CASE WHEN (customers.tenant_id = ANY(")
    assert email.endswith(" THEN customers.email ELSE NULL::text END")


TWO = """
version: 1
name: two
users: {x: {roles: [eu, us]}}
roles:
  eu:
    read: public.customers
    rows: [{tables: public.customers, using: region = 'EU'}]
    masks: [{columns: public.customers.email, with: hash}]
  us:
    read: public.customers
    rows: [{tables: public.customers, using: region = 'US'}]
    masks: [{columns: public.customers.ssn, with: "null"}, {columns: public.customers.email, with: hash}]
hash_key: sixteen characters
"""


def test_two_filters_are_alternatives_and_each_mask_stays_with_its_rows() -> None:
    found = given(load(TWO, "two"), "x", "customers")
    assert found.condition == "((customers.region = 'EU')) OR ((customers.region = 'US'))"
    cells = shown(found)
    assert cells["name"] is None
    assert cells["ssn"] == (
        "CASE WHEN (customers.region = 'EU') THEN customers.ssn WHEN (customers.region = 'US') THEN NULL::text"
        " ELSE NULL::text END"
    )
    assert cells["email"] is not None
    assert "CASE" not in cells["email"], "both roles mask it alike"
    assert [applied.rule for applied in found.applied] == ["row_filter", "mask", "mask"]


def test_partitions_and_children_inherit_what_hides() -> None:
    for name in ("events_eu", "events_us"):
        assert given(policy(), "eva", name).condition == f"({name}.region = 'EU'::text)"
    child = given(policy(), "eva", "customers_child")
    assert shown(child)["ssn"] == "NULL::text"
    assert shown(child)["extra"] is None
    of = load(
        HEAD + "  x: {roles: r}\nroles: {r: {read: [public.*, {tables: public.customers, hide: [ssn]}]}}\n",
        "t",
    )
    assert "ssn" not in shown(given(of, "x", "customers_child"))
    assert "extra" in shown(given(of, "x", "customers_child"))


def test_a_grant_of_the_parent_is_no_grant_of_the_child() -> None:
    of = load(HEAD + "  x: {roles: r}\nroles: {r: {read: public.events}}\n", "t")
    assert seen(of, "x", "events_eu") is None


@pytest.mark.parametrize(
    "using",
    ["nothing = 1", "region = person.planet", "id IN (SELECT nothing FROM public.orders)", "id IN (SELECT 1 FROM a.b)"],
)
def test_a_filter_that_does_not_fit_gives_nothing(using: str) -> None:
    of = load(
        f"{HEAD}  x: {{roles: r}}\n"
        f"roles: {{r: {{read: public.customers, rows: [{{tables: public.*, using: '{using}'}}]}}}}\n",
        "t",
    )
    assert seen(of, "x", "customers") is None


def test_a_mask_that_does_not_fit_its_column_hides_it() -> None:
    of = load(
        HEAD
        + """
  x: {roles: r}
hash_key: sixteen characters
roles:
  r:
    read: public.staff
    masks:
      - {columns: [public.staff.id, public.staff.pay], with: hash}
      - {columns: public.staff.name, with: year}
      - {columns: public.staff.hired, with: {round: {to: 10}}}
""",
        "t",
    )
    cells = shown(given(of, "x", "staff"))
    assert cells == {
        "id": "NULL::integer",
        "name": "NULL::text",
        "phone": None,
        "pay": "NULL::numeric(9,2)",
        "hired": "NULL::date",
    }


def test_what_is_remembered_is_of_the_same_person_policy_and_catalog() -> None:
    """``access`` works it out once; an object that takes a gone one's place in memory is not mistaken for it."""
    text = (
        HEAD + "  a: {roles: r, attributes: {region: EU}}\n  b: {roles: r, attributes: {region: US}}\n"
        "roles: {r: {read: public.customers, rows: [{tables: public.customers, using: region = person.region}]}}\n"
    )
    tables = catalog()
    for _ in range(50):
        of = load(text, "t")
        for user, region in (("a", "EU"), ("b", "US")):
            found = access(tables.relations["public", "customers"], of.principal(user), tables, of)
            assert found is not None
            assert f"'{region}'" in (found.condition or "")
            assert access(tables.relations["public", "customers"], of.principal(user), tables, of) is found
    closed = load(HEAD + "  a: {roles: []}\nroles: {}\n", "t")
    assert access(tables.relations["public", "customers"], closed.principal("a"), tables, closed) is None
    other = replace(tables, relations=dict(tables.relations))
    assert not other.memo
    assert not pickle.loads(pickle.dumps(tables)).memo
