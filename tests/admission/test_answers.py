"""Questions asked again: the gate with a cache of answers."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from nlsql_gateway.admission import Admission, Admitted, Client, Refused
from nlsql_gateway.ask import AnswerCache
from nlsql_gateway.policy import load
from tests.admission.test_gate import CATALOG, CLIENT, POLICY, Log, Shop, gate

SHARED = POLICY.replace(
    "users:\n",
    "users:\n  bob: {roles: [analyst], attributes: {region: Europe}}\n"
    "  cai: {roles: [analyst], attributes: {region: Asia}}\n",
)
COUNT = "SELECT count(*) FROM customers"


def cached(*answers: str, log: Log | None = None, shop: Shop | None = None) -> Admission:
    return replace(gate(*answers, log=log, shop=shop, policy=SHARED), answers=AnswerCache(10))


def person(name: str) -> Client:
    return Client(load(SHARED, "test.yaml").principal(name), "shop", "psql", "127.0.0.1:1", f"conn-{name}")


def ask(admission: Admission, text: str, client: Client = CLIENT) -> Admitted | Refused:
    return asyncio.run(admission.admit(text, client))


def test_the_same_question_is_not_asked_twice_but_decided_on_and_recorded_twice() -> None:
    log, shop = Log(), Shop()
    admission = cached(COUNT, log=log, shop=shop)
    first = ask(admission, "-- ask: how many customers")
    again = ask(admission, "ASK How many  customers?")
    assert isinstance(first, Admitted)
    assert isinstance(again, Admitted)
    assert first.sql == again.sql
    assert first.record_id != again.record_id
    assert "cached" in again.notices[0].detail
    assert "cached" not in first.notices[0].detail
    one, two = (record.ruling for record in log.records)  # type: ignore[union-attr]  # they are decisions
    assert (one.cached, one.attempts, two.cached, two.attempts) == (False, 1, True, 0)
    assert (two.model, two.model_version, two.question) == ("double", "1", "How many  customers?")
    assert two.relations == ("public.customers",)
    assert len(shop.explained) == 1


def test_people_with_the_same_rights_share_answers_and_others_do_not() -> None:
    admission = cached(COUNT, "SELECT 2")
    ask(admission, "ask: how many customers")
    bob = ask(admission, "ask: how many customers", person("bob"))
    cai = ask(admission, "ask: how many customers", person("cai"))
    assert isinstance(bob, Admitted)
    assert isinstance(cai, Admitted)
    assert "'Europe'" in bob.sql
    assert cai.sql == "SELECT 2"


def test_another_catalog_makes_the_question_be_asked_anew() -> None:
    shop = Shop()
    admission = cached(COUNT, "SELECT 2", shop=shop)
    ask(admission, "ask: how many customers")
    shop.picture = replace(CATALOG, version="c2")
    second = ask(admission, "ask: how many customers")
    assert isinstance(second, Admitted)
    assert second.sql == "SELECT 2"


def test_another_policy_makes_the_question_be_asked_anew() -> None:
    admission = cached(COUNT, "SELECT 2")
    ask(admission, "ask: how many customers")
    changed = load(SHARED + "# changed\n", "test.yaml")
    admission.policy = lambda: changed
    second = ask(admission, "ask: how many customers")
    assert isinstance(second, Admitted)
    assert second.sql == "SELECT 2"


def test_a_refusal_is_not_kept() -> None:
    admission = cached("UNANSWERABLE", COUNT)
    assert isinstance(ask(admission, "ask: how many customers"), Refused)
    assert isinstance(ask(admission, "ask: how many customers"), Admitted)


def test_explain_shows_that_it_is_cached() -> None:
    admission = cached(COUNT)
    ask(admission, "ask: how many customers")
    shown = ask(admission, "ASK EXPLAIN how many customers")
    assert isinstance(shown, Admitted)
    assert "('cached', 'yes')" in shown.sql
