"""What the console offers beyond the gateway's port, made of the commands' own functions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nlsql_gateway import app, verification
from nlsql_gateway.config import Settings
from nlsql_gateway.console.backstage import Backstage
from nlsql_gateway.console_oversight import Overseen


def backstage(config: Path, settings: Settings) -> Backstage:
    return Backstage(
        verification=None if settings.ask.semantics is None else _Verification(config, settings),
        oversight=Overseen(settings) if settings.console is not None and settings.console.officers else None,
    )


@dataclass(frozen=True, slots=True)
class _Verification:
    """As ``nlsql-gateway verify`` does it, on the record of an answer that the person has before himself."""

    config: Path
    settings: Settings

    async def __call__(
        self,
        *,
        question: str,
        sql: str,
        user: str,
        database: str,
        wording: str,
        parameters: Mapping[str, str],
        write: bool,
    ) -> list[tuple[str, str]]:
        def work() -> list[tuple[str, str]]:
            recorded = verification.find(self.settings.audit.path, question=question, answered=(user, database, sql))
            made = app.verifying(
                self.config, record_id=recorded.id, question=None, wording=wording, parameters=dict(parameters)
            )
            planned = asyncio.run(made)
            if write:
                app.write_verified(planned, user, lambda: True)
            return planned.shown()

        return await asyncio.to_thread(work)  # it reads the whole audit log
