"""What SQL does to the names of prepared statements and portals, tag by tag."""

from __future__ import annotations

import pytest

from nlsql_gateway.admission import Admitted
from nlsql_gateway.server.effects import Effects, effects, uses
from nlsql_gateway.server.names import Names, Portal
from nlsql_gateway.sql import Batch, classify


def admitted(text: str) -> Admitted:
    batch = classify(text)
    assert isinstance(batch, Batch)
    return Admitted("r1", text, batch.statements, text)


def ignore(portal: Portal) -> None:
    pass


def changing(names: Names, text: str) -> Effects:
    found = effects(names, admitted(text), ignore)
    assert found is not None
    return found


def run(names: Names, text: str, *tags: bytes) -> None:
    """As far as the tags go."""
    found = changing(names, text)
    assert names.unsettled == 1
    for tag in tags:
        found.completed(tag)
    found.over()
    assert names.unsettled == 0


def texts(names: Names) -> dict[str, str]:
    return {name: value.statements[0].text for name, value in names.statements.confirmed.items()}


def cursors(names: Names) -> dict[str, str]:
    return {name: portal.prepared.statements[0].text for name, portal in names.portals.confirmed.items()}


def test_names_that_sql_prepares_and_deallocates() -> None:
    names = Names()
    run(names, "PREPARE a AS SELECT 1; SELECT 2; PREPARE b AS SELECT 3", b"PREPARE", b"SELECT 1")
    assert texts(names) == {"a": "SELECT 1"}, "b failed"
    run(names, "DEALLOCATE a; PREPARE a AS SELECT 4", b"DEALLOCATE", b"PREPARE")
    assert texts(names) == {"a": "SELECT 4"}
    run(names, "DEALLOCATE a", b"DEALLOCATE")
    assert texts(names) == {}


def test_cursors_that_sql_declares_and_closes() -> None:
    names = Names()
    run(names, "DECLARE a CURSOR FOR SELECT 1; DECLARE b CURSOR WITH HOLD FOR SELECT 2", *[b"DECLARE CURSOR"] * 2)
    assert cursors(names) == {"a": "SELECT 1", "b": "SELECT 2"}
    names.suspended()
    assert cursors(names) == {"b": "SELECT 2"}, "the end of the transaction"
    run(names, "CLOSE b; DECLARE b CURSOR FOR SELECT 3", b"CLOSE CURSOR", b"DECLARE CURSOR")
    assert cursors(names) == {"b": "SELECT 3"}
    run(names, "CLOSE ALL", b"CLOSE CURSOR ALL")
    assert cursors(names) == {}


@pytest.mark.parametrize("tag", ["DISCARD ALL", "DEALLOCATE ALL"])
def test_all_names_go_at_once(tag: str) -> None:
    names = Names()
    names.statements.confirmed |= {"a": admitted("SELECT 1"), "": admitted("SELECT 2")}
    names.portals.confirmed["b"] = Portal(admitted("SELECT 1"), ())
    run(names, tag, tag.encode())
    assert texts(names) == {"": "SELECT 2"}, "the unnamed statement stays"
    assert cursors(names) == ({} if tag == "DISCARD ALL" else {"b": "SELECT 1"})


def test_other_statements_have_no_effect_on_names() -> None:
    assert effects(Names(), admitted("SELECT 1; SET application_name = 'x'"), ignore) is None
    names = Names()
    names.statements.confirmed["a"] = admitted("SELECT 1")
    run(names, "DISCARD PLANS", b"DISCARD PLANS")
    assert texts(names) == {"a": "SELECT 1"}


def test_execute_does_what_parse_has_put_behind_the_name() -> None:
    names = Names()
    names.statements.confirmed |= {"a": admitted("SELECT 1"), "d": admitted("DEALLOCATE a")}
    assert effects(names, admitted("EXECUTE a"), ignore) is None
    run(names, "EXECUTE d", b"DEALLOCATE")
    assert texts(names) == {"d": "DEALLOCATE a"}
    names.statements.confirmed |= {"x": admitted("EXECUTE y"), "y": admitted("EXECUTE x")}
    assert effects(names, admitted("EXECUTE x"), ignore) is None, "PostgreSQL gives up by itself"
    assert [name.name for name, _ in uses(names, admitted("EXECUTE x"))] == ["x", "y"]


def test_a_text_that_only_postgresql_can_read_may_have_changed_any_name() -> None:
    names = Names()
    names.statements.confirmed["a"] = admitted("SELECT 1")
    unread = effects(names, Admitted("r1", "SELECT something new", ()), ignore)
    assert unread is not None
    unread.completed(b"SELECT 1")
    assert texts(names) == {"a": "SELECT 1"}
    unread.completed(b"DEALLOCATE")
    assert texts(names) == {}


def test_what_is_used_was_given_by_an_earlier_text() -> None:
    names = Names()
    names.statements.confirmed["a"] = admitted("SELECT 1")
    names.portals.confirmed["c"] = Portal(admitted("SELECT 2"), ())
    text = "EXECUTE a; FETCH 5 FROM c; MOVE c; EXECUTE unknown; PREPARE b AS SELECT 3; EXECUTE b"
    found = [(used.name, behind.statements[0].text) for used, behind in uses(names, admitted(text))]
    assert found == [("a", "SELECT 1"), ("c", "SELECT 2"), ("c", "SELECT 2")]
