"""Sessions by themselves: what is kept of them, and how many there may be."""

from __future__ import annotations

from nlsql_gateway.config_console import Console
from nlsql_gateway.console.sessions import PER_PERSON, Sessions


def test_the_token_is_not_kept_and_the_password_is_shown_nowhere() -> None:
    sessions = Sessions(Console(officers=("olga",), reviewers=("petra",)))
    token, session = sessions.begin("olga", "secret-words", ("shop",))
    assert sessions.find(token) is session
    assert token not in repr(vars(sessions))
    assert "secret-words" not in repr(session)
    assert sessions.find(token[:-1]) is None
    assert sessions.find("") is None
    assert session.may("officer")
    assert session.may("person")
    assert not session.may("reviewer")
    sessions.end(session)
    assert session.password == ""
    assert sessions.find(token) is None


def test_one_person_has_only_so_many() -> None:
    now = [0.0]
    sessions = Sessions(Console(), lambda: now[0])
    ended: list[int] = []
    tokens = []
    for number in range(PER_PERSON + 2):
        now[0] += 1
        token, session = sessions.begin("ada", "x", ())
        session.endings.append(lambda number=number: ended.append(number))  # type: ignore[misc]
        tokens.append(token)
        sessions.find(tokens[0])  # the first one is in use
    assert ended == [1, 2]
    assert sessions.find(tokens[0]) is not None
    other, _ = sessions.begin("emil", "x", ())
    assert sessions.find(other) is not None


def test_sweeping_ends_what_is_over() -> None:
    now = [0.0]
    sessions = Sessions(Console(idle=60), lambda: now[0])
    _, old = sessions.begin("ada", "x", ())
    now[0] = 59
    young, _ = sessions.begin("ada", "x", ())
    now[0] = 61
    sessions.sweep()
    assert old.password == ""
    assert sessions.find(young) is not None
    sessions.end_all()
    assert sessions.find(young) is None
