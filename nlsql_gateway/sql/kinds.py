"""What kind of statement a node of the grammar is: tables, so that a statement that nobody listed is OTHER."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from nlsql_gateway.sql.grammar import Node


class Kind(enum.Enum):
    """What a statement does, as far as a policy needs to tell them apart. Unlisted ones are OTHER, never SELECT."""

    __hash__ = object.__hash__  # Enum's own is Python code, and this is looked up for every statement

    SELECT = "select"
    "Also VALUES, TABLE and WITH … SELECT; a data-changing WITH, INTO and FOR UPDATE are found inside it."
    EXPLAIN = "explain"
    SHOW = "show"
    SET = "set"
    RESET = "reset"
    BEGIN = "begin"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    SAVEPOINT = "savepoint"
    RELEASE = "release"
    ROLLBACK_TO = "rollback to"
    TWO_PHASE = "two-phase commit"
    "PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED."
    DECLARE = "declare"
    FETCH = "fetch"
    "Also MOVE."
    CLOSE = "close"
    PREPARE = "prepare"
    EXECUTE = "execute"
    DEALLOCATE = "deallocate"
    DISCARD = "discard"
    LISTEN = "listen"
    UNLISTEN = "unlisten"
    NOTIFY = "notify"
    COPY_TO = "copy to"
    COPY_FROM = "copy from"
    WRITE = "write"
    "INSERT, UPDATE, DELETE, MERGE, TRUNCATE."
    DDL = "ddl"
    DO = "do"
    CALL = "call"
    MAINTENANCE = "maintenance"
    "VACUUM, ANALYZE, CLUSTER, REINDEX, CHECKPOINT, REFRESH MATERIALIZED VIEW."
    OTHER = "other"


_NODES: Mapping[str, Kind] = {
    "SelectStmt": Kind.SELECT,
    "ExplainStmt": Kind.EXPLAIN,
    "VariableShowStmt": Kind.SHOW,
    "DeclareCursorStmt": Kind.DECLARE,
    "FetchStmt": Kind.FETCH,
    "ClosePortalStmt": Kind.CLOSE,
    "PrepareStmt": Kind.PREPARE,
    "ExecuteStmt": Kind.EXECUTE,
    "DeallocateStmt": Kind.DEALLOCATE,
    "DiscardStmt": Kind.DISCARD,
    "ListenStmt": Kind.LISTEN,
    "UnlistenStmt": Kind.UNLISTEN,
    "NotifyStmt": Kind.NOTIFY,
    "InsertStmt": Kind.WRITE,
    "UpdateStmt": Kind.WRITE,
    "DeleteStmt": Kind.WRITE,
    "MergeStmt": Kind.WRITE,
    "TruncateStmt": Kind.WRITE,
    "DoStmt": Kind.DO,
    "CallStmt": Kind.CALL,
    "VacuumStmt": Kind.MAINTENANCE,
    "ClusterStmt": Kind.MAINTENANCE,
    "ReindexStmt": Kind.MAINTENANCE,
    "CheckPointStmt": Kind.MAINTENANCE,
    "RefreshMatViewStmt": Kind.MAINTENANCE,
}

_TRANSACTIONS: Mapping[str, Kind] = {
    "TRANS_STMT_BEGIN": Kind.BEGIN,
    "TRANS_STMT_START": Kind.BEGIN,
    "TRANS_STMT_COMMIT": Kind.COMMIT,
    "TRANS_STMT_ROLLBACK": Kind.ROLLBACK,
    "TRANS_STMT_SAVEPOINT": Kind.SAVEPOINT,
    "TRANS_STMT_RELEASE": Kind.RELEASE,
    "TRANS_STMT_ROLLBACK_TO": Kind.ROLLBACK_TO,
    "TRANS_STMT_PREPARE": Kind.TWO_PHASE,
    "TRANS_STMT_COMMIT_PREPARED": Kind.TWO_PHASE,
    "TRANS_STMT_ROLLBACK_PREPARED": Kind.TWO_PHASE,
}

_SETTINGS: Mapping[str, Kind] = {
    "VAR_SET_VALUE": Kind.SET,
    "VAR_SET_DEFAULT": Kind.SET,
    "VAR_SET_MULTI": Kind.SET,
    "VAR_RESET": Kind.RESET,
    "VAR_RESET_ALL": Kind.RESET,
}

_DDL_PREFIXES = ("Create", "Alter", "Drop", "Grant", "Define")
_DDL = frozenset(
    {
        *("ViewStmt", "IndexStmt", "RuleStmt", "RenameStmt", "CommentStmt", "SecLabelStmt", "ReassignOwnedStmt"),
        *("ImportForeignSchemaStmt", "CompositeTypeStmt"),
    }
)

_NAMES: Mapping[Kind, str] = {
    Kind.PREPARE: "name",
    Kind.EXECUTE: "name",
    Kind.DEALLOCATE: "name",
    Kind.DECLARE: "portalname",
    Kind.FETCH: "portalname",
    Kind.CLOSE: "portalname",
    Kind.SET: "name",
    Kind.RESET: "name",
    Kind.SHOW: "name",
}


def kind_of(node: Node) -> tuple[Kind, str]:
    """The kind of ``node`` and the name it concerns: of a prepared statement, cursor or setting; '' for none or all."""
    ((tag, body),) = node.items()
    kind = _kind(tag, body)
    name = str(body.get(_NAMES[kind], "")) if kind in _NAMES else ""
    return kind, "" if kind is Kind.SHOW and name == "all" else name


def _kind(tag: str, body: Node) -> Kind:
    if tag == "TransactionStmt":
        return _TRANSACTIONS.get(body.get("kind", "TRANS_STMT_BEGIN"), Kind.OTHER)
    if tag == "VariableSetStmt":
        return _SETTINGS.get(body.get("kind", "VAR_SET_VALUE"), Kind.OTHER)
    if tag == "CopyStmt":
        return Kind.COPY_FROM if body.get("is_from") else Kind.COPY_TO
    if tag in _DDL or tag.startswith(_DDL_PREFIXES):
        return Kind.DDL
    return _NODES.get(tag, Kind.OTHER)
