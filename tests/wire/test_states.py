"""The tables of the conversation, and their picture in docs/protocol.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlsql_gateway.errors import ProtocolError
from nlsql_gateway.server.relay import SEEN, WHOLE
from nlsql_gateway.wire.replies import ENDS
from nlsql_gateway.wire.states import EVENTS, NAMES, REPLIES, TABLE, Action, Event, Handling, Move, Phase, after, move

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"

CELLS = {
    Action.ADMIT: "admit",
    Action.RELAY: "relay",
    Action.REFUSE: "refuse",
    Action.IGNORE: "ignore",
    Action.END: "end",
}


def message_rows() -> list[str]:
    """A line for each message, a column for each phase."""
    lines = [f"| message | {' | '.join(phase.value for phase in Phase)} |", "| --- |" + " --- |" * len(Phase)]
    for kind, name in NAMES.items():
        cells = [_cell(phase, TABLE[phase].get(kind)) for phase in Phase]
        lines.append(f"| `{chr(kind)}` {name} | {' | '.join(cells)} |")
    return lines


def _cell(phase: Phase, found: Move | None) -> str:
    if found is None:
        return "error"
    return CELLS[found.action] + (f" → {found.phase.value}" if found.phase is not phase else "")


def event_rows() -> list[str]:
    lines = [f"| event | {' | '.join(phase.value for phase in Phase)} |", "| --- |" + " --- |" * len(Phase)]
    for event in Event:
        cells = [f"→ {EVENTS[phase][event].value}" if event in EVENTS[phase] else "error" for phase in Phase]
        lines.append(f"| {event.value} | {' | '.join(cells)} |")
    return lines


def reply_rows() -> list[str]:
    lines = ["| message of the upstream | what is done with it |", "| --- | --- |"]
    return lines + [f"| `{chr(kind)}` {name} | {handling.value} |" for kind, (name, handling) in REPLIES.items()]


@pytest.mark.parametrize("rows", [message_rows(), event_rows(), reply_rows()], ids=["messages", "events", "replies"])
def test_the_document_shows_the_tables(rows: list[str]) -> None:
    assert "\n".join(rows) in DOCUMENT.read_text(), "\n".join(rows)


def test_every_phase_is_in_the_tables_and_has_only_known_messages() -> None:
    assert set(TABLE) == set(EVENTS) == set(Phase)
    assert all(set(row) <= set(NAMES) for row in TABLE.values())


def test_statement_text_is_admitted_wherever_it_is_not_discarded() -> None:
    for phase, row in TABLE.items():
        for kind in b"QP":
            assert kind not in row or row[kind].action in (Action.ADMIT, Action.IGNORE), (phase, chr(kind))


def test_a_function_call_never_goes_through() -> None:
    assert all(ord("F") not in row or row[ord("F")].action is not Action.RELAY for row in TABLE.values())


@pytest.mark.parametrize("phase", Phase)
def test_every_message_has_a_move_or_is_a_protocol_error(phase: Phase) -> None:
    for kind in range(256):
        if kind in TABLE[phase]:
            assert move(phase, kind) is TABLE[phase][kind]
        else:
            with pytest.raises(ProtocolError) as refused:
                move(phase, kind)
            assert phase.value in refused.value.message


@pytest.mark.parametrize("phase", Phase)
def test_every_event_has_a_phase_or_is_a_protocol_error(phase: Phase) -> None:
    for event in Event:
        if event in EVENTS[phase]:
            assert after(phase, event) is EVENTS[phase][event]
        else:
            with pytest.raises(ProtocolError):
                after(phase, event)


@pytest.mark.parametrize("phase", Phase)
def test_a_client_may_always_leave(phase: Phase) -> None:
    assert move(phase, ord("X")).action is Action.END


def test_sync_ends_skipping_and_nothing_else_does() -> None:
    assert [chr(kind) for kind, found in TABLE[Phase.SKIPPING].items() if found.phase is not Phase.SKIPPING] == ["S"]


def test_the_relay_does_what_the_table_of_the_upstreams_messages_says() -> None:
    by = {handling: frozenset(kind for kind, (_, own) in REPLIES.items() if own is handling) for handling in Handling}
    assert by[Handling.READ] | by[Handling.EXCHANGE] == WHOLE
    assert by[Handling.STEP] | by[Handling.REFUSE] == SEEN
    assert by[Handling.COUNT] == frozenset(b"Dd")
    ends = frozenset(kind for kinds in ENDS.values() for kind in kinds)
    assert ends | frozenset(b"G") == by[Handling.STEP] | frozenset(b"CZ")
