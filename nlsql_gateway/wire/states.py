"""The conversation with a client after login: every transition in two tables. An absent key is a protocol error.

A third table has what is done with each message of the upstream's. PostgreSQL manual, "Message Flow". docs/protocol.md
shows the tables; a test compares them.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

from nlsql_gateway.errors import ProtocolError


class Phase(enum.Enum):
    """Where the conversation stands, as seen from the client's next message."""

    READY = "ready"
    "Between statements, or within a pipeline of the extended protocol."
    SKIPPING = "skipping"
    "After an error in the extended protocol: everything up to Sync is discarded, as PostgreSQL does."
    COPY_IN = "copy in"
    "The upstream has asked for the data of COPY FROM STDIN."

    __hash__ = object.__hash__  # Enum's own is Python code, and this is looked up for every message


class Action(enum.Enum):
    """What is done with a client's message."""

    ADMIT = "admit"
    "It carries statement text: through the gate, then on in its admitted form, or refused in step."
    RELAY = "relay"
    "Sent on as it is."
    REFUSE = "refuse"
    "Answered with an error that comes in step; the connection goes on."
    IGNORE = "ignore"
    "Dropped without an answer, as PostgreSQL does."
    END = "end"
    "The client leaves."


class Event(enum.Enum):
    """What moves the conversation besides the client's messages."""

    COPY_BEGINS = "CopyInResponse"
    COPY_FAILS = "an error ends COPY FROM STDIN in a simple query"
    SKIP_BEGINS = "an error in the extended protocol, upstream's or ours, before the client's Sync"


NAMES: Final = {
    ord("Q"): "Query",
    ord("P"): "Parse",
    ord("B"): "Bind",
    ord("D"): "Describe",
    ord("E"): "Execute",
    ord("C"): "Close",
    ord("H"): "Flush",
    ord("S"): "Sync",
    ord("F"): "FunctionCall",
    ord("d"): "CopyData",
    ord("c"): "CopyDone",
    ord("f"): "CopyFail",
    ord("X"): "Terminate",
}


class Move(NamedTuple):
    action: Action
    phase: Phase
    "The phase after the message."


def _row(phase: Phase, **moves: str) -> dict[int, Move]:
    """``relay="BD"``: these messages are relayed and the phase stays."""
    return {ord(kind): Move(Action(action), phase) for action, kinds in moves.items() for kind in kinds}


TABLE: Final[dict[Phase, dict[int, Move]]] = {
    Phase.READY: _row(
        Phase.READY,
        admit="QP",
        # Data that comes ahead of CopyInResponse, or after a COPY that failed: PostgreSQL ignores the latter itself.
        relay="BDECHSdcf",
        refuse="F",  # it calls any function by OID, past every check of statement text
        end="X",
    ),
    Phase.SKIPPING: {
        **_row(Phase.SKIPPING, ignore="QPBDECHFdcf", end="X"),
        ord("S"): Move(Action.RELAY, Phase.READY),
    },
    Phase.COPY_IN: {
        **_row(
            Phase.COPY_IN,
            relay="d",
            ignore="HS",  # "the backend will ignore Flush and Sync messages received during copy-in mode"
            end="X",
        ),
        ord("c"): Move(Action.RELAY, Phase.READY),
        ord("f"): Move(Action.RELAY, Phase.READY),
    },
}

EVENTS: Final[dict[Phase, dict[Event, Phase]]] = {
    Phase.READY: {Event.COPY_BEGINS: Phase.COPY_IN, Event.SKIP_BEGINS: Phase.SKIPPING},
    Phase.SKIPPING: {Event.SKIP_BEGINS: Phase.SKIPPING},
    Phase.COPY_IN: {Event.COPY_FAILS: Phase.READY, Event.SKIP_BEGINS: Phase.SKIPPING},
}


def move(phase: Phase, kind: int) -> Move:
    """What to do with a message of type byte ``kind``. Raises ProtocolError for one that has no place here."""
    found = TABLE[phase].get(kind)
    if found is None:
        raise ProtocolError(f"unexpected message {NAMES.get(kind, f'type 0x{kind:02x}')} while {phase.value}")
    return found


def after(phase: Phase, event: Event) -> Phase:
    """The phase after ``event``. Raises ProtocolError for one that cannot happen here."""
    found = EVENTS[phase].get(event)
    if found is None:
        raise ProtocolError(f"{event.value} while {phase.value}")
    return found


class Handling(enum.Enum):
    """What is done with a message of the upstream's."""

    RELAY = "relay"
    "Sent on as it comes, at any time, unread."
    COUNT = "count"
    "The same; its number and size are in the account of what runs."
    STEP = "step"
    "The same; that it came ends a step, or begins COPY."
    READ = "read"
    "Waited for whole and read, then sent on as it is."
    EXCHANGE = "exchange"
    "Waited for whole and read; ours may be sent in its place."
    REFUSE = "refuse"
    "It ends the connection."


REPLIES: Final = {
    ord("1"): ("ParseComplete", Handling.STEP),
    ord("2"): ("BindComplete", Handling.STEP),
    ord("3"): ("CloseComplete", Handling.STEP),
    ord("A"): ("NotificationResponse", Handling.RELAY),
    ord("C"): ("CommandComplete", Handling.READ),
    ord("D"): ("DataRow", Handling.COUNT),
    ord("E"): ("ErrorResponse", Handling.EXCHANGE),
    ord("G"): ("CopyInResponse", Handling.STEP),
    ord("H"): ("CopyOutResponse", Handling.RELAY),
    ord("I"): ("EmptyQueryResponse", Handling.STEP),
    ord("N"): ("NoticeResponse", Handling.RELAY),
    ord("S"): ("ParameterStatus", Handling.READ),
    ord("T"): ("RowDescription", Handling.STEP),
    ord("W"): ("CopyBothResponse", Handling.REFUSE),
    ord("Z"): ("ReadyForQuery", Handling.READ),
    ord("c"): ("CopyDone", Handling.RELAY),
    ord("d"): ("CopyData", Handling.COUNT),
    ord("n"): ("NoData", Handling.STEP),
    ord("s"): ("PortalSuspended", Handling.STEP),
    ord("t"): ("ParameterDescription", Handling.RELAY),
}
"""By type byte. Not here: FunctionCallResponse, which nobody asks for, and what comes only before the first query."""
