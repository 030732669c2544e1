"""Which relation a name means: as PostgreSQL finds it, by the schema written or by the search path that is in force."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nlsql_gateway.policy.model import Policy
from nlsql_gateway.policy.open_catalogs import SYSTEM_SCHEMAS
from nlsql_gateway.sql import Catalog

Key = tuple[str, str]


def path(catalog: Catalog, policy: Policy) -> tuple[str, ...]:
    """The schemas in the order of search; pg_catalog is first unless it is named (manual, 5.10.3)."""
    written = policy.search_path if policy.search_path is not None else catalog.search_path
    return written if "pg_catalog" in written else ("pg_catalog", *written)


def find(schema: str, name: str, catalog: Catalog, policy: Policy) -> Key | None:
    """(schema, name) of the relation; '' as schema: by the search path. None: there is none, or it cannot be told."""
    if schema:
        return (schema, name) if schema in SYSTEM_SCHEMAS or (schema, name) in catalog.relations else None
    found = [(one, name) for one in path(catalog, policy) if (one, name) in catalog.relations]
    if not _has_system(catalog) and _is_system(name, policy):
        # The picture has no system relations: a name that could be one, and is a user's too, could be either.
        return None if found else ("pg_catalog", name)
    return found[0] if found else None


def is_open(key: Key, policy: Policy) -> bool:
    """Whether a system relation may be read by everybody."""
    closed = policy.closed_catalogs
    opened = policy.open_catalogs
    anything = (key[0], "*")
    return key not in closed and anything not in closed and (key in opened or anything in opened)


def split(text: str) -> tuple[str, ...] | None:
    """The parts of a qualified name in a string, as regclass reads it; None when it is none, such as an OID."""
    parts: list[str] = []
    for match in _parts(text.strip()):
        if match is None:
            return None
        quoted, bare = match
        parts.append(quoted.replace('""', '"') if quoted is not None else bare.lower())
    return tuple(parts) if 1 <= len(parts) <= 3 else None


_PART = re.compile(r'\s*(?:"((?:[^"]|"")+)"|([^\s".]+))\s*(\.|$)')


def _parts(text: str) -> Iterator[tuple[str | None, str] | None]:
    at = 0
    while True:
        match = _PART.match(text, at)
        if match is None:
            yield None
            return
        yield match[1], match[2] or ""
        at = match.end()
        if not match[3]:
            return


def _has_system(catalog: Catalog) -> bool:
    return ("pg_catalog", "pg_class") in catalog.relations


def _is_system(name: str, policy: Policy) -> bool:
    return name.startswith("pg_") or ("pg_catalog", name) in policy.open_catalogs
