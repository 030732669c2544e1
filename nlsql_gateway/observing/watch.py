"""Watch: the pages of one process, made of the parts that the composition root hands in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from nlsql_gateway.admission import Admission
from nlsql_gateway.ask.pool import Pool
from nlsql_gateway.audit import FileSink
from nlsql_gateway.config import Settings
from nlsql_gateway.observing.measures import MEASURES, Sources
from nlsql_gateway.observing.metrics import Figures, Read
from nlsql_gateway.observing.pages import Page, Pages
from nlsql_gateway.observing.parts import parts
from nlsql_gateway.observing.readiness import Readiness
from nlsql_gateway.server.listener import Gateway
from nlsql_gateway.server.policy_file import PolicyFile
from nlsql_gateway.server.semantics_file import SemanticsFile


@asynccontextmanager
async def watched(
    settings: Settings,
    gateway: Gateway,
    gate: Admission,
    sink: FileSink,
    log_path: Path,
    files: tuple[PolicyFile | SemanticsFile, ...],
    log: structlog.stdlib.BoundLogger,
    *,
    worker: int,
) -> AsyncIterator[None]:
    """While this lasts the pages answer, where ``metrics.listen`` says so. ``worker``: from 0. Raises ConfigError."""
    address = settings.metrics.address(worker)
    if address is None:
        yield
        return
    asker = gate.asking.asker
    generator = None if asker is None else asker.generator
    readiness = Readiness(lambda: gateway.state, list(parts(settings, sink, log_path, files, generator)))
    pool = generator if isinstance(generator, Pool) else None
    figures = Figures(MEASURES, Sources(gateway, gate, readiness, log_path, settings.listen.max_clients, pool))

    async def health(_: Mapping[str, str]) -> Page:
        return Page(b"ok\n")

    async def ready(_: Mapping[str, str]) -> Page:
        is_ready, told = await readiness.report()
        return Page(json.dumps(told).encode() + b"\n", "application/json", 200 if is_ready else 503)

    async def metrics(headers: Mapping[str, str]) -> Page:
        await readiness.report()
        encode, kind = choose_encoder(headers.get("accept", ""))
        # The numbers are read here, where they change; to write them out takes longer and can be done beside.
        read = Read([*figures.collect(), *process.collect()])
        return Page(await asyncio.to_thread(encode, read), kind)

    process = _process()
    pages = Pages({"/healthz": health, "/readyz": ready, "/metrics": metrics})
    async with readiness.open(), pages.serving(*address) as (host, port):
        log.info("metrics", host=host, port=port)
        yield


def _process() -> Collector:
    """What the client library knows of the process: processor, memory, descriptors, garbage collections."""
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
