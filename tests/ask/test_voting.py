"""Which of several answers is given."""

from __future__ import annotations

from decimal import Decimal

from nlsql_gateway.ask import Completion, Problem, Rows
from nlsql_gateway.ask.trying import Tried
from nlsql_gateway.ask.voting import SURE, elect, is_doubtful, is_settled


def tried(sql: str, rows: Rows | None = None, *, problem: str = "", sure: float | None = None) -> Tried:
    completion = Completion(sql, "m", "1", tokens=10, logprob=None if sure is None else sure * 10)
    return Tried(sql, Problem(problem) if problem else None, completion, rows=rows)


def chosen(*answers: Tried) -> str:
    elected = elect(answers)
    assert elected is not None
    return elected[0].sql


def test_most_agree_whatever_the_text_and_the_columns_besides() -> None:
    wrong = tried("a", [(1,), (2,)])
    one = tried("b", [("x", Decimal("3.0")), ("y", 4)])
    two = tried("c", [(4.0, "y", None), (3.0, "x", None)])
    assert chosen(wrong, one, two) == "b"
    assert elect([wrong, one, two]) is not None


def test_the_greedy_answer_is_given_when_all_differ() -> None:
    assert chosen(tried("a", [(1,)]), tried("b", [(2,)]), tried("c", [(3,)])) == "a"


def test_answers_without_rows_say_little() -> None:
    empty = [tried("a", []), tried("b", [(None,)]), tried("c", [])]
    assert chosen(*empty, tried("d", [(7,)])) == "d"
    assert chosen(*empty) == "a"


def test_without_rows_to_compare_the_text_counts() -> None:
    assert chosen(tried("a"), tried("b"), tried("b")) == "b"


def test_none_that_failed_is_given_and_each_lowers_the_share() -> None:
    assert elect([tried("a", problem="no column x")]) is None
    elected = elect([tried("a", problem="no column x"), tried("b", [(1,)])])
    assert elected is not None
    assert elected[0].sql == "b"
    assert elected[1] == 0.5


def test_doubt() -> None:
    assert is_doubtful(tried("a", problem="no column x"))
    assert is_doubtful(tried("a", []))
    assert is_doubtful(tried("a", [(0,)]))
    assert is_doubtful(tried("a", [(5,)], sure=SURE - 0.1))
    assert not is_doubtful(tried("a", [(5,)], sure=SURE + 0.1))
    assert not is_doubtful(tried("a", [(5,)]))


def test_what_is_left_is_not_waited_for_when_it_changes_nothing() -> None:
    failed = tried("a", problem="no column x")
    one, two, other = tried("b", [(1,)]), tried("c", [(1,)]), tried("d", [(2,)])
    assert not is_settled([failed], 2)
    assert not is_settled([failed, one], 2)
    assert not is_settled([failed, one], 1)
    assert is_settled([failed, one], 0)
    assert is_settled([failed, one, two], 1)
    assert not is_settled([failed, one, other], 1)
    assert not is_settled([other, one, two], 1)
    assert is_settled([tried("a", []), one, two], 1)
