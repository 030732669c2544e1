"""Decision: what the engine says of one statement. A denial is a value with a reason, never an exception."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class Reason(enum.Enum):
    """Why a statement was refused. The value is the name in the audit log; each member documents itself."""

    NO_RULE = "no_rule"
    "No grant covers the relation for this person."
    COLUMN_DENIED = "column_denied"
    "A grant covers the relation but not this column."
    WRITE = "write"
    "The statement would change data, the schema or the server (SQLSTATE 25006)."
    STATEMENT_KIND = "statement_kind"
    "This kind of statement is not on the allowlist."
    FUNCTION = "function"
    "A function that is not on the allowlist."
    SETTING = "setting"
    "A setting that clients may not change, or not to this value."
    CONSTRUCT = "construct"
    "A part of a statement that is not allowed, such as FOR UPDATE or SELECT INTO."
    NOT_UNDERSTOOD = "not_understood"
    "The parsers cannot read the statement, or disagree about it (SQLSTATE 42601 or 0A000)."
    UNKNOWN_NAME = "unknown_name"
    "A relation, column or function that does not exist, as far as this person may know (42P01, 42703, 42883)."
    SESSION = "session"
    "It needs a session, and a pooler in transaction mode gives none (SQLSTATE 0A000)."
    LIMIT = "limit"
    "Over a limit of size or depth (SQLSTATE 54000)."


@dataclass(frozen=True, slots=True)
class Applied:
    """One rule that changed, allowed or refused the statement, for explain and the audit log."""

    rule: str
    "row_filter, mask, columns, setting; of a refusal deny or columns"
    target: str
    "The relation or column it applied to: public.customers, public.customers.email."
    detail: str = ""
    "Such as the kind of mask. Never a person's attribute value, never a literal."
    lines: tuple[int, ...] = field(default=(), compare=False)
    "Of the policy file, where the rules stand."


@dataclass(frozen=True, slots=True)
class Allow:
    sql: str
    "The text to send upstream: the client's own, byte for byte, where no rule touched it."
    applied: tuple[Applied, ...] = ()
    relations: tuple[str, ...] = ()
    "schema.name of every relation read, sorted."
    functions: tuple[str, ...] = ()
    "Every function called, sorted, as written after case folding; schema-qualified if written so."
    shadow: str = ""
    "Shadow mode: the reason why it would have been refused, or changed; ``applied`` is then what would have been."


@dataclass(frozen=True, slots=True)
class Deny:
    reason: Reason
    sqlstate: str
    message: str
    "One line for the person refused; names no hidden table, column or value beyond what the person wrote."
    hint: str = ""
    relations: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    position: int | None = None
    "Character offset from 1 in the statement's text, where known."
    applied: tuple[Applied, ...] = field(default=(), compare=False)
    "The rules that refuse it, for explain and the audit log; none: it is what no rule gives."


Decision = Allow | Deny
