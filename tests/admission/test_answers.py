"""Questions answered without the model: asked before, or verified."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from nlsql_gateway.admission import Admission, Admitted, Client, Refused
from nlsql_gateway.admission.asking import LOOK_S
from nlsql_gateway.ask import AnswerCache, Asker, load_semantics
from nlsql_gateway.errors import ModelUnavailable, UpstreamError
from nlsql_gateway.policy import load
from tests.admission.test_gate import CATALOG, CLIENT, POLICY, Log, Model, Shop, gate

SHARED = POLICY.replace(
    "users:\n",
    "users:\n  bob: {roles: [analyst], attributes: {region: Europe}}\n"
    "  cai: {roles: [analyst], attributes: {region: Asia}}\n",
)
COUNT = "SELECT count(*) FROM customers"


def cached(*answers: str, log: Log | None = None, shop: Shop | None = None) -> Admission:
    admission = gate(*answers, log=log, shop=shop, policy=SHARED)
    admission.asking.answers = AnswerCache(10)
    return admission


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


VERIFIED = """
version: 1
databases:
  shop:
    questions:
      - question: How many customers are there?
        sql: SELECT count(*) FROM customers
        verified_by: petra
        verified_on: 2026-01-05
      - question: customers in {region}
        sql: SELECT name FROM customers WHERE region = :region
        verified_by: petra
        verified_on: 2026-01-05
      - question: what do we pay
        sql: SELECT count(*) FROM salaries
        verified_by: petra
        verified_on: 2026-01-05
"""


def with_verified(*answers: str, log: Log | None = None, shop: Shop | None = None) -> Admission:
    admission = cached(*answers, log=log, shop=shop)
    semantics = load_semantics(VERIFIED, "semantics.yaml")
    admission.asking.semantics = lambda: semantics
    return admission


def test_a_verified_question_is_answered_without_the_model_and_under_the_policy() -> None:
    log, shop = Log(), Shop()
    admission = with_verified(log=log, shop=shop)
    admitted = ask(admission, "ask: how many customers")
    assert isinstance(admitted, Admitted)
    assert "'Europe'" in admitted.sql
    assert admitted.notices[0].message == f"SQL: {COUNT}"
    assert "verified: by petra on 2026-01-05; answers: How many customers are there?" in admitted.notices[0].detail
    ruling = log.decision.ruling
    assert (ruling.model, ruling.model_version, ruling.attempts) == ("verified", "by petra on 2026-01-05", 0)
    assert (ruling.verdict, ruling.question, ruling.cached) == ("allow", "how many customers", False)
    assert ruling.rules == ("row_filter public.customers (role analyst)",)
    assert shop.explained == [admitted.sql]


def test_a_value_is_filled_in_as_a_constant() -> None:
    admitted = ask(with_verified(), "ask: customers in 'x'' OR true --'")
    assert isinstance(admitted, Admitted)
    assert "region = 'x'' OR true --'" in admitted.sql


def test_a_verified_question_needs_no_model() -> None:
    admission = with_verified()
    admission.asking.asker = None
    assert isinstance(ask(admission, "ask: how many customers"), Admitted)
    refused = ask(admission, "ask: how many salesmen")
    assert isinstance(refused, Refused)
    assert refused.sqlstate == "NL002"


def test_who_may_not_have_the_answer_is_not_told_that_there_is_one() -> None:
    log = Log()
    refused = ask(with_verified("UNANSWERABLE", log=log), "ask: what do we pay")
    assert isinstance(refused, Refused)
    assert refused.sqlstate == "NL001"
    assert "salaries" not in f"{refused.message} {refused.detail} {refused.hint}"


def test_verified_sql_that_does_not_run_any_more_is_passed_over() -> None:
    shop = Shop(errors=[UpstreamError("column region does not exist", sqlstate="42703")])
    admitted = ask(with_verified("SELECT name FROM customers", shop=shop), "ask: customers in 'Asia'")
    assert isinstance(admitted, Admitted)
    assert admitted.notices[0].message == "SQL: SELECT name FROM customers"


def test_a_verified_answer_leaves_what_the_model_said_alone() -> None:
    admission = with_verified("SELECT 1")
    ask(admission, "ask: anything")
    ask(admission, "ask: how many customers")
    again = ask(admission, "ask: anything")
    assert isinstance(again, Admitted)
    assert "cached" in again.notices[0].detail


def test_another_version_of_the_model_is_asked_anew() -> None:
    admission = cached(COUNT, "SELECT 2")
    model = admission.asking.asker._generator  # type: ignore[union-attr]  # there is one
    assert isinstance(model, Model)
    ask(admission, "ask: how many customers")
    model.version = "2"
    assert "cached" in notice(ask(admission, "ask: how many customers")), "within the second"
    admission.asking._looked = -LOOK_S
    assert "model: double 2; attempts: 1" in notice(ask(admission, "ask: how many customers"))


def test_what_was_answered_before_is_there_while_the_server_is_gone() -> None:
    class Gone(Model):
        async def serving(self) -> str:
            raise ModelUnavailable("gone")

    admission = cached()
    admission.asking.asker = Asker(
        Gone([COUNT]), prompt="chatml", repairs=0, samples=0, max_tokens=100, max_prompt_tokens=2000
    )
    ask(admission, "ask: how many customers")
    admission.asking._looked = -LOOK_S
    assert "cached" in notice(ask(admission, "ask: how many customers"))


def notice(admitted: Admitted | Refused) -> str:
    assert isinstance(admitted, Admitted)
    return admitted.notices[0].detail
