"""``nlsql-gateway eval``: the parts of a run, joined."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from nlsql_gateway import __version__
from nlsql_gateway.config import Settings, load
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.evaluation import questions as asked
from nlsql_gateway.evaluation import runner, written
from nlsql_gateway.evaluation.asking import Asking, Login
from nlsql_gateway.evaluation.kept import Kept
from nlsql_gateway.evaluation.questions import Question
from nlsql_gateway.evaluation.score import Result
from nlsql_gateway.evaluation.totals import Totals, cautions, totals

PATIENCE = 60.0
"""Seconds beyond the gateway's own deadline that an answer may take: for its rows."""

Bar = Callable[[int], AbstractContextManager[Callable[[Result], None]]]
"""Given how many are asked: what is told of each result."""


@dataclass(frozen=True, slots=True)
class Options:
    file: Path
    "The questions."
    out: Path
    "The folder of the run; made when missing."
    config: Path | None
    "The gateway's; None only with ``start``."
    user: str = ""
    password: str | None = None
    start: Path | None = None
    "The folder of the databases: everything is started for this run."
    sets: tuple[str, ...] = ()
    databases: tuple[str, ...] = ()
    limit: int = 0
    "The first so many; 0: all."
    concurrency: int = 1
    golds: Literal["gateway", "direct"] = "gateway"
    "Through the gateway as the same person, or at PostgreSQL as the service role."
    compare: tuple[Path, ...] = ()
    "The results.json of older runs, the oldest first; the last one is put side by side."
    fresh: bool = False
    skip_missing: bool = False
    "With ``start``: leave out questions on databases that there is no file for."


@dataclass(frozen=True, slots=True)
class Outcome:
    totals: Totals
    missing: int
    "Questions not asked, because the run was stopped."
    files: tuple[Path, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The figures for a terminal."""
        found = self.totals
        lines = [f"questions    {found.questions}"]
        if found.answerable:
            lines.append(f"right        {found.right} of {found.answerable} ({_percent(found.strict_accuracy)})")
            lines.append(f"ran          {_percent(found.ran)}; wrongly refused {_percent(found.wrongly_refused)}")
            lines.append(f"always empty {_percent(found.always_empty)}")
        if found.unanswerable:
            lines.append(f"refused      {_percent(found.refused)} of {found.unanswerable} that have no answer")
        lines.append(f"coverage     {_percent(found.coverage)}, precision {_percent(found.precision)}")
        if found.p50 is not None and found.p95 is not None:
            lines.append(f"seconds      p50 {found.p50:.2f}, p95 {found.p95:.2f}")
        lines.append(f"stages       {', '.join(f'{name} {count}' for name, count in found.stages.items())}")
        return (*lines, *cautions(found))


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def evaluate(options: Options, bar: Bar, say: Callable[[str], None]) -> Outcome:
    """Ask, score and write; ``say`` is told what is being started. Call it from the main thread.

    Ctrl-C ends the asking: what is there is written, and the next run goes on from it. Raises ConfigError,
    UpstreamError; results that are there by then are kept.
    """
    questions = asked.read(options.file, sets=options.sets, databases=options.databases, limit=options.limit)
    older = [written.read(path) for path in options.compare]
    if options.start is not None and options.skip_missing:
        questions = _with_files(questions, options.start, say)
    _renderer()  # told before anything is asked
    options.out.mkdir(parents=True, exist_ok=True)
    with _reached(options, {question.db for question in questions}, say) as (settings, asking):
        with Kept(options.out / "answers.jsonl", _setup(options, settings, asking), fresh=options.fresh) as kept:
            missing = kept.missing(questions)
            try:
                with bar(len(missing)) as tell:

                    def done(result: Result) -> None:
                        kept.add(result)
                        tell(result)

                    asyncio.run(runner.run(missing, asking, concurrency=options.concurrency, done=done))
            except KeyboardInterrupt:
                pass  # what came is kept
            results = kept.of(questions)
        run = written.Run(_about(options, settings, asking, results), tuple(results))
        files = _write(options.out, run, older)
    return Outcome(totals(results), len(questions) - len(results), files)


def _with_files(questions: list[Question], folder: Path, say: Callable[[str], None]) -> list[Question]:
    """Those whose database can be loaded; the others are told of."""
    missing = {question.db for question in questions if not (folder / f"{question.db}.sql").is_file()}
    kept = [question for question in questions if question.db not in missing]
    if missing:
        say(f"left out: {len(questions) - len(kept)} questions on {', '.join(sorted(missing))}: no file")
    if not kept:
        raise ConfigError(f"{folder}: no file for any of the databases asked about")
    return kept


def _write(out: Path, run: written.Run, older: Sequence[written.Run]) -> tuple[Path, ...]:
    results, report = out / "results.json", out / "report.html"
    results.write_text(json.dumps(written.as_json(run), ensure_ascii=False, indent=1) + "\n")
    report.write_text(_renderer()(run, older))
    return results, report


def _renderer() -> Callable[[written.Run, Sequence[written.Run]], str]:
    """Raises ConfigError where Jinja2 is not installed: a gateway that only serves does without."""
    try:
        from nlsql_gateway.evaluation.report import render
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the report needs {error.name}", hint="pip install 'nlsql-gateway[evaluation]' brings it"
        ) from error
    return render


def _reached(
    options: Options, databases: set[str], say: Callable[[str], None]
) -> AbstractContextManager[tuple[Settings, Asking]]:
    if options.start is not None:
        return _starting(options, options.start, databases, say)
    if options.config is None:
        raise ConfigError("no gateway is named", hint="name its settings with --config, or let --start start one")
    settings = load(options.config)
    if settings.listen.port == 0:
        raise ConfigError(f"{options.config}: listen.port: 0 tells nobody where the gateway listens")
    host = "127.0.0.1" if settings.listen.host in ("0.0.0.0", "::") else settings.listen.host  # noqa: S104
    gateway = Login(host, settings.listen.port, options.user, options.password)
    golds = gateway
    if options.golds == "direct":
        at = settings.upstream.endpoints[0]
        golds = Login(at.host, at.port, settings.upstream.user, settings.upstream.password())
    return nullcontext((settings, Asking(gateway, golds, settings.ask.deadline + PATIENCE)))


@contextmanager
def _starting(
    options: Options, folder: Path, databases: set[str], say: Callable[[str], None]
) -> Iterator[tuple[Settings, Asking]]:
    from nlsql_gateway.evaluation.starting import started  # what it needs is installed with the extra ``embedded``

    with started(folder, databases, options.config, log=options.out, say=say) as running:
        settings = load(running.config)
        golds = running.gateway if options.golds == "gateway" else running.postgres
        yield settings, Asking(running.gateway, golds, settings.ask.deadline + PATIENCE)


def _setup(options: Options, settings: Settings, asking: Asking) -> dict[str, Any]:
    """What must be the same for results of an earlier run to count."""
    ask = settings.ask.model_dump(mode="json", exclude={"url"} if options.start else None)
    return {
        "version": __version__,
        "user": asking.gateway.user,
        "golds": options.golds,
        "ask": ask,
        "policy": settings.policy.read_text() if options.start else str(settings.policy),
    }


def _about(options: Options, settings: Settings, asking: Asking, results: Sequence[Result]) -> dict[str, Any]:
    return {
        "name": options.out.resolve().name,
        "file": options.file.name,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "gateway": __version__,
        "models": sorted({result.model for result in results if result.model}),
        "user": asking.gateway.user,
        "golds": options.golds,
        "sets": list(options.sets),
        "databases": list(options.databases),
        "limit": options.limit,
        "concurrency": options.concurrency,
        "processors": len(os.sched_getaffinity(0)),
        "ask": settings.ask.model_dump(mode="json"),
    }
