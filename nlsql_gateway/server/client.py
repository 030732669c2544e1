"""The gateway's own client, for ``nlsql-gateway ask``: it comes in through the gateway's port like everybody else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from nlsql_gateway.errors import UpstreamError


@dataclass(frozen=True, slots=True)
class Reply:
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    notices: tuple[str, ...]
    "The message of each NOTICE, then its DETAIL when it has one."


async def run(
    statement: str, *, host: str, port: int, user: str, password: str | None, database: str, timeout: float
) -> Reply:
    """Send one statement through the gateway; ``timeout`` in seconds covers login and answer.

    Raises UpstreamError with the gateway's SQLSTATE, message, detail and hint.
    """
    notices: list[str] = []

    def on_notice(_: object, message: Any) -> None:
        notices.append("\n".join(part for part in (message.message, message.detail) if part))

    try:
        connection = await asyncpg.connect(
            host=host, port=port, user=user, password=password, database=database, timeout=timeout,
            server_settings={"application_name": "nlsql-gateway ask"},
        )  # fmt: skip
    except asyncpg.PostgresError as error:
        raise _upstream_error(error) from error
    except (OSError, TimeoutError) as error:
        raise UpstreamError(
            f"no gateway answers on {host} port {port}", hint="start it with: nlsql-gateway serve --config gateway.yaml"
        ) from error
    try:
        connection.add_log_listener(on_notice)
        prepared = await connection.prepare(statement, timeout=timeout)
        columns = tuple(attribute.name for attribute in prepared.get_attributes())
        rows = tuple(tuple(row.values()) for row in await prepared.fetch(timeout=timeout))
        return Reply(columns, rows, tuple(notices))
    except asyncpg.PostgresError as error:
        raise _upstream_error(error) from error
    except TimeoutError as error:
        raise UpstreamError(f"no answer within {timeout:g} s", sqlstate="57014") from error
    finally:
        connection.terminate() if connection.is_closed() else await connection.close(timeout=5)


def _upstream_error(error: asyncpg.PostgresError) -> UpstreamError:
    fields: Mapping[str, Any] = error.as_dict()
    return UpstreamError(
        fields.get("message") or str(error),
        detail=fields.get("detail") or "",
        hint=fields.get("hint") or "",
        sqlstate=fields.get("sqlstate"),
    )
