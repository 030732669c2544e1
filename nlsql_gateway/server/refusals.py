"""Refusals: what goes upstream in the place of a message that may not, and what the client is told."""

from __future__ import annotations

from typing import Final

from nlsql_gateway.admission import Admitted, Refused
from nlsql_gateway.errors import AuditError
from nlsql_gateway.wire import upstream
from nlsql_gateway.wire.downstream import Parse, parse_parse
from nlsql_gateway.wire.framing import HEADER
from nlsql_gateway.wire.messages import fault
from nlsql_gateway.wire.replies import Expected, Step

REFUSED_TEXT: Final = "refused by nlsql-gateway"
"""Certain to be a syntax error in every PostgreSQL."""

REFUSED_NAME: Final = "nlsql-gateway refused"
"""Of the statement that never comes to be: a failed Parse of the unnamed one would drop the client's own."""

FUNCTION_CALL: Final = Refused("", "0A000", "FunctionCall is not supported", hint="call the function in a SELECT")

SKIPPED: Final = "57014"
"""The outcome of a question that was answered too late to run."""

CHANGED: Final = "cached plan must not change result type"
"""What PostgreSQL says when tables have changed, and what is said when policy or catalog have."""

LIMITED: Final = "the policy limits what one statement may return: add a condition, LIMIT, or aggregate"

_CHANGED_ROUTINE: Final = "RevalidateCachedQuery"
"""By this field of the error pgjdbc and asyncpg know that they may prepare the statement again by themselves."""


def error(refused: Refused) -> bytes:
    return fault(
        "ERROR",
        refused.sqlstate,
        refused.message,
        detail=refused.detail,
        hint=refused.hint,
        position=refused.position,
        routine=_CHANGED_ROUTINE if refused.message == CHANGED else "",
    ).encode()


def notices(admitted: Admitted) -> bytes:
    if not admitted.notices:
        return b""
    return b"".join(
        [
            fault(*(_WARNING if notice.is_warning else _NOTICE), notice.message, detail=notice.detail).encode(b"N")
            for notice in admitted.notices
        ]
    )


_NOTICE: Final = ("NOTICE", "00000")
_WARNING: Final = ("WARNING", "01000")
"Severity and SQLSTATE (manual, appendix A)."


def refuse_unrecorded(waiting: list[tuple[bytes, Expected | None]], why: AuditError, errors: str) -> bool:
    """The records of what waits could not be kept: each message that has one is exchanged for one that fails.

    Whether the upstream will skip what the client sends next; ``errors``: as for ``wire.messages.string``.
    """
    refusal = error(Refused("", why.sqlstate, why.message, why.detail, why.hint))
    failed = False
    for index, (sent, entry) in enumerate(waiting):
        if entry is None:
            continue
        if entry.account is not None and entry.is_recorded:
            entry.account.is_closed = True  # nothing ran
        if entry.step is Step.SYNC:
            failed = False
        elif entry.step is Step.QUERY:
            waiting[index] = (upstream.query(REFUSED_TEXT), entry.refused(refusal))
        elif entry.is_recorded:  # even one that the upstream will skip: its text has no record
            failed = True
            if entry.change is not None:
                entry.change.answered(False)
            name = parse_parse(sent[HEADER:], errors).name if entry.step is Step.PARSE else REFUSED_NAME
            waiting[index] = (Parse(name, "").encode(REFUSED_TEXT), entry.refused(refusal, Step.PARSE))
    return failed
