"""ask('…') in FROM, through the gate: what is asked, decided on and recorded."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from nlsql_gateway.admission import Admission, Admitted, Client, Refused
from nlsql_gateway.ask import FORGET, Dialogue
from nlsql_gateway.sql import Function
from tests.admission.test_gate import CATALOG, CLIENT, POLICY, Log, Shop, gate

NAMES, COUNT = "SELECT name FROM customers", "SELECT count(*) FROM customers"
TEXT = "SELECT * FROM ask('names of customers') AS q"


def admit(
    admission: Admission, text: str, dialogue: Dialogue | None = None, client: Client = CLIENT
) -> Admitted | Refused:
    assert admission.admit_now(text, client) is None, "a question is never answered at once"
    return asyncio.run(admission.admit(text, client, dialogue))


def test_the_whole_is_decided_on_rewritten_and_recorded() -> None:
    log = Log()
    admitted = admit(gate(NAMES, log=log), f"{TEXT} WHERE name > 'b'")
    assert isinstance(admitted, Admitted)
    assert admitted.source == f"SELECT * FROM ({NAMES}) AS q WHERE name > 'b'"
    assert "'Europe'" in admitted.sql, "the row filter stands inside the answer"
    assert admitted.rewritten
    assert [notice.message for notice in admitted.notices] == [f"SQL: {NAMES}"]
    record = log.decision
    assert (record.text, record.sql) == (f"{TEXT} WHERE name > 'b'", admitted.sql)
    assert (record.ruling.question, record.ruling.answer) == ("names of customers", NAMES)
    assert record.ruling.relations == ("public.customers",)
    assert record.ruling.model == "double"


def test_several_questions_stand_in_one_record() -> None:
    log = Log()
    admitted = admit(gate(NAMES, COUNT, log=log), f"{TEXT}, ask('how many customers') n")
    assert isinstance(admitted, Admitted)
    assert admitted.source == f"SELECT * FROM ({NAMES}) AS q, ({COUNT}) n"
    assert log.decision.ruling.question == "names of customers; how many customers"
    assert log.decision.ruling.answer == f"{NAMES}; {COUNT}"
    assert len(admitted.notices) == 2


def test_what_stands_around_an_answer_is_decided_on_too() -> None:
    log = Log()
    refused = admit(gate(NAMES, log=log), f"{TEXT}, salaries")
    assert isinstance(refused, Refused)
    assert (refused.sqlstate, refused.position) == ("42501", None)
    assert log.decision.sql is None
    assert log.decision.ruling.question == "names of customers"


def test_a_refused_question_refuses_the_statement() -> None:
    log = Log()
    refused = admit(gate("UNANSWERABLE", log=log), TEXT)
    assert isinstance(refused, Refused)
    assert refused.sqlstate == "NL001"
    assert log.decision.ruling.verdict == "error"


def test_an_answer_that_asks_itself_is_refused() -> None:
    refused = admit(gate(*[TEXT] * 3), TEXT)
    assert isinstance(refused, Refused)
    assert refused.sqlstate.startswith("NL")


def test_the_database_s_own_function_is_meant_where_there_is_one() -> None:
    own = {"ask": (Function("public", "ask", "function", "volatile"),)}
    for functions, sqlstate in ((own, "42501"), ({"ask": (replace(own["ask"][0], schema="else"),)}, None)):
        admission = gate(NAMES, shop=Shop(replace(CATALOG, functions=functions)))
        verdict = admit(admission, TEXT)
        assert (verdict.sqlstate if isinstance(verdict, Refused) else None) == sqlstate


def test_a_session_keeps_an_answer_until_it_is_told_to_forget_it() -> None:
    admission, dialogue = gate(NAMES, COUNT, "SELECT 3 FROM customers"), Dialogue()

    def answer() -> str:
        admitted = admit(admission, TEXT, dialogue)
        assert isinstance(admitted, Admitted)
        return admitted.source

    assert answer() == answer() == f"SELECT * FROM ({NAMES}) AS q"
    dialogue.go_on_from(FORGET)
    assert answer() == f"SELECT * FROM ({COUNT}) AS q"
    dialogue.forget()
    assert answer() == "SELECT * FROM (SELECT 3 FROM customers) AS q"


def test_an_answer_is_not_kept_across_rights_and_pictures_of_the_database() -> None:
    shop = Shop()
    admission, dialogue = gate(NAMES, COUNT, NAMES, shop=shop, policy=OTHERS), Dialogue()
    sources = []
    for user in ("ada", "ben"):
        client = replace(CLIENT, principal=admission.policy().principal(user))
        admitted = admit(admission, TEXT, dialogue, client)
        assert isinstance(admitted, Admitted)
        sources.append(admitted.source)
    shop.picture = replace(CATALOG, version="c2")
    admitted = admit(admission, TEXT, dialogue)
    assert isinstance(admitted, Admitted)
    assert [*sources, admitted.source] == [f"SELECT * FROM ({sql}) AS q" for sql in (NAMES, COUNT, NAMES)]


OTHERS = POLICY.replace("roles:\n", "  ben: {roles: [analyst], attributes: {region: Asia}}\nroles:\n", 1)


def test_a_question_that_a_parameter_holds_is_not_known() -> None:
    refused = admit(gate(NAMES), "SELECT * FROM ask($1) AS q")
    assert isinstance(refused, Refused)
    assert "ask('…')" in refused.hint


def test_a_large_text_around_a_question_is_read() -> None:
    padding = " ".join(f"AND name <> 'a customer whose name is number {number}'" for number in range(60))
    admitted = admit(gate(NAMES), f"{TEXT} WHERE true {padding}")
    assert isinstance(admitted, Admitted)
    assert admitted.source.startswith(f"SELECT * FROM ({NAMES}) AS q")
