"""The conversation with a client after login: every transition in one table. An absent key is a protocol error.

PostgreSQL manual, "Message Flow". docs/protocol.md shows the table; a test compares the two.
"""

from __future__ import annotations

import enum
from typing import Final

from nlsql_gateway.errors import ProtocolError


class Phase(enum.Enum):
    """Where the conversation stands, as seen from the client's next message."""

    READY = "ready"
    "Between statements, or within a pipeline of the extended protocol."
    SKIPPING = "skipping"
    "After an error in the extended protocol: everything up to Sync is discarded, as PostgreSQL does."
    COPY_IN = "copy in"
    "The upstream has asked for the data of COPY FROM STDIN."


class Action(enum.Enum):
    """What is done with a message."""

    ADMIT = "admit"
    "It carries statement text: through the gate, then on in its admitted form, or refused in step."
    RELAY = "relay"
    "Sent on as it is, and its replies expected."
    REFUSE = "refuse"
    "Answered with an error that comes in step; the connection goes on."
    IGNORE = "ignore"
    "Dropped without an answer, as PostgreSQL does."
    END = "end"
    "The client leaves."


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

_EXTENDED = {ord(c): Action.RELAY for c in "BDECHS"}

TABLE: Final[dict[Phase, dict[int, Action]]] = {
    Phase.READY: {
        ord("Q"): Action.ADMIT,
        ord("P"): Action.ADMIT,
        **_EXTENDED,
        ord("F"): Action.REFUSE,  # it calls any function by OID, past every check of statement text
        ord("d"): Action.IGNORE,  # left over from a COPY that failed
        ord("c"): Action.IGNORE,
        ord("f"): Action.IGNORE,
        ord("X"): Action.END,
    },
    Phase.SKIPPING: {
        **{ord(c): Action.IGNORE for c in "QPBDECHFdcf"},
        ord("S"): Action.RELAY,
        ord("X"): Action.END,
    },
    Phase.COPY_IN: {
        ord("d"): Action.RELAY,
        ord("c"): Action.RELAY,
        ord("f"): Action.RELAY,
        ord("H"): Action.IGNORE,  # "the backend will ignore Flush and Sync messages received during COPY"
        ord("S"): Action.IGNORE,
        ord("X"): Action.END,
    },
}


def action(phase: Phase, kind: int) -> Action:
    """What to do with a message of type byte ``kind``. Raises ProtocolError for one that has no place here."""
    found = TABLE[phase].get(kind)
    if found is None:
        name = NAMES.get(kind, f"type 0x{kind:02x}")
        raise ProtocolError(f"unexpected message {name} while {phase.value}")
    return found
