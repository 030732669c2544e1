"""Every metric of the gateway, and where its value comes from. docs/metrics.md has this table for readers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from nlsql_gateway import __version__
from nlsql_gateway.admission import Admission
from nlsql_gateway.ask.figures import BUCKETS as MODEL_BUCKETS
from nlsql_gateway.ask.figures import Figures as ModelFigures
from nlsql_gateway.ask.pool import Pool
from nlsql_gateway.figures import Tally
from nlsql_gateway.observing.metrics import Distribution, Distributions, Measure, Numbers
from nlsql_gateway.observing.readiness import Readiness
from nlsql_gateway.server.listener import Gateway


@dataclass(frozen=True, slots=True)
class Sources:
    """What is looked at."""

    gateway: Gateway
    gate: Admission
    readiness: Readiness
    log_path: Path
    most_clients: int
    pool: Pool | None
    "The model's servers."


OUTCOMES: Final = ("answered", "unavailable", "overloaded", "refused", "late", "cancelled", "failed")
"""Of a request to a model: fields of its figures."""


def _one(value: float) -> Numbers:
    return {(): value}


def _single(tally: Tally) -> Numbers:
    """Of a tally that is kept by one thing."""
    return {(one,): count for (one, _), count in tally.counts.items()}


def _pairs(tally: Tally) -> Numbers:
    return dict(tally.counts.items())


def _parts(sources: Sources) -> Numbers:
    return {(part,): float(well) for part, well in sources.readiness.known().items()}


def _stages(sources: Sources) -> Distributions:
    figures = sources.gate.figures
    times = {
        "decide": figures.deciding,
        "ask": figures.asking,
        "audit": figures.keeping,
        "upstream": figures.running,
    }
    return {(stage,): Distribution.of(one) for stage, one in times.items()}


def _hits(sources: Sources) -> Numbers:
    asking = sources.gate.asking
    return {
        ("decision",): sources.gate.figures.remembered,
        ("answer",): asking.answers.hits,
        ("verified",): asking.verified,
    }


def _misses(sources: Sources) -> Numbers:
    return {("decision",): sources.gate.figures.read, ("answer",): sources.gate.asking.answers.misses}


def _entries(sources: Sources) -> Numbers:
    return {("decision",): sources.gate.remembered.count, ("answer",): len(sources.gate.asking.answers)}


def _lag(sources: Sources) -> Numbers:
    figures = sources.gate.figures
    return _one(sources.gate.monotonic() - figures.since if figures.waiting else 0.0)


def _size(sources: Sources) -> Numbers:
    with suppress(OSError):
        return _one(sources.log_path.stat().st_size)
    return {}


def _free(sources: Sources) -> Numbers:
    with suppress(OSError):
        found = os.statvfs(sources.log_path.parent)
        return _one(found.f_bavail * found.f_frsize)
    return {}


def _servers(sources: Sources) -> Iterator[tuple[str, ModelFigures]]:
    """By host and port: the rest of an address may hold a password."""
    for url, figures in (sources.pool.figures() if sources.pool is not None else {}).items():
        yield urlsplit(url).netloc.rpartition("@")[2], figures


def _requests(sources: Sources) -> Numbers:
    return {
        (server, outcome): getattr(figures, outcome) for server, figures in _servers(sources) for outcome in OUTCOMES
    }


def _waits(sources: Sources) -> Distributions:
    return {
        (server,): Distribution(MODEL_BUCKETS, figures.latencies, figures.seconds)
        for server, figures in _servers(sources)
    }


def _model(field: str, sources: Sources) -> Numbers:
    return {(server,): float(getattr(figures, field)) for server, figures in _servers(sources)}


def _gauge(name: str, meaning: str, read: Callable[[Sources], Numbers], *labels: str) -> Measure[Sources]:
    return Measure("gauge", name, meaning, read, labels)


def _counter(name: str, meaning: str, read: Callable[[Sources], Numbers], *labels: str) -> Measure[Sources]:
    return Measure("counter", name, meaning, read, labels)


MEASURES: Final[tuple[Measure[Sources], ...]] = (
    _gauge("nlsql_info", "1, with the version that runs.", lambda _: {(__version__,): 1}, "version"),
    _gauge(
        "nlsql_serving",
        "1 while clients are accepted; 0 before, and from SIGTERM on.",
        lambda of: _one(of.gateway.state == "serving"),
    ),
    _gauge("nlsql_part_ready", "1 for a part of /readyz that was well when it was last tried, else 0.", _parts, "part"),
    # Connections
    _gauge(
        "nlsql_connections",
        "Clients now. state: login, busy (something runs) or idle.",
        lambda of: {(state,): count for state, count in of.gateway.clients().items()},
        "state",
    ),
    _gauge(
        "nlsql_connections_limit",
        "listen.max_clients, which holds for all workers together.",
        lambda of: _one(of.most_clients),
    ),
    _counter(
        "nlsql_connections_accepted",
        "Connections of all kinds, cancel requests and TCP checks too.",
        lambda of: _one(of.gateway.figures.accepted),
    ),
    _counter(
        "nlsql_connections_joined",
        "Clients that logged in and got their upstream connection.",
        lambda of: _one(of.gateway.figures.joined),
    ),
    _counter(
        "nlsql_connections_refused",
        "Clients that did not, by the SQLSTATE that they were told.",
        lambda of: _single(of.gateway.figures.refused),
        "sqlstate",
    ),
    _counter(
        "nlsql_connections_failed",
        "Connections that a fault of the gateway's own ended; the log has it.",
        lambda of: _one(of.gateway.figures.failed),
    ),
    _counter("nlsql_cancel_requests", "Cancel requests.", lambda of: _one(of.gateway.figures.cancels)),
    # Decisions
    _counter(
        "nlsql_decisions",
        "Texts that were decided on. verdict: allow, deny, error, or shadow (allowed in shadow mode only); reason: as "
        "in the audit log, empty where allowed.",
        lambda of: _pairs(of.gate.figures.decisions),
        "verdict",
        "reason",
    ),
    Measure(
        "histogram",
        "nlsql_stage_seconds",
        "How long each stage took. stage: decide (a statement, from its text to its record), ask (a question, the "
        "same), audit (one write of the log), upstream (a run, from its first message to its last reply).",
        _stages,
        ("stage",),
    ),
    _counter(
        "nlsql_cache_hits",
        "cache: decision (statements whose decision was known), answer (questions that the model had answered), "
        "verified (questions that somebody has verified).",
        _hits,
        "cache",
    ),
    _counter("nlsql_cache_misses", "Of the same, but verified.", _misses, "cache"),
    _gauge("nlsql_cache_entries", "What is kept now.", _entries, "cache"),
    # Runs
    _counter(
        "nlsql_looks",
        "Queries of the gateway's own for a question: is a value stored, what is returned.",
        lambda of: _one(of.gate.figures.looks),
    ),
    _counter(
        "nlsql_runs",
        "Runs that ended, looks too. class: of their SQLSTATE, 00: success; limit: rows or bytes, where that ended it.",
        lambda of: _pairs(of.gate.figures.runs),
        "class",
        "limit",
    ),
    _counter("nlsql_rows", "Rows sent to clients.", lambda of: _one(of.gate.figures.rows)),
    _counter("nlsql_row_bytes", "Bytes of them.", lambda of: _one(of.gate.figures.bytes)),
    # Audit log
    _counter("nlsql_audit_records", "Records that are kept.", lambda of: _one(of.gate.figures.records)),
    _counter(
        "nlsql_audit_unrecorded",
        "Records that could not be kept: what they admitted did not run.",
        lambda of: _one(of.gate.figures.unrecorded),
    ),
    _gauge("nlsql_audit_waiting", "Records that are made and not kept yet.", lambda of: _one(of.gate.figures.waiting)),
    _gauge("nlsql_audit_lag_seconds", "Since when the oldest of them waits; 0: there is none.", _lag),
    _gauge("nlsql_audit_log_bytes", "Size of this worker's log.", _size),
    _gauge("nlsql_audit_free_bytes", "Left for it on its disk.", _free),
    # Models
    _counter(
        "nlsql_model_requests",
        f"Requests that ended. server: host and port; outcome: {', '.join(OUTCOMES)}.",
        _requests,
        "server",
        "outcome",
    ),
    _gauge(
        "nlsql_model_open_requests",
        "Requests that wait now, in the server's queue or at the model.",
        partial(_model, "open"),
        "server",
    ),
    Measure("histogram", "nlsql_model_seconds", "From a request to its whole answer.", _waits, ("server",)),
    _counter("nlsql_model_prompt_tokens", "Tokens read by the model.", partial(_model, "prompt_tokens"), "server"),
    _counter("nlsql_model_tokens", "Tokens written by it.", partial(_model, "tokens"), "server"),
    _gauge(
        "nlsql_model_resting",
        "1 while a server that failed is left alone and others are asked.",
        partial(_model, "resting"),
        "server",
    ),
    _counter(
        "nlsql_model_rerouted",
        "Requests that were tried at another server then.",
        partial(_model, "elsewhere"),
        "server",
    ),
)
