"""A gateway whose log is signed beside it: `serve` keeps one process signing; who writes the log anew is found out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from nlsql_gateway import audit_serving, audit_tools
from nlsql_gateway.audit.keys import make_key
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.errors import ConfigError
from tests.e2e import harness
from tests.e2e.conftest import environment
from tests.e2e.harness import COMMAND, RunningGateway

POLICY = Path(__file__).parents[2] / "policies" / "read-only.yaml"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60, env=environment()
    )


class Collector:
    """A second place for heads: takes those that are sent to it, and answers with ``status``."""

    def __init__(self) -> None:
        self.status = 200
        self.got: list[bytes] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["content-length"]))
                if outer.status == 200:
                    outer.got.append(content)
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def collector() -> Iterator[Collector]:
    one = Collector()
    thread = threading.Thread(target=one.server.serve_forever)
    thread.start()
    yield one
    one.server.shutdown()
    thread.join()
    one.server.server_close()


@contextmanager
def signed(
    folder: Path, postgres: EmbeddedPostgres, collector: Collector, workers: int = 1
) -> Iterator[RunningGateway]:
    folder.mkdir(exist_ok=True)
    if not (folder / "key").exists():
        make_key(folder / "key")
    heads = {
        "key": "key",
        "file": "elsewhere/heads.jsonl",
        "every": "100ms",
        "publish": f"http://127.0.0.1:{collector.server.server_port}/heads",
    }
    with harness.gateway(
        folder, postgres, database="postgres", policy=POLICY, role=postgres.superuser, password=postgres.password,
        audit={"heads": heads}, listen={"workers": workers},
    ) as gateway:  # fmt: skip
        yield gateway


def verified(folder: Path, log: str = "audit.jsonl", key: str = "key.pub") -> tuple[bool, str]:
    return audit_tools.verify(folder / log, folder / "elsewhere/heads.jsonl", [folder / key])


def until(true: Callable[[], bool], what: Path) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, (what / "gateway.log").read_text()
        time.sleep(0.05)


def is_signed(folder: Path) -> bool:
    """The whole log is."""
    known = int((folder / "audit.jsonl.head").read_bytes().split()[0])
    file = folder / "elsewhere/heads.jsonl"
    return file.exists() and any(json.loads(line)["size"] == known for line in file.read_bytes().splitlines())


def signers(pid: int) -> list[int]:
    found = [
        int(one) for task in Path(f"/proc/{pid}/task").iterdir() for one in (task / "children").read_text().split()
    ]
    return [one for one in found if b"\0nlsql_gateway.signer\0" in Path(f"/proc/{one}/cmdline").read_bytes()]


def test_what_is_recorded_is_signed_and_published(
    postgres: EmbeddedPostgres, tmp_path: Path, collector: Collector
) -> None:
    with signed(tmp_path, postgres, collector) as gateway:
        gateway.psql("-c", "SELECT 'for the record'")
        until(lambda: is_signed(tmp_path), tmp_path)
        done = run(
            "audit", "verify", tmp_path / "audit.jsonl",
            "--heads", tmp_path / "elsewhere/heads.jsonl", "--key", tmp_path / "key.pub",
        )  # fmt: skip
        assert done.returncode == 0
        assert "signed heads agree, the last at record" in done.stdout
        lines = (tmp_path / "elsewhere/heads.jsonl").read_bytes().splitlines()
        until(lambda: lines[-1] in collector.got, tmp_path)
        assert gateway.stop() == 0
    assert "Traceback" not in (tmp_path / "gateway.log").read_text()


def test_an_entry_is_proved_to_whoever_has_the_public_key(
    postgres: EmbeddedPostgres, tmp_path: Path, collector: Collector
) -> None:
    with signed(tmp_path, postgres, collector) as gateway:
        gateway.psql("-c", "SELECT 'for the record'")
        until(lambda: is_signed(tmp_path), tmp_path)
        (name,) = {str(one["id"]) for one in gateway.records() if "for the record" in str(one.get("text"))}
    audited = ["--heads", tmp_path / "elsewhere/heads.jsonl", "--key", tmp_path / "key.pub"]
    away = tmp_path / "away"
    away.mkdir()
    done = run("audit", "receipt", tmp_path / "audit.jsonl", name, *audited, "--out", away / "receipt.json")
    assert done.returncode == 0, done.stderr
    (tmp_path / "key.pub").rename(away / "key.pub")
    checked = run("audit", "check-receipt", away / "receipt.json", "--key", away / "key.pub")
    assert checked.returncode == 0
    assert "proved: " in checked.stdout
    assert "for the record" in checked.stdout
    lines = (tmp_path / "elsewhere/heads.jsonl").read_text().splitlines(keepends=True)
    (away / "kept.jsonl").write_text(lines[0])
    again = ["--heads", tmp_path / "elsewhere/heads.jsonl", "--key", away / "key.pub"]
    done = run("audit", "consistency", tmp_path / "audit.jsonl", away / "kept.jsonl", *again, "--out", away / "proof")
    assert done.returncode == 0, done.stderr
    checked = run("audit", "check-receipt", away / "proof", "--key", away / "key.pub")
    assert (checked.returncode, checked.stdout[:8]) == (0, "proved: ")
    assert "goes on from the log of the head signed" in checked.stdout
    content = (away / "receipt.json").read_text()
    (away / "receipt.json").write_text(content.replace("for the record", "for the recorD"))
    checked = run("audit", "check-receipt", away / "receipt.json", "--key", away / "key.pub")
    assert checked.returncode == 1
    assert "not proved: record" in checked.stdout


def test_an_endpoint_that_was_away_gets_the_newest_head(
    postgres: EmbeddedPostgres, tmp_path: Path, collector: Collector
) -> None:
    collector.status = 503
    with signed(tmp_path, postgres, collector) as gateway:
        gateway.psql("-c", "SELECT 1")
        until(lambda: is_signed(tmp_path), tmp_path)
        until(lambda: "cannot be published" in (tmp_path / "gateway.log").read_text(), tmp_path)
        collector.status = 200
        last = (tmp_path / "elsewhere/heads.jsonl").read_bytes().splitlines()[-1]
        until(lambda: last in collector.got, tmp_path)
        until(lambda: "published again" in (tmp_path / "gateway.log").read_text(), tmp_path)


def test_a_signer_that_dies_is_started_again_and_ends_with_the_gateway(
    postgres: EmbeddedPostgres, tmp_path: Path, collector: Collector
) -> None:
    with signed(tmp_path, postgres, collector) as gateway:
        gateway.psql("-c", "SELECT 1")
        until(lambda: is_signed(tmp_path), tmp_path)
        (first,) = signers(gateway.process.pid)
        assert os.getpriority(os.PRIO_PROCESS, first) > os.getpriority(os.PRIO_PROCESS, gateway.process.pid)
        os.kill(first, signal.SIGKILL)
        gateway.psql("-c", "SELECT 2")
        until(lambda: is_signed(tmp_path), tmp_path)
        (second,) = signers(gateway.process.pid)
        assert second != first
        assert gateway.stop() == 0
        assert not Path(f"/proc/{second}").exists()
    assert verified(tmp_path)[0]


def test_each_worker_s_log_is_signed(postgres: EmbeddedPostgres, tmp_path: Path, collector: Collector) -> None:
    with signed(tmp_path, postgres, collector, workers=2) as gateway:
        for number in range(8):
            gateway.psql("-c", f"SELECT {number}")
    done = run("audit", "heads", "--once", "--config", tmp_path / "gateway.yaml")
    assert done.returncode == 0, done.stderr
    whole, told = verified(tmp_path)
    assert whole, told
    assert told.count("signed heads agree") == len(
        [log for log in tmp_path.glob("audit-*.jsonl") if log.stat().st_size]
    )


def test_a_log_that_is_written_anew_is_found_out(
    postgres: EmbeddedPostgres, tmp_path: Path, collector: Collector
) -> None:
    with signed(tmp_path, postgres, collector) as gateway:
        gateway.psql("-c", "SELECT 1")
        until(lambda: is_signed(tmp_path), tmp_path)
    for file in tmp_path.glob("audit.jsonl*"):
        file.unlink()
    collector.got.clear()
    with signed(tmp_path, postgres, collector) as gateway:
        gateway.psql("-c", "SELECT 2")
        until(lambda: "the audit log is not signed" in (tmp_path / "gateway.log").read_text(), tmp_path)
    assert audit_tools.verify(tmp_path / "audit.jsonl")[0], "without heads nobody can tell"
    whole, told = verified(tmp_path)
    assert not whole
    assert "is of another log" in told
    done = run("audit", "heads", "--once", "--config", tmp_path / "gateway.yaml")
    assert done.returncode == 1
    assert "is of another log" in done.stderr
    assert all(json.loads(one)["size"] for one in collector.got)


def test_the_wrong_key_and_a_missing_one(postgres: EmbeddedPostgres, tmp_path: Path, collector: Collector) -> None:
    with signed(tmp_path, postgres, collector) as gateway:
        gateway.psql("-c", "SELECT 1")
        until(lambda: is_signed(tmp_path), tmp_path)
        assert "heads signed by" in run("check", "-d", "postgres", "-c", gateway.config).stdout
    assert run("audit", "keygen", tmp_path / "other").returncode == 0
    assert run("audit", "keygen", tmp_path / "other").returncode == 2
    whole, told = verified(tmp_path, key="other.pub")
    assert not whole
    assert "it was signed with another key" in told
    assert (
        run("audit", "verify", tmp_path / "audit.jsonl", "--heads", tmp_path / "elsewhere/heads.jsonl").returncode == 2
    )
    (tmp_path / "key").unlink()
    refused = run("serve", "--config", tmp_path / "gateway.yaml")
    assert refused.returncode == 2
    assert "key: No such file" in refused.stderr


def test_heads_of_another_log_prove_nothing(postgres: EmbeddedPostgres, tmp_path: Path, collector: Collector) -> None:
    for name in ("one", "two"):
        with signed(tmp_path / name, postgres, collector) as gateway:
            gateway.psql("-c", "SELECT 1")
            until(lambda name=name: is_signed(tmp_path / name), tmp_path / name)  # type: ignore[misc]
    log = tmp_path / "two" / "audit.jsonl"
    for end in ("", ".head"):
        Path(f"{log}{end}").rename(tmp_path / "one" / f"other.jsonl{end}")
    whole, told = verified(tmp_path / "one", log="other.jsonl")
    assert not whole
    assert told.endswith("not proved: heads.jsonl has no head of this log")


@pytest.mark.parametrize(
    ("heads", "fault"),
    [
        ({"key": "key"}, r"audit\.heads\.file"),
        ({"key": "key", "file": "heads", "publish": "ftp://x"}, r"audit\.heads\.publish"),
        ({"key": "key", "file": "heads", "publish": "http://x", "token_env": "T"}, "the token would be sent in clear"),
        ({"key": "key", "file": "heads", "publish": "https://x", "token_env": "NLSQL_NO"}, "NLSQL_NO is not set"),
    ],
)
def test_what_settings_cannot_say(tmp_path: Path, heads: dict[str, str], fault: str) -> None:
    make_key(tmp_path / "key")
    config = tmp_path / "gateway.yaml"
    config.write_text(
        yaml.safe_dump(
            {"upstream": {"user": "u"}, "auth": {"users": "u"}, "policy": str(POLICY), "audit": {"heads": heads}}
        )
    )
    with pytest.raises(ConfigError, match=fault), audit_serving.beside(config):
        pass
