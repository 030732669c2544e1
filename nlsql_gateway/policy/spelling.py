"""nearest(): the key that somebody probably meant, for the message about one that is not known."""

from __future__ import annotations

import difflib

from pydantic import BaseModel

from nlsql_gateway.policy import schema

_INSIDE: dict[str, type[BaseModel]] = {
    "read": schema.Read,
    "deny": schema.Denied,
    "rows": schema.Rows,
    "masks": schema.Mask,
    "with": schema.MaskWith,
    "constant": schema.Constant,
    "partial": schema.Partial,
    "round": schema.Rounded,
    "bucket": schema.Bucket,
    "functions": schema.Functions,
    "catalogs": schema.Catalogs,
    "settings": schema.Settings,
    "statements": schema.Statements,
    "limits": schema.Limited,
    "when": schema.When,
}
"""Key -> what may stand below it."""


def nearest(path: tuple[str | int, ...]) -> str | None:
    """A known key like the last one of ``path``, among those that may stand there; None: none is close."""
    found = difflib.get_close_matches(str(path[-1]), _keys(path[:-1]), n=1)
    return found[0] if found else None


def _keys(path: tuple[str | int, ...]) -> list[str]:
    names = [part for part in path if isinstance(part, str)]
    model: type[BaseModel] | None
    if not names:
        model = schema.PolicyFile
    elif len(names) == 2 and names[0] in ("users", "roles"):
        model = schema.User if names[0] == "users" else schema.RoleFile
    else:
        top: dict[str, type[BaseModel]] = {"rows": schema.RowsForAll, "cases": schema.Case}
        model = top.get(names[0]) if len(names) == 1 and names[0] in top else _INSIDE.get(names[-1])
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]
