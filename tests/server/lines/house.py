"""House: a gateway as it is served, on a thread of its own: real admission and audit log; the model is a double."""

from __future__ import annotations

import asyncio
import re
import threading
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
import uvloop

from nlsql_gateway.admission import Asking
from nlsql_gateway.ask import AnswerCache, Asker, Completion, Sampling
from nlsql_gateway.audit import FileSink, Whole, read_from, verify
from nlsql_gateway.config import Auth, Listen, Settings, Upstream
from nlsql_gateway.policy import load
from nlsql_gateway.server.listener import Gateway
from nlsql_gateway.serving import admission
from nlsql_gateway.wire.scram import Verifier
from tests.server.lines.script import ROWS

_WHOSE = re.compile(r"(case-\d+) (simple|extended|copy|answer|sleep)")
_RAN = re.compile(r"LOG:  (?:statement|execute [^:]*): (?!EXPLAIN)(.*)")


class Model:
    """Answers every question by its last word."""

    model = "double"

    async def generate(self, prompt: str, sampling: Sampling, *, timeout: float) -> Completion:
        case = re.findall(r"case-\d+", prompt)[-1]
        await asyncio.sleep(0.01)
        return Completion(f"```sql\nSELECT lower('{case} answer') AS said\n```", "double", "1")

    async def ready(self) -> None:
        pass

    async def serving(self) -> str:
        return ""

    async def aclose(self) -> None:
        pass


@dataclass
class House:
    port: int
    audit: Path
    gateway: Gateway
    loop: asyncio.AbstractEventLoop
    faults: list[str]
    "Exceptions that the gateway logged: its own faults, which a peer is never told of."

    def tasks(self) -> int:
        """In the gateway's event loop, the one that counts them left out."""

        async def count() -> int:
            return len(asyncio.all_tasks()) - 1

        return asyncio.run_coroutine_threadsafe(count(), self.loop).result(10)

    def sessions(self) -> int:
        return len(self.gateway._sessions) + len(self.gateway._keys._keys) + self.gateway._headcount.clients


@contextmanager
def house(folder: Path, upstream: Upstream) -> Iterator[House]:
    users = folder / "users.txt"
    users.write_text(f'"ada" "{Verifier.build("secret", b"0123456789abcdef", 1)}"\n')
    settings = Settings(
        listen=Listen(port=0, max_clients=500),
        upstream=upstream,
        auth=Auth(method="scram-sha-256", users=users),
        policy=Path("unused"),
    )
    policy = load("version: 1\nname: open\npass_through: true\n", "open.yaml")
    sink = FileSink(folder / "audit.jsonl", durability="written")
    faults: list[str] = []

    def keep(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if event.get("exc_info"):
            faults.append(traceback.format_exc())
        raise structlog.DropEvent

    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        None, processors=[keep], wrapper_class=structlog.stdlib.BoundLogger
    )
    started = threading.Event()
    box: list[House] = []

    def main() -> None:
        async def serve() -> None:
            async with admission(settings, lambda: policy, sink) as gate:
                asker = Asker(Model(), prompt="chatml", repairs=0, samples=0, max_tokens=100, max_prompt_tokens=100_000)
                gate.asking = Asking(asker, settings.ask.deadline, AnswerCache(0))
                gateway = Gateway(settings, gate, lambda: policy, logger)

                def ready(host: str, port: int) -> None:
                    box.append(House(port, folder / "audit.jsonl", gateway, asyncio.get_running_loop(), faults))
                    started.set()

                await gateway.serve(ready=ready)

        uvloop.run(serve())

    thread = threading.Thread(target=main, daemon=True)
    thread.start()
    assert started.wait(20)
    try:
        yield box[0]
    finally:
        box[0].loop.call_soon_threadsafe(box[0].gateway.stop)
        thread.join(40)
        sink.close()
        assert not thread.is_alive(), "the gateway ends when told to"


def ran(server_log: str) -> Counter[tuple[str, str]]:
    """What PostgreSQL itself says that it ran (log_statement = all)."""
    found: Counter[tuple[str, str]] = Counter()
    for line in server_log.splitlines():
        said = _RAN.search(line)
        whose = _WHOSE.search(said[1]) if said else None
        if whose:
            found[whose[1], whose[2]] += 1
    return found


@dataclass
class Books:
    """What the audit log says."""

    may_run: Counter[tuple[str, str]]
    "Recorded before it was sent."
    succeeded: Counter[tuple[str, str]]
    records: int


def books(path: Path) -> Books:
    """Raises AssertionError: the chain is broken, or a run has not one outcome, or an outcome says too much."""
    verdict = verify(path)
    assert isinstance(verdict, Whole), str(verdict)
    records, offset = read_from(path, 0)
    while (more := read_from(path, offset))[0]:
        records += more[0]
        offset = more[1]
    decisions = {record["id"]: record for record in records if record["kind"] == "decision"}
    outcomes = defaultdict(list)
    for record in records:
        if record["kind"] == "outcome":
            outcomes[record["id"]].append(record)
    runs: dict[str, tuple[str, str]] = {}
    for record in records:
        decision = decisions.get(record["decision"] if record["kind"] == "execution" else record["id"])
        is_run = record["kind"] == "execution" or (record["kind"] == "decision" and record["protocol"] == "simple")
        if is_run and decision is not None and decision["verdict"] == "allow":
            whose = _WHOSE.search(decision["sql"])
            assert whose is not None, decision
            runs[record["id"]] = (whose[1], whose[2])
    succeeded: Counter[tuple[str, str]] = Counter()
    for record_id, key in runs.items():
        found = outcomes.pop(record_id, [])
        assert len(found) == 1, f"{key}: {len(found)} outcomes of {record_id}"
        outcome = found[0]
        assert outcome["sqlstate"] in ("00000", "08006", "57014", "57P01"), outcome
        if outcome["sqlstate"] == "00000":
            assert outcome["rows"] == ROWS[key[1]], (key, outcome)
            succeeded[key] += 1
    assert not outcomes, "an outcome of nothing"
    return Books(Counter(runs.values()), succeeded, len(records))


def descriptors() -> int:
    """Open files of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))
