"""Who shares an answer with whom."""

from __future__ import annotations

from dataclasses import replace

from nlsql_gateway.policy import load, rights

POLICY = """
version: 1
name: test
users:
  ada: {roles: [analyst], attributes: {region: Europe}}
  bob: {roles: [analyst], attributes: {region: Europe}}
  cai: {roles: [analyst], attributes: {region: Asia}}
  dan: {roles: [analyst, clerk], attributes: {region: Europe}}
roles:
  analyst:
    read: [public.customers]
    rows:
      - {tables: public.customers, using: region = person.region}
  clerk:
    read: [public.orders]
"""


def test_the_same_roles_and_attributes_are_the_same_rights() -> None:
    policy = load(POLICY, "test.yaml")
    ada, bob, cai, dan = (rights(policy.principal(name), policy) for name in ("ada", "bob", "cai", "dan"))
    assert ada == bob
    assert len({ada, cai, dan}) == 3


def test_a_role_that_does_not_count_now_makes_other_rights() -> None:
    policy = load(POLICY, "test.yaml")
    dan = policy.principal("dan")
    away = replace(dan, roles=frozenset({"analyst"}), absent=frozenset({"clerk"}))
    assert len({rights(person, policy) for person in (dan, away, policy.principal("ada"))}) == 3


def test_a_name_counts_where_a_filter_asks_for_it() -> None:
    policy = load(POLICY.replace("region = person.region", "name = person.name"), "test.yaml")
    assert rights(policy.principal("ada"), policy) != rights(policy.principal("bob"), policy)
    top = load(POLICY + "rows:\n  - {tables: public.customers, using: name = person.name}\n", "test.yaml")
    assert rights(top.principal("ada"), top) != rights(top.principal("bob"), top)
