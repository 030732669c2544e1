"""The gateway's port: the only way to the database."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from nlsql_gateway.errors import UpstreamError

SETTINGS: Final = {"application_name": "nlsql-gateway console", "nlsql.progress": "on"}
"""Of each connection: the gateway tells the stages of a question in NOTICEs."""


@dataclass(frozen=True, slots=True)
class Port:
    host: str
    port: int
    certificate: Path | None = None
    "The gateway's own certificate where it speaks TLS: nobody else is talked to."
    timeout: float = 30.0
    "Seconds for a login."

    async def open(self, name: str, password: str, database: str) -> asyncpg.Connection:
        """Log in. Raises UpstreamError with what the gateway says, or 08001 when nobody answers there."""
        try:
            return await asyncpg.connect(
                host=self.host,
                port=self.port,
                user=name,
                password=password,
                database=database,
                timeout=self.timeout,
                ssl=self._tls(),
                server_settings=dict(SETTINGS),
            )
        except asyncpg.PostgresError as error:
            raise said(error) from error
        except (OSError, TimeoutError, asyncpg.InterfaceError) as error:
            raise UpstreamError(
                "the gateway does not answer", hint="try again in a moment, or tell its operator", sqlstate="08001"
            ) from error

    def _tls(self) -> ssl.SSLContext | bool:
        if self.certificate is None:
            return False
        # Read each time: certificates are renewed. What is pinned is the certificate itself, whatever names it has.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(self.certificate)
        return context


class Said(UpstreamError):
    """What the gateway said."""

    position: int | None = None
    "The character of the statement where it is, from 1."


def said(error: asyncpg.PostgresError) -> Said:
    fields: Mapping[str, Any] = error.as_dict()
    made = Said(
        fields.get("message") or str(error),
        detail=fields.get("detail") or "",
        hint=fields.get("hint") or "",
        sqlstate=fields.get("sqlstate"),
    )
    position = str(fields.get("position") or "")
    made.position = int(position) if position.isdecimal() else None
    return made


async def hang_up(connection: asyncpg.Connection) -> None:
    """Close it, whatever state it is in."""
    try:
        await connection.close(timeout=5)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        connection.terminate()
