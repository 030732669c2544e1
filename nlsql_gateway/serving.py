"""Serving: where the parts of a gateway are chosen and joined, for one process or for several.

``app.py`` has the commands; what ``serve`` and they have in common is here.
"""

from __future__ import annotations

import asyncio
import gc
import pickle
import secrets
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path

import structlog
import uvloop

from nlsql_gateway import audit, log
from nlsql_gateway.admission import Admission, Asking, Vocabularies
from nlsql_gateway.admission.elsewhere import Elsewhere
from nlsql_gateway.ask import AnswerCache, Asker, Semantics, load_semantics
from nlsql_gateway.ask.openai import OpenAIGenerator
from nlsql_gateway.ask.pool import Pool
from nlsql_gateway.ask.triton import TritonGenerator
from nlsql_gateway.audit import FileSink, Sink
from nlsql_gateway.config import Settings, load
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.observing.watch import watched
from nlsql_gateway.policy import Policy
from nlsql_gateway.policy import load as load_policy
from nlsql_gateway.policy.masks import HASH_KEY
from nlsql_gateway.server import headcount
from nlsql_gateway.server.authenticate import Authentication
from nlsql_gateway.server.listener import Gateway, Share
from nlsql_gateway.server.policy_file import PolicyFile
from nlsql_gateway.server.postgres import Databases
from nlsql_gateway.server.semantics_file import SemanticsFile
from nlsql_gateway.server.watched_paths import WatchedPaths, read_at_login
from nlsql_gateway.server.workers import Workers, obey, private_folder, reserved_port, take_job


def serve(config: Path, *, ready: Callable[[str, int], None]) -> None:
    """Serve until SIGTERM or SIGINT; then stop accepting, let what runs finish, and return. Raises ConfigError.

    Policy, semantics, certificates and the users file are read again when they change, and at SIGHUP. With
    ``listen.workers`` this process only keeps the workers.
    """
    settings = load(config)
    log.configure(settings.log.level, settings.log.format)
    policy, semantics = policy_text(settings), semantics_text(settings)
    _loaded(settings, policy)
    workers = settings.listen.worker_count()
    with audit.Held(settings.audit.path, workers):
        if workers > 1:
            _supervise(_Job(settings, policy, semantics), workers, ready)
            return

        def signals(gateway: Gateway, reload: Callable[[], None]) -> None:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, gateway.stop)
            loop.add_signal_handler(signal.SIGHUP, reload)

        _serve(_Job(settings, policy, semantics), settings.audit.path, signals, ready)


@dataclass(frozen=True, slots=True)
class _Job:
    """What a worker is told: all read once, so that a fault is told once. It watches these files itself."""

    settings: Settings
    policy: str
    "The policy file's text."
    semantics: str
    "The semantics file's; empty when there is none."
    share: Share | None = None


def work(*, ready: Callable[[str, int], None]) -> None:
    """One worker of several, as ``_supervise`` wants it on standard input. Raises GatewayError."""
    job: _Job = pickle.loads(take_job(sys.stdin.fileno()))  # noqa: S301 - from our own parent
    share = job.share
    assert share is not None
    log.configure(job.settings.log.level, job.settings.log.format)
    structlog.contextvars.bind_contextvars(worker=share.worker + 1)
    orphaned = stopping = False

    def commands(gateway: Gateway, reload: Callable[[], None]) -> None:
        def stop() -> None:
            nonlocal stopping
            if not stopping:  # SIGTERM may have come from outside already, to all processes together
                stopping = True
                gateway.stop()

        def abort() -> None:
            stop()
            gateway.stop()

        def orphan() -> None:
            nonlocal orphaned
            orphaned = True
            abort()

        obey(sys.stdin.fileno(), stop=stop, abort=abort, reload=reload, orphan=orphan)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        loop.add_signal_handler(signal.SIGHUP, reload)

    try:
        _serve(job, audit.chain_path(job.settings.audit.path, share.worker + 1), commands, ready)
    finally:
        if orphaned:
            shutil.rmtree(share.folder, ignore_errors=True)


def _supervise(job: _Job, workers: int, ready: Callable[[str, int], None]) -> None:
    """Keep the workers. What is wrong in the files is said here, once."""
    listen = job.settings.listen
    job.settings.upstream.password()
    Authentication(job.settings)

    # What a worker is started again with is what was in force, also while the file cannot be used.
    policy = PolicyFile(job.settings.policy, job.policy, lambda text: _loaded(job.settings, text))
    semantics = _semantics_file(job)
    files = (policy,) if semantics is None else (policy, semantics)

    def job_of(share: Share) -> bytes:
        words = "" if semantics is None else semantics.text
        return pickle.dumps(replace(job, share=share, policy=policy.text, semantics=words))

    async def main(port: int, folder: Path) -> None:
        shares = [Share(number, workers, port, folder) for number in range(workers)]
        headcount.make(shares[0].headcount, workers)
        supervisor = Workers(
            [sys.executable, "-P", "-m", "nlsql_gateway.worker"],
            [partial(job_of, share) for share in shares],
            grace=listen.shutdown_grace,
            died=lambda number: headcount.strike(shares[number].headcount, number),
            log=log.logger("nlsql_gateway.server"),
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, supervisor.stop)

        def reload() -> None:
            for file in files:
                file.reload()
            supervisor.reload()

        loop.add_signal_handler(signal.SIGHUP, reload)
        async with _watched(*files):
            await supervisor.run(lambda: ready(listen.host, port))

    with reserved_port(listen.host, listen.port) as port, private_folder() as folder:
        asyncio.run(main(port, folder))


def _serve(
    job: _Job,
    log_path: Path,
    signals: Callable[[Gateway, Callable[[], None]], None],
    ready: Callable[[str, int], None],
) -> None:
    """Serve from this process.

    ``signals`` arranges what stops the gateway, and what has it read its files again, in its event loop.
    """
    settings = job.settings
    logger = log.logger("nlsql_gateway.server")
    policy = PolicyFile(settings.policy, job.policy, lambda text: _loaded(settings, text), logger)
    semantics = _semantics_file(job, logger)
    files = (policy,) if semantics is None else (policy, semantics)
    collect_seldom()

    async def main() -> None:
        sink = FileSink(log_path, durability=settings.audit.durability)
        try:
            elsewhere = Elsewhere([sys.executable, "-P", "-m", "nlsql_gateway.reader"])
            async with admission(settings, policy, sink, elsewhere, semantics or Semantics) as gate:
                await elsewhere.start()  # it is ready when the first large text comes
                gateway = Gateway(settings, gate, policy, logger, job.share)

                def reload() -> None:
                    for file in files:
                        file.reload()
                    gateway.reload()

                signals(gateway, reload)
                for file in files:
                    file.say()
                    file.reload()  # what a worker is started again with may be older than the file
                worker = job.share.worker if job.share else 0
                async with (
                    _watched(*files, WatchedPaths(read_at_login(settings), gateway.reload)),
                    watched(settings, gateway, gate, sink, log_path, files, logger, worker=worker),
                ):
                    await gateway.serve(ready=ready)
        finally:
            sink.close()

    uvloop.run(main())


@asynccontextmanager
async def _watched(*files: PolicyFile | SemanticsFile | WatchedPaths) -> AsyncIterator[None]:
    """The files are watched meanwhile. What is raised comes out as it is, in no group."""
    failure: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(file.watch()) for file in files]
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again below
            failure = error
        finally:
            for task in watching:
                task.cancel()
    while isinstance(failure, ExceptionGroup) and len(failure.exceptions) == 1:
        failure = failure.exceptions[0]
    if failure is not None:
        raise failure


def collect_seldom() -> None:
    """To read a statement makes thousands of objects and no cycles: to look for cycles took a tenth of the time."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def policy_of(settings: Settings) -> Policy:
    """Raises ConfigError."""
    return _loaded(settings, policy_text(settings))


def _loaded(settings: Settings, text: str) -> Policy:
    policy = load_policy(text, str(settings.policy))
    if settings.upstream.pooler != "none" and HASH_KEY in policy.pins:
        raise ConfigError(
            f"{settings.policy}: hash_key cannot be kept behind a pooler",
            hint="it would stand in the role's settings or in statements, where others read it",
        )
    return replace(policy, pooled=settings.upstream.pooler == "transaction" and not policy.pass_through)


def policy_text(settings: Settings) -> str:
    return _text("policy", settings.policy)


def semantics_text(settings: Settings) -> str:
    """Empty when there is none. Raises ConfigError."""
    return "" if settings.ask.semantics is None else _text("ask.semantics", settings.ask.semantics)


def semantics_of(settings: Settings) -> Semantics:
    """Raises ConfigError."""
    path = settings.ask.semantics
    return Semantics() if path is None else load_semantics(semantics_text(settings), str(path))


def _semantics_file(job: _Job, logger: structlog.stdlib.BoundLogger | None = None) -> SemanticsFile | None:
    """Raises ConfigError."""
    path = job.settings.ask.semantics
    if path is None:
        return None
    return SemanticsFile(path, job.semantics, lambda text: load_semantics(text, str(path)), logger)


def _text(key: str, path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{key}: {path}: {getattr(error, 'strerror', None) or error}") from error


def generator_of(settings: Settings) -> Pool | None:
    """The servers that are asked; None: none are. Raises ConfigError."""
    ask = settings.ask
    urls = ask.urls or (ask.url,)
    match ask.backend:
        case "none":
            return None
        case "triton":
            return Pool({url: TritonGenerator(url, ask.model, version=ask.model_version) for url in urls})
        case "openai":
            key = ask.api_key()
            return Pool({url: OpenAIGenerator(url, ask.model, api_key=key, chat=ask.prompt == "chat") for url in urls})


@asynccontextmanager
async def admission(
    settings: Settings,
    policy: Callable[[], Policy],
    sink: Sink,
    elsewhere: Elsewhere | None = None,
    semantics: Callable[[], Semantics] = Semantics,
) -> AsyncIterator[Admission]:
    """The gate with its parts, which are closed at the end."""
    databases = Databases(
        settings.upstream,
        settings.upstream.password(),
        policy().pins.get("search_path"),  # of all policies that may come into force
        log=log.logger("nlsql_gateway.server"),
    )
    generator = generator_of(settings)
    asker = None
    if generator is not None:
        asker = Asker(
            generator,
            prompt=settings.ask.prompt,
            repairs=settings.ask.repairs,
            samples=settings.ask.samples,
            patience=settings.ask.patience,
            max_tokens=settings.ask.max_tokens,
            max_prompt_tokens=settings.ask.max_prompt_tokens,
            max_pruned_tokens=settings.ask.max_pruned_tokens,
            threshold=settings.ask.threshold,
            refuses=settings.ask.below_threshold == "refuse",
            value_hints=settings.ask.values.hints,
        )
    # Who logs in at the database as himself may have other rights there than the role that reads for us.
    refresh = 0 if settings.auth.method == "passthrough" else settings.ask.values.refresh
    logger = log.logger("nlsql_gateway.admission")
    vocabularies = Vocabularies(
        refresh, settings.ask.values.memory << 20, lambda problem: logger.warning("values not read", problem=problem)
    )
    try:
        async with databases.open():
            vocabularies.tasks = databases.tasks
            try:
                yield Admission(
                    policy=policy,
                    database=databases.get,
                    sink=sink,
                    asking=Asking(
                        asker,
                        settings.ask.deadline,
                        AnswerCache(settings.ask.cache.entries),
                        semantics,
                        settings.ask.look,
                        vocabularies,
                    ),
                    clock=time.time_ns,
                    monotonic=time.monotonic,
                    new_id=map(f"{secrets.token_hex(8)}%016x".__mod__, count(1)).__next__,
                    elsewhere=elsewhere,
                )
            finally:
                await vocabularies.aclose()
    finally:
        if elsewhere is not None:
            await elsewhere.aclose()
        if generator is not None:
            await generator.aclose()
