"""The parts that a gateway needs to serve clients, and how each is tried."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from nlsql_gateway.ask import Generator
from nlsql_gateway.audit import FileSink
from nlsql_gateway.config import Settings
from nlsql_gateway.errors import AuditError, GatewayError, ModelUnavailable
from nlsql_gateway.observing.readiness import Part
from nlsql_gateway.server.policy_file import PolicyFile
from nlsql_gateway.server.probe import reachable
from nlsql_gateway.server.semantics_file import SemanticsFile

SOON: Final = 2.0
SELDOM: Final = 30.0
"""Seconds between two tries: a model is asked for one token, which takes its time."""

_TRIAL: Final = bytes(4096)


def parts(
    settings: Settings,
    sink: FileSink,
    log_path: Path,
    files: tuple[PolicyFile | SemanticsFile, ...],
    generator: Generator | None,
) -> Iterator[Part]:
    """``generator`` None: no model is asked."""
    password = settings.upstream.password()

    async def upstream() -> None:
        await reachable(settings.upstream, password, settings.metrics.database)

    async def audit() -> None:
        sink.check()
        await asyncio.to_thread(_write, log_path)

    yield Part("upstream", upstream, SOON)
    yield Part("audit", audit, SOON)
    for file in files:
        yield _file(file)
    if generator is not None:
        yield _model(generator, needed=not settings.metrics.ready_without_model)


def _file(file: PolicyFile | SemanticsFile) -> Part:
    """What is in force serves on: another replica would be no better."""

    async def attempt() -> None:
        file()
        if file.is_refused:
            raise GatewayError("the file cannot be used and the one before is in force: see the log")

    return Part(file.what, attempt, 0.0, needed=False)


def _model(generator: Generator, *, needed: bool) -> Part:
    async def attempt() -> None:
        try:
            await generator.ready()
        except ModelUnavailable as error:
            if error.fault != "busy":  # who is busy answers
                raise

    return Part("model", attempt, SELDOM, needed=needed)


def _write(log_path: Path) -> None:
    """A file beside the log: on the same disk, in the same folder, as the same user. Raises AuditError."""
    trial = log_path.with_name(f".{log_path.name}.ready-{os.getpid()}")
    try:
        try:
            trial.write_bytes(_TRIAL)
        finally:
            with suppress(FileNotFoundError):
                trial.unlink()
    except OSError as error:
        raise AuditError(f"the audit log's folder cannot be written: {error.strerror or error}") from error
