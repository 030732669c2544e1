"""The gateway's own client, for ``ask`` and ``eval``: it comes in through the gateway's port like everybody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
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


class Connection:
    """One login; statements one after another."""

    def __init__(self, driver: asyncpg.Connection) -> None:
        self._driver = driver
        self._notices: list[str] = []
        driver.add_log_listener(self._on_notice)

    def _on_notice(self, _: object, message: Any) -> None:
        self._notices.append("\n".join(part for part in (message.message, message.detail) if part))

    async def fetch(self, statement: str, *, timeout: float) -> Reply:
        """All rows of one statement; ``timeout`` in seconds.

        Raises UpstreamError with the gateway's SQLSTATE, message, detail and hint.
        """
        self._notices.clear()
        try:
            prepared = await self._driver.prepare(statement, timeout=timeout)
            columns = tuple(attribute.name for attribute in prepared.get_attributes())
            rows = tuple(tuple(row.values()) for row in await prepared.fetch(timeout=timeout))
            return Reply(columns, rows, tuple(self._notices))
        except asyncpg.PostgresError as error:
            raise _upstream_error(error) from error
        except TimeoutError as error:
            raise UpstreamError(f"no answer within {timeout:g} s", sqlstate="57014") from error
        except (asyncpg.InterfaceError, OSError) as error:
            raise UpstreamError(f"the connection was lost: {error}") from error
        except (asyncpg.InternalClientError, ValueError, OverflowError) as error:
            # A year before 1, a number that Python has no type for.
            raise UpstreamError(
                f"the answer has a value that cannot be read here: {error}", sqlstate="22000"
            ) from error


@asynccontextmanager
async def connected(
    *, host: str, port: int, user: str, password: str | None, database: str, timeout: float, **settings: str
) -> AsyncIterator[Connection]:
    """Log in; ``timeout`` in seconds is the login's, ``settings`` are the session's.

    Raises UpstreamError when nobody answers there or the login is refused.
    """
    settings.setdefault("application_name", "nlsql-gateway ask")
    try:
        driver = await asyncpg.connect(
            host=host, port=port, user=user, password=password, database=database, timeout=timeout,
            server_settings=settings,
        )  # fmt: skip
    except asyncpg.PostgresError as error:
        raise _upstream_error(error) from error
    except (OSError, TimeoutError) as error:
        raise UpstreamError(
            f"no gateway answers on {host} port {port}", hint="start it with: nlsql-gateway serve --config gateway.yaml"
        ) from error
    try:
        yield Connection(driver)
    finally:
        try:
            await driver.close(timeout=5)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            driver.terminate()


async def run(
    statement: str, *, host: str, port: int, user: str, password: str | None, database: str, timeout: float
) -> Reply:
    """Send one statement through the gateway; ``timeout`` in seconds is the login's, and the answer's.

    Raises UpstreamError with the gateway's SQLSTATE, message, detail and hint.
    """
    async with connected(
        host=host, port=port, user=user, password=password, database=database, timeout=timeout
    ) as connection:
        return await connection.fetch(statement, timeout=timeout)


def _upstream_error(error: asyncpg.PostgresError) -> UpstreamError:
    fields: Mapping[str, Any] = error.as_dict()
    return UpstreamError(
        fields.get("message") or str(error),
        detail=fields.get("detail") or "",
        hint=fields.get("hint") or "",
        sqlstate=fields.get("sqlstate"),
    )
