"""Late: ``ask($1)``. The question is known when it is bound, so the statement is admitted then, and prepared again.

At Parse the upstream is sent a stand-in, so that it answers ParseComplete in its turn; at Bind it is sent, under a name
of our own, the statement with the answer in the function's place, and what it says of that is kept from the client. The
columns are not known before: to describe the statement is refused, to describe the portal is not.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from nlsql_gateway.admission import Admitted, Client, Refused
from nlsql_gateway.errors import GatewayError
from nlsql_gateway.server.gate import Gate
from nlsql_gateway.server.names import Names
from nlsql_gateway.server.positions import NOWHERE
from nlsql_gateway.server.refusals import notices
from nlsql_gateway.server.renewals import Verdict
from nlsql_gateway.sql.table_function import bound, parameters
from nlsql_gateway.wire.downstream import Bind, Parse, parse_target
from nlsql_gateway.wire.framing import HEADER
from nlsql_gateway.wire.messages import message, string
from nlsql_gateway.wire.replies import Expected, Step

STAND_IN: Final = "SELECT 1"
"""Prepared in the statement's place, without its parameters, for it is never bound."""

_NAME: Final = "nlsql-gateway asked"
_TEXT: Final = 25
"""The OID of text (pg_type.dat): nothing in the statement says any more what the question's parameter is."""
_UNSPECIFIED: Final = (0, 705)
_PORTAL: Final = message(b"D", b"P\0")
"""Describe of the unnamed portal: what most drivers send behind every Bind."""

UNDESCRIBED: Final = Refused(
    "",
    "0A000",
    "the columns of ask($n) are not known before the question is",
    hint="describe the portal, or write the question as a constant: ask('…')",
)


class Late:
    """What it is given is called as in ``Requests``."""

    __slots__ = ("_admit", "_bound", "_client", "_gate", "_names", "_refuse", "_send")

    def __init__(
        self,
        gate: Gate,
        client: Client,
        names: Names,
        admit: Callable[[str, Client, Callable[[Verdict], None]], None],
        send: Callable[[bytes, Expected], None],
        refuse: Callable[[Refused], None],
        bound: Callable[[bytes, Bind, Admitted], None],
    ) -> None:
        self._gate = gate
        self._client = client
        self._names = names
        self._admit = admit
        self._send = send
        self._refuse = refuse
        self._bound = bound

    def takes(self, parse: Parse) -> bool:
        """Whether it is such a statement; then the stand-in is on its way."""
        if not self._gate.asks_later(parse.text, self._client):
            return False
        # Never in force: whoever names it in EXECUTE has it admitted, and refused.
        statement = Admitted("", "", (), parse.text, late=parse.types)
        self._send(
            Parse(parse.name, "").encode(STAND_IN),
            Expected(Step.PARSE, change=self._names.statements.send(parse.name, statement)),
        )
        return True

    def describe(self, whole: bytes) -> None:
        """Any Describe: of such a statement it is refused."""
        if whole == _PORTAL:
            self._send(whole, Expected(Step.DESCRIBE))
            return
        kind, name = parse_target("DESCRIBE", whole[HEADER:])
        statement = self._names.statements.get(name) if kind == "S" else None
        if statement is not None and statement.late:
            self._refuse(UNDESCRIBED)
        else:
            self._send(whole, Expected(Step.DESCRIBE))

    def bind(self, whole: bytes, bind: Bind, statement: Admitted) -> None:
        """``statement``: what ``takes`` took."""
        try:
            text = bound(statement.source, [_read(value) for value in bind.parameters])
        except GatewayError as error:
            self._refuse(Refused("", error.sqlstate, error.message, hint=error.hint))
            return

        def then(verdict: Verdict) -> None:
            if isinstance(verdict, Refused):
                self._refuse(verdict._replace(position=None))
                return
            parse = Parse(_NAME, "", _with_texts(statement.late, parameters(statement.source)))
            statements = self._names.statements  # the client could use our name, too: then this is what it stands for
            close = message(b"C", b"S" + _NAME.encode() + b"\0")
            self._send(close, Expected(Step.CLOSE, change=statements.send(_NAME, None), silent=True))
            prepared = Expected(
                Step.PARSE,
                is_recorded=True,
                silent=True,
                rewritten=NOWHERE,
                notice=notices(verdict),
                change=statements.send(_NAME, verdict),
            )
            self._send(parse.encode(verdict.sql), prepared)
            _, rest = string(whole, HEADER)
            _, rest = string(whole, rest)
            body = bind.portal.encode() + b"\0" + _NAME.encode() + b"\0" + whole[rest:]
            self._bound(message(b"B", body), bind, verdict)

        self._admit(text, self._client, then)


def _read(value: str | None) -> str | None:
    """A parameter in binary is the same text (``Bind.parameters``)."""
    if value is None or not value.startswith("hex:"):
        return value
    try:
        return bytes.fromhex(value[4:]).decode()
    except ValueError:
        return value


def _with_texts(types: bytes, numbers: frozenset[int]) -> bytes:
    """The types of Parse, where those of ``numbers`` are text unless they are given."""
    given = list(struct.unpack(f"!{(len(types) - 2) // 4}I", types[2:]))
    given += [0] * (max(numbers, default=0) - len(given))
    for number in numbers:
        if given[number - 1] in _UNSPECIFIED:
            given[number - 1] = _TEXT
    return struct.pack(f"!H{len(given)}I", len(given), *given)
