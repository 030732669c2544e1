"""One function for each command of the CLI. With ``serving.py`` the composition root: parts are joined nowhere else.

What only the embedded default needs (psutil, rich, the wheels) is imported where it is used, so that a gateway starts
without it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nlsql_gateway import audit_replay, audit_tools, log, policy_tools, serving, verification
from nlsql_gateway.admission import Client
from nlsql_gateway.ask import rollout
from nlsql_gateway.ask.semantics_hints import unmatched as unmatched_words
from nlsql_gateway.ask.semantics_schema import json_schema
from nlsql_gateway.ask.verified import shown
from nlsql_gateway.ask.verified_making import entry as made
from nlsql_gateway.audit import Record
from nlsql_gateway.config import Settings, client_password, load
from nlsql_gateway.errors import ConfigError, GatewayError, UpstreamError
from nlsql_gateway.evaluation import command
from nlsql_gateway.policy import Applied, Policy, unmatched
from nlsql_gateway.server import users
from nlsql_gateway.server.client import Reply
from nlsql_gateway.server.client import run as run_statement
from nlsql_gateway.server.pooling import role_statements
from nlsql_gateway.server.postgres import Databases, probe
from nlsql_gateway.server.tls import certificate, server_tls
from nlsql_gateway.serving import admission, generator_of, policy_of, semantics_of
from nlsql_gateway.sql import Catalog


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``nlsql-gateway check``."""

    part: str
    ok: bool
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class _Unrecorded:
    """The Sink of ``explain``: nothing runs, and the log belongs to the gateway that serves."""

    def add(self, record: Record) -> None:
        raise AssertionError(f"explain records nothing, yet was handed {record}")

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def serve(config: Path, *, ready: Callable[[str, int], None]) -> None:
    """Serve until SIGTERM or SIGINT; ``ready`` gets the host and the port. Raises ConfigError."""
    serving.serve(config, ready=ready)


def _fired(applied: Applied, policy: Path) -> dict[str, Any]:
    """A rule that took part, with where it stands."""
    return {**asdict(applied), "lines": [f"{policy.name}:{line}" for line in applied.lines]}


async def explain(config: Path, text: str, *, user: str, database: str, address: str = "") -> dict[str, Any]:
    """What would become of ``text`` if ``user`` sent it: the keys of the contract, ready for JSON."""
    settings = load(config)
    policy = policy_of(settings)
    client = Client(policy.principal(user), database, "nlsql-gateway explain", f"{address}:0", "", "command")
    semantics = semantics_of(settings)
    async with admission(settings, lambda: policy, _Unrecorded(), semantics=lambda: semantics) as gate:
        judgement = await gate.judge(text, client)
    return {
        "verdict": judgement.verdict,
        "reason": judgement.reason,
        "sqlstate": judgement.sqlstate,
        "message": judgement.message,
        "hint": judgement.hint,
        "question": judgement.question,
        "sql": judgement.sql if judgement.verdict == "allow" else None,
        "shadow": judgement.shadow,
        "applied": [_fired(applied, settings.policy) for applied in judgement.applied],
        "relations": list(judgement.relations),
        "functions": list(judgement.functions),
    }


async def ask(config: Path, question: str, *, user: str, password: str | None, database: str, explain: bool) -> Reply:
    """Ask through the running gateway, as a client. Raises UpstreamError with what the gateway answered."""
    settings = load(config)
    words = " ".join(question.split())
    return await run_statement(
        f"-- ask{' explain' if explain else ''}: {words}",
        host="127.0.0.1" if settings.listen.host in ("0.0.0.0", "::") else settings.listen.host,  # noqa: S104
        port=settings.listen.port,
        user=user,
        password=password,
        database=database,
        timeout=settings.ask.deadline + 60,
    )


def evaluate(options: command.Options, bar: command.Bar, say: Callable[[str], None]) -> command.Outcome:
    """Ask the questions of a file and write how well they were answered. Raises ConfigError, UpstreamError."""
    return command.evaluate(options, bar, say)


def needs_password(config: Path) -> bool:
    """Whether clients of this gateway log in with a password and none stands in PGPASSWORD."""
    return load(config).auth.method not in ("trust", "cert") and client_password() is None


def add_user(config: Path, users_file: Path | None, name: str, password: str) -> Path:
    """Write a user's verifier; the file it went to. Raises ConfigError."""
    path = users_file or load(config).auth.users
    if path is None:
        raise ConfigError(f"{config}: auth.users: no users file is named there", hint="name one with --users")
    users.add(path, name, password)
    return path


async def check(config: Path, database: str) -> list[Finding]:
    """Try every part of a configuration, the upstream by its ``database``; no part stops the others.

    Raises ConfigError when the file itself is wrong.
    """
    settings = load(config)
    findings = [Finding("settings", True, str(config))]

    async def part(name: str, attempt: Callable[[], Any]) -> None:
        try:
            outcome = attempt()
            message = await outcome if asyncio.iscoroutine(outcome) else outcome
            findings.append(Finding(name, True, message))
        except GatewayError as error:
            lines = [error.message, *([error.detail] if error.detail else [])]
            findings.append(Finding(name, False, ": ".join(lines), error.hint))

    await part("policy", lambda: _described(policy_of(settings)))
    await part("users", lambda: _users(settings))
    await part("certificate", lambda: _certificate(settings))
    await part("audit", lambda: audit_tools.writable(settings.audit))
    await part("upstream", lambda: _upstream(settings, database))
    await part("semantics", lambda: _semantics(settings, database))
    await part("rules", lambda: _rules(settings, database))
    await part("model", lambda: _model(settings))
    return findings


def _described(policy: Policy) -> str:
    shadow = f"; WARNING: {policy.shadow_words}" if policy.shadow_words else ""
    return f"{policy.name}, version {policy.version[:12]}{shadow}"


def _users(settings: Settings) -> str:
    auth = settings.auth
    if auth.method == "trust":
        return "everybody is trusted: no password is asked for"
    if auth.method == "cert" or auth.users is None:
        return "everybody with a certificate of listen.tls.client_ca"
    return f"{len(users.load(auth.users).verifiers)} in {auth.users}"


def _certificate(settings: Settings) -> str:
    if settings.listen.tls is None:
        return "none: clients connect without TLS"
    tls = server_tls(settings.listen.tls)
    end = certificate(settings.listen.tls).not_valid_after_utc
    if end < datetime.now(UTC):
        raise ConfigError(f"listen.tls.certificate: {settings.listen.tls.certificate} expired on {end:%Y-%m-%d}")
    unbound = "" if tls is None or tls.end_point else "; its signature has no hash: no channel binding is offered"
    return f"valid until {end:%Y-%m-%d}{unbound}"


async def _rules(settings: Settings, database: str) -> str:
    """Which rules of the policy fit nothing in this database: to look at, no fault, since it may have several."""
    policy = policy_of(settings)
    faults = unmatched(policy, await catalog_of(settings, database, policy))
    if faults:
        return f"to look at, in {database}: {'; '.join(faults)}"
    return f"every rule fits the tables of {database}"


async def _semantics(settings: Settings, database: str) -> str:
    """What in the semantics fits nothing in this database: to look at, no fault."""
    if settings.ask.semantics is None:
        return "none: words mean what the tables say"
    semantics = semantics_of(settings)
    meanings = semantics.of(database)
    catalog = await catalog_of(settings, database, policy_of(settings))
    faults = list(unmatched_words(meanings, catalog))
    faults += [
        f"question {one.wordings[0]}: not all of it is there" for one in meanings.questions if not shown(one, catalog)
    ]
    if faults:
        return f"to look at, in {database}: {'; '.join(faults)}"
    return f"version {semantics.version[:12]}, {len(meanings.questions)} verified questions for {database}"


async def catalog_of(settings: Settings, database: str, policy: Policy) -> Catalog:
    """The tables of ``database``, as the service role sees them under ``policy``. Raises UpstreamError."""
    databases = Databases(settings.upstream, settings.upstream.password(), policy.pins.get("search_path"))
    try:
        return await databases.get(database).refresh()
    finally:
        await databases.aclose()


def policy_schema() -> str:
    return policy_tools.schema()


async def verifying(
    config: Path,
    *,
    record_id: str | None,
    question: str | None,
    wording: str | None,
    parameters: dict[str, str],
) -> verification.Planned:
    """What ``verify`` would write. Raises ConfigError, AuditError."""
    settings = load(config)
    if settings.ask.semantics is None:
        raise ConfigError(f"{config}: ask.semantics: no semantics file is named there")
    recorded = verification.find(settings.audit.path, record_id=record_id, question=question)
    today = datetime.now(UTC).date()
    entry = made(wording or recorded.question, recorded.sql, parameters, today)
    try:
        judged = await explain(config, recorded.sql, user=recorded.user, database=recorded.database)
        now = " ".join(part for part in (judged["verdict"], judged["sqlstate"], judged["message"]) if part != "00000")
    except UpstreamError as error:
        now = f"not known: {error.message}"
    return verification.Planned(recorded, settings.ask.semantics, entry, now.strip())


def write_verified(planned: verification.Planned, by: str, confirmed: Callable[[], bool]) -> bool:
    """Whether it was written. Raises ConfigError."""
    return verification.write(planned, by, confirmed)


def semantics_schema() -> str:
    return json.dumps(json_schema(), indent=1, sort_keys=True) + "\n"


async def policy_check(file: Path, config: Path, database: str | None) -> list[str]:
    """What to look at in a policy file that has no fault; with a database, also what fits nothing there."""
    policy = policy_tools.read(file)
    catalog = None if database is None else await catalog_of(load(config), database, policy)
    return list(policy_tools.findings(policy, catalog))


async def policy_test(file: Path, config: Path, database: str) -> list[policy_tools.Result]:
    """The cases of a policy file, decided on with the tables of ``database``. Raises ConfigError, UpstreamError."""
    return policy_tools.results(file, await catalog_of(load(config), database, policy_tools.read(file)))


async def policy_diff(old: Path, new: Path, config: Path, database: str) -> list[policy_tools.Difference]:
    """Who gains and loses what from ``old`` to ``new`` on the tables of ``database``."""
    before, after = policy_tools.read(old), policy_tools.read(new)
    return policy_tools.differences(before, after, await catalog_of(load(config), database, after))


async def audit_replayed(
    paths: Sequence[Path], new: Path, config: Path, database: str, since: str, until: str
) -> audit_replay.Replay:
    """Recorded statements on ``database``, decided again under the policy of ``config`` and under ``new``.

    Raises AuditError, ConfigError, UpstreamError.
    """
    settings = load(config)
    before, after = policy_of(settings), policy_of(settings.model_copy(update={"policy": new}))
    catalog = await catalog_of(settings, database, after)
    return audit_replay.replay(paths, before, after, catalog, since=since, until=until)


async def _upstream(settings: Settings, database: str) -> str:
    pins = policy_of(settings).pins
    role = await probe(settings.upstream, settings.upstream.password(), database, pins)
    if role.findings:
        raise ConfigError(
            f"role {settings.upstream.user} may do too much: {'; '.join(role.findings)}",
            hint="give the gateway a role of its own that may only read: docs/deploy.md",
        )
    if role.unpinned:
        statements = role_statements(settings.upstream.user, {name: pins[name] for name in role.unpinned})
        raise ConfigError(
            f"behind a pooler these pins must be settings of the role, and are not: {', '.join(role.unpinned)}",
            hint=f"run, then RECONNECT in the pooler's console: {' '.join(statements)}",
        )
    return f"PostgreSQL {role.server_version} as {settings.upstream.user}, who may only read"


async def _model(settings: Settings) -> str:
    generator = generator_of(settings)
    if generator is None:
        return "none: questions are refused with NL002"
    try:
        await generator.ready()
    finally:
        await generator.aclose()
    return f"{generator.model} answers at {' or '.join(settings.ask.urls or (settings.ask.url,))}"


# The embedded default. What it needs is installed with the extra ``embedded``, so it is imported where it is used.


def pull_model(*, verify: bool) -> str:
    """Fetch the embedded model with a progress bar; a line that says where it is."""
    from nlsql_gateway.embedded import model

    return f"model {model.pull_with_bar(verify=verify)}"


def build_model() -> str:
    """Compile llama.cpp for this processor with a progress bar; a line that says where it is."""
    from nlsql_gateway.embedded import llama

    return f"llama.cpp {llama.build_with_bar()}"


def model_versions(config: Path) -> Iterator[str]:
    """A line for each version of the model on each Triton. Raises ConfigError, ModelUnavailable."""
    model, urls = _tritons(config)
    for url in urls:
        for version in rollout.versions(url, model):
            yield f"{url} {model} {version.number} {version.state} {version.named or version.reason}".rstrip()


def load_model(config: Path) -> Iterator[str]:
    """Have each Triton load the newest version, one after the other. Raises ConfigError, ModelUnavailable."""
    model, urls = _tritons(config)
    yield from (f"{url} {model} {rollout.load(url, model)} answers" for url in urls)


def _tritons(config: Path) -> tuple[str, tuple[str, ...]]:
    ask = load(config).ask
    if ask.backend != "triton":
        raise ConfigError(f"{config}: ask.backend is {ask.backend}: only Triton's models have versions")
    return ask.model, ask.urls or (ask.url,)


def serve_model(grpc_port: int, models: tuple[str, ...], *, adapter: str, ready: Callable[[str, int], None]) -> None:
    """Serve the model repository through Triton alone until SIGTERM or SIGINT."""
    from nlsql_gateway.embedded import serving

    log.configure("info", "json")
    serving.run(grpc_port, models, adapter=adapter, ready=ready)


def demo(*, once: bool) -> int:
    """The demonstration; its exit status."""
    from nlsql_gateway.embedded import demo as demonstration

    log.configure("warning", "console")
    return demonstration.run(once=once)
