"""Questions that go on from the session's last one, through the gate."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

from nlsql_gateway.admission import Admission, Admitted, Client, Refused
from nlsql_gateway.ask import FORGET, AnswerCache, Asker, Completion, Dialogue, Sampling, Topic
from nlsql_gateway.policy import load
from tests.admission.test_gate import CLIENT, POLICY, Log, Model, gate


@dataclass
class Keeping(Model):
    """Keeps the prompts."""

    prompts: list[str] = field(default_factory=list)

    async def generate(self, prompt: str, sampling: Sampling, *, timeout: float) -> Completion:
        self.prompts.append(prompt)
        return await super().generate(prompt, sampling, timeout=timeout)


def keeping(*answers: str, log: Log | None = None, cache: int = 0) -> tuple[Admission, Keeping]:
    admission, model = gate(log=log), Keeping(list(answers))
    asker = Asker(model, prompt="chatml", repairs=2, samples=0, max_tokens=100, max_prompt_tokens=2000)
    admission.asking = replace(admission.asking, asker=asker, answers=AnswerCache(cache))
    return admission, model


def ask(admission: Admission, text: str, topic: Topic | None, client: Client = CLIENT) -> Admitted:
    admitted = asyncio.run(admission.admit(text, client, Dialogue(topic)))
    assert isinstance(admitted, Admitted), admitted
    return admitted


FIRST, SECOND = "SELECT count(*) FROM customers", "SELECT region, count(*) FROM customers GROUP BY region"


def test_the_prompt_has_the_last_question_and_its_sql() -> None:
    log = Log()
    admission, model = keeping(FIRST, SECOND, "SELECT 3", log=log)
    first = ask(admission, "ask: how many customers", None)
    second = ask(admission, "ask: and by region?", first.topic)
    third = ask(admission, "ask: only Asia", second.topic)
    assert "how many customers" not in model.prompts[0].split("<|im_start|>assistant")[1]
    assert f"Question: how many customers<|im_end|>\n<|im_start|>assistant\n```sql\n{FIRST}\n```" in model.prompts[1]
    assert model.prompts[1].count("Question: and by region?") == 1
    assert "Question: how many customers / and by region?<|im_end|>" in model.prompts[2]
    assert SECOND in model.prompts[2]
    assert FIRST not in model.prompts[2]
    assert [one.ruling.question for one in log.records] == ["how many customers", "and by region?", "only Asia"]  # type: ignore[union-attr]  # they are decisions
    assert "goes on from: the last question" in third.notices[0].detail
    assert "goes on from" not in first.notices[0].detail
    assert "'Europe'" in second.sql, "decided on like any other"


def test_a_question_that_stands_by_itself_begins_anew_and_ask_more_goes_on() -> None:
    admission, model = keeping(FIRST, "SELECT 2", "SELECT 3")
    first = ask(admission, "ask: how many customers", None)
    second = ask(admission, "ask: names of customers", first.topic)
    assert FIRST not in model.prompts[1]
    assert second.topic is not None
    assert second.topic.question == "names of customers"
    ask(admission, "ask more: names of customers", first.topic)
    assert FIRST in model.prompts[2]


def test_nothing_to_go_on_from() -> None:
    admission, model = keeping(FIRST, FIRST)
    ask(admission, "ask: and by region?", None)
    assert "assistant\n```sql\n" in model.prompts[0]
    ask(admission, "ask: and by region?", FORGET)
    assert model.prompts[0] == model.prompts[1]
    refused = asyncio.run(admission.admit("ask more: by region", CLIENT))
    assert isinstance(refused, Refused)
    assert (refused.sqlstate, refused.message) == ("NL001", "there is no question before this one")


def test_reset_forgets_and_is_answered_with_a_row() -> None:
    log = Log()
    admission, _ = keeping(log=log)
    reset = ask(admission, "-- ask reset", Topic("x", "SELECT 1"))
    assert reset.topic == FORGET
    assert reset.sql == "SELECT 'the last question is forgotten' AS ask"
    assert log.decision.ruling.question == "reset"


def test_what_was_said_under_other_rights_or_another_policy_is_not_used() -> None:
    admission, model = keeping(FIRST, FIRST, FIRST)
    first = ask(admission, "ask: how many customers", None)
    both = POLICY.replace("roles:\n", "  eva: {roles: [analyst], attributes: {region: Asia}}\nroles:\n", 1)
    other = load(both, "test.yaml").principal("eva")
    policy = load(both, "test.yaml")
    admission.policy = lambda: policy
    ask(admission, "ask: and by region?", first.topic)
    assert FIRST not in model.prompts[1], "another policy"
    again = ask(admission, "ask: how many customers", None)
    model.answers.append(FIRST)
    ask(admission, "ask: and by region?", again.topic, replace(CLIENT, principal=other))
    assert FIRST not in model.prompts[3], "another person's"


def test_a_cached_answer_to_a_follow_up_is_for_what_it_goes_on_from() -> None:
    admission, model = keeping(FIRST, SECOND, "SELECT 3", "SELECT 4", cache=10)
    first = ask(admission, "ask: how many customers", None)
    ask(admission, "ask: and by region?", first.topic)
    again = ask(admission, "ask: and by region?", ask(admission, "ask: how many customers", None).topic)
    assert "cached: yes" in again.notices[0].detail
    assert "goes on from" in again.notices[0].detail
    assert len(model.prompts) == 2
    other = ask(admission, "ask: names of customers", None)
    ask(admission, "ask: and by region?", other.topic)
    assert len(model.prompts) == 4


def test_explain_is_something_to_go_on_from() -> None:
    admission, model = keeping(FIRST, SECOND)
    shown = ask(admission, "ASK EXPLAIN how many customers", None)
    ask(admission, "ask: and by region?", shown.topic)
    assert FIRST in model.prompts[1]
