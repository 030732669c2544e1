"""Refusals: what goes upstream in the place of a message that may not, and what the client is told."""

from __future__ import annotations

from typing import Final

from nlsql_gateway.admission import Admitted, Refused
from nlsql_gateway.wire.messages import fault

REFUSED_TEXT: Final = "refused by nlsql-gateway"
"""Certain to be a syntax error in every PostgreSQL."""

REFUSED_NAME: Final = "nlsql-gateway refused"
"""Of the statement that never comes to be: a failed Parse of the unnamed one would drop the client's own."""


def error(refused: Refused) -> bytes:
    return fault(
        "ERROR",
        refused.sqlstate,
        refused.message,
        detail=refused.detail,
        hint=refused.hint,
        position=refused.position,
    ).encode()


def notices(admitted: Admitted) -> bytes:
    if not admitted.notices:
        return b""
    return b"".join(
        [fault("NOTICE", "00000", notice.message, detail=notice.detail).encode(b"N") for notice in admitted.notices]
    )
