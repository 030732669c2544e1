"""Ask the upstream what the service role may do: for ``nlsql-gateway check``.

A read-only session is the second wall and can be turned off by who owns it; the role's own powers are the ground that
both walls stand on. So each power that a reader does not need is a finding, also one that the role only has by way of
a role that it is a member of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nlsql_gateway.config import Upstream
from nlsql_gateway.errors import UpstreamError
from nlsql_gateway.server import pooling
from nlsql_gateway.server.service_login import ERRORS, ServiceLogin, translated


@dataclass(frozen=True, slots=True)
class Role:
    server_version: str
    "As the server words it: 18.1 (Debian 18.1-1)."
    findings: tuple[str, ...]
    "What the role may do and should not, one clause each; empty when it is fit."
    unpinned: tuple[str, ...] = ()
    "Pins that are not the role's own settings, where they must be."


# A superuser counts as a member of every role, so for it only itself is asked for.
_POWERS: Final = """
SELECT r.rolname::text, r.rolname = current_user, r.rolname LIKE 'pg\\_%',
    r.rolsuper, r.rolbypassrls, r.rolreplication, r.rolcreaterole, r.rolcreatedb
FROM pg_catalog.pg_roles r
WHERE r.rolname = current_user OR pg_catalog.pg_has_role(current_user, r.oid, 'MEMBER')
    AND NOT (SELECT me.rolsuper FROM pg_catalog.pg_roles me WHERE me.rolname = current_user)
ORDER BY r.rolname <> current_user, r.rolname"""

_OWNED: Final = """
SELECT count(*), min(c.oid::regclass::text) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND r.rolname::text = ANY ($1::text[])"""

_WORDS: Final = ("is a superuser", "bypasses row security", "may replicate", "may create roles", "may create databases")


async def reachable(upstream: Upstream, password: str | None, database: str) -> None:
    """Log in as the service role. Raises UpstreamError when that is not possible.

    A server that says only then that there is no such database, or that the role may not enter it, has let it in
    (PostgreSQL looks at these after the login).
    """
    try:
        connection = await ServiceLogin(upstream, password, None).connect(database=database)
    except UpstreamError as error:
        if error.sqlstate not in ("3D000", "42501"):
            raise
    else:
        connection.terminate()


async def probe(upstream: Upstream, password: str | None, database: str, pins: Mapping[str, str] | None = None) -> Role:
    """Log in as the service role and look at it; behind a pooler also at its settings, which ``pins`` must be.

    Raises UpstreamError when that is not possible.
    """
    try:
        connection = await ServiceLogin(upstream, password, None).connect(database=database)
        try:
            unpinned = await _unpinned(connection, {} if upstream.pooler == "none" else pins or {})
            version = await connection.fetchval("SELECT current_setting('server_version')", timeout=10)
            roles = await connection.fetch(_POWERS, timeout=10)
            count, example = await connection.fetchrow(_OWNED, [role[0] for role in roles], timeout=10) or (0, None)
        finally:
            connection.terminate()
    except ERRORS as error:
        raise translated(error, upstream.endpoints[0], upstream) from error
    if not roles:
        raise UpstreamError(f"the upstream does not know the role {upstream.user} that it let in")
    findings = []
    for name, own, predefined, *powers in roles:
        if predefined and not own:
            findings.append(f"is a member of {name}")
        has = [word for word, given in zip(_WORDS, powers, strict=True) if given]
        findings.extend(has if own else [f"is a member of {name}, which {word}" for word in has])
    if count:
        findings.append(f"owns {count} relation{'' if count == 1 else 's'}, such as {example}")
    return Role(version, tuple(findings), unpinned)


async def _unpinned(connection: Any, pins: Mapping[str, str]) -> tuple[str, ...]:
    """As ``pooling.not_in_force``, over asyncpg."""
    if not pins:
        return ()
    values: list[str] = []
    transaction = connection.transaction()
    await transaction.start()
    try:
        for statement in pooling.comparison(pins):
            if statement.startswith("SELECT"):
                values.append(await connection.fetchval(statement) or "")
            else:
                await connection.execute(statement)
    finally:
        await transaction.rollback()
    return tuple(pooling.missing(list(pins), values))
