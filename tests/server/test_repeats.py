"""A text that a connection prepares again: one record, decided on anew when the policy has changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nlsql_gateway.server.repeats import LONGEST, TEXTS
from tests.server.conftest import Served
from tests.server.raw import SYNC, Raw, bind, execute, parse

RUN = [bind("", ""), execute(""), SYNC]


@pytest.fixture
def raw(served: Served) -> Iterator[Raw]:
    with Raw("127.0.0.1", served.port) as client:
        yield client.login()


def kinds(raw: Raw) -> str:
    return "".join(kind for kind, _ in raw.until("Z"))


def test_a_text_that_is_prepared_again_is_admitted_once_and_each_run_is_recorded(raw: Raw, served: Served) -> None:
    for name in ("", "", "other", ""):
        raw.send(parse(name, "SELECT 1"), *RUN)
        assert kinds(raw) == "12DCZ"
    assert served.gate.texts == ["SELECT 1"]
    assert list(served.gate.ran.values()) == ["SELECT 1"] * 4
    assert served.gate.all_closed()


def test_another_policy_decides_on_it_again(raw: Raw, served: Served) -> None:
    for version in ("1", "2", "2"):
        served.gate.version = version
        raw.send(parse("", "SELECT 'rewrite'"), SYNC)
        assert kinds(raw) == "1Z"
    assert served.gate.texts == ["SELECT 'rewrite'"] * 2


def test_the_same_message_may_be_sent_again_behind_others(raw: Raw, served: Served) -> None:
    same = parse("", "SELECT 'rewrite'")
    for version, sent in (
        ("1", same),
        ("1", same),
        ("1", parse("", "SELECT 1")),
        ("1", same),
        ("2", same),
        ("2", same),
    ):
        served.gate.version = version
        raw.send(sent, *RUN)
        assert kinds(raw) == "12DCZ"
    again = "SELECT 'rewrite'"
    assert served.gate.texts == [again, "SELECT 1", again], "another policy decides on it again"
    assert list(served.gate.ran.values()) == [again, again, "SELECT 1", again, again, again]


def test_one_whose_record_was_not_kept_is_recorded_again(raw: Raw, served: Served) -> None:
    served.gate.unrecorded = True
    raw.send(parse("", "SELECT 1"), SYNC, parse("", "SELECT 1"), SYNC)
    assert [kinds(raw), kinds(raw)] == ["EZ", "EZ"]
    served.gate.unrecorded = False
    raw.send(parse("", "SELECT 1"), *RUN)
    assert kinds(raw) == "12DCZ"
    assert served.gate.texts == ["SELECT 1"] * 2


def test_what_is_refused_and_what_a_question_became_is_not_known(raw: Raw, served: Served) -> None:
    for text, answer in (("SELECT 'forbidden'", "EZ"), ("ask: how many", "N1Z")):
        for _ in range(2):
            raw.send(parse("", text), SYNC)
            assert kinds(raw) == answer
    assert served.gate.texts == ["SELECT 'forbidden'"] * 2


def test_few_texts_are_remembered_and_no_long_ones(raw: Raw, served: Served) -> None:
    texts = [f"SELECT {number}" for number in range(TEXTS + 1)]
    long = f"SELECT '{'x' * LONGEST}'"
    for text in (*texts, texts[0], long, long):
        raw.send(parse("", text), SYNC)
        assert kinds(raw) == "1Z"
    assert served.gate.texts == [*texts, texts[0], long, long]
