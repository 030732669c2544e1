"""All exceptions.

::

    GatewayError                     carries what the peer is told
    ├── ConfigError                  F0000  a setting, policy or users file is wrong; the CLI exits with 2
    ├── ProtocolError                08P01  the peer broke the PostgreSQL protocol
    ├── AuthenticationError          28P01  (or 28000) login failed
    ├── UpstreamError                08006  the PostgreSQL behind us is gone or refused; may carry its own SQLSTATE
    ├── StatementError               42601  (or 0A000) the text is not a statement that we understand
    ├── LimitError                   54000  over a limit: bytes, tokens, depth
    ├── AuditError                   58030  not recorded, therefore not run
    └── AskError
        ├── Unanswerable             NL001  cannot be answered from what this person may see
        ├── ModelUnavailable         NL002  no model, or it is overloaded
        ├── NoValidSql               NL003  the model found no SQL that is valid and allowed
        ├── LowConfidence            NL004  below the confidence threshold
        └── AskTimeout               57014  the deadline passed, or the client cancelled

A refusal by policy is not an exception: it is a ``policy.Deny`` value.
SQLSTATE classes: PostgreSQL manual, appendix A; class NL is this project's own.
"""

from __future__ import annotations

from typing import ClassVar, Literal


class GatewayError(Exception):
    """Base of all errors.

    ``message`` is one line without secrets, literals or hidden names; it may be shown to the client.
    ``hint`` says what to do, ``detail`` adds facts. ``sqlstate`` is five characters.
    """

    default_sqlstate: ClassVar[str] = "XX000"

    def __init__(self, message: str, *, hint: str = "", detail: str = "", sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail
        self.sqlstate = sqlstate or self.default_sqlstate


class ConfigError(GatewayError):
    """A file or key that an operator wrote is wrong. ``message`` names the file, the line if known, and the key."""

    default_sqlstate = "F0000"


class ProtocolError(GatewayError):
    """Bytes that are not the PostgreSQL protocol, or a message in the wrong state."""

    default_sqlstate = "08P01"


class AuthenticationError(GatewayError):
    """Login failed. The message never says whether the user exists."""

    default_sqlstate = "28P01"


class UpstreamError(GatewayError):
    """The upstream could not be reached, was lost, or answered with an error (then ``sqlstate`` is its own)."""

    default_sqlstate = "08006"


class StatementError(GatewayError):
    """Statement text that cannot be understood; ``position`` is the character offset from 1, or None."""

    default_sqlstate = "42601"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        detail: str = "",
        sqlstate: str | None = None,
        position: int | None = None,
    ) -> None:
        super().__init__(message, hint=hint, detail=detail, sqlstate=sqlstate)
        self.position = position


class LimitError(GatewayError):
    """A stated limit would be passed."""

    default_sqlstate = "54000"


class AuditError(GatewayError):
    """The audit log could not be written or read. What is not recorded does not run."""

    default_sqlstate = "58030"


class AskError(GatewayError):
    """A question did not become an answer."""

    default_sqlstate = "NL003"


class Unanswerable(AskError):
    """The question cannot be answered from what this person may see."""

    default_sqlstate = "NL001"


class ModelUnavailable(AskError):
    """No answer from the model.

    ``fault``: "down" when it cannot be reached, is not ready or failed; "busy" when it is overloaded; "refused" when it
    will not take this request.
    """

    default_sqlstate = "NL002"

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        detail: str = "",
        sqlstate: str | None = None,
        fault: Literal["down", "busy", "refused"] = "down",
    ) -> None:
        super().__init__(message, hint=hint, detail=detail, sqlstate=sqlstate)
        self.fault = fault


class NoValidSql(AskError):
    """The model's text was not SQL that is valid and allowed, repairs included."""

    default_sqlstate = "NL003"


class LowConfidence(AskError):
    """An answer was found but is below the confidence threshold."""

    default_sqlstate = "NL004"


class AskTimeout(AskError):
    """The deadline of the question passed, or the client cancelled."""

    default_sqlstate = "57014"
