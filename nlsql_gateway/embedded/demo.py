"""``nlsql-gateway demo``: everything on this machine, started with one command, then a tour through it.

In order, each a child process that dies with us: PostgreSQL with the demonstration database, the model through Triton
(``nlsql-gateway model serve``), the gateway (``nlsql-gateway serve``), psql for the tour. What they need is written to
``folder`` and found there again the next time: the cluster, gateway.yaml, the users, the audit log, the logs.

Stopping: the first SIGINT, SIGTERM or SIGHUP unwinds, which stops the parts in reverse order; the second ends us at
once, and the kernel ends them (see ``child``).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

import psutil
import yaml

from nlsql_gateway.embedded import child, model, retail
from nlsql_gateway.embedded import tour as tours
from nlsql_gateway.embedded.postgres import HOST, EmbeddedPostgres, psql_path
from nlsql_gateway.embedded.program import ourselves, start_program
from nlsql_gateway.embedded.psql import Psql
from nlsql_gateway.embedded.show import Show, console
from nlsql_gateway.errors import ConfigError, ModelUnavailable, UpstreamError

ROOT = Path(__file__).resolve().parents[2]
"The checkout: policies/ lies beside the package."


HAS_CONSOLE = all(find_spec(name) is not None for name in ("jinja2", "starlette", "uvicorn"))
"""The extra ``console`` is installed."""

HEAD = "# Written by `nlsql-gateway demo` at every start; docs/settings.md explains the keys.\n"


@dataclass(frozen=True, slots=True)
class Ports:
    """The one place where the demonstration's ports are chosen."""

    gateway: int = 6432
    postgres: int = 6433
    triton: int = 8001
    console: int = 8432


@dataclass(frozen=True, slots=True)
class Sources:
    """What the demonstration reads and does not write."""

    policy: Path = ROOT / "policies" / "retail.yaml"
    model: str = "qwen2_5_coder_1_5b"
    tour: Path = ROOT / "nlsql_gateway" / "embedded" / "tour.yaml"


class _Stopped(BaseException):
    """A signal asked us to stop. Not an Exception: nothing on the way may mistake it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run(*, once: bool, folder: Path = Path(".demo"), ports: Ports | None = None, sources: Sources | None = None) -> int:
    """Start all parts, take the tour, and stay until stopped, or leave after the tour when ``once``.

    Call it from the main thread. Returns 0 when every step held, 1 when one did not or a part stopped by itself,
    128 + the signal when stopped before the end of the tour. Raises ConfigError when a port is taken (nothing has been
    started then) or a file is missing or wrong, other GatewayErrors when a part does not start.
    """
    show = Show(console())
    with _stoppable():
        try:
            with ExitStack() as parts:
                return _run(show, parts, once, folder.resolve(), ports or Ports(), sources or Sources())
        except _Stopped as stopped:
            show.line(f"\nstopped by {signal.Signals(stopped.number).name}")
            return 128 + stopped.number


def _run(show: Show, parts: ExitStack, once: bool, folder: Path, ports: Ports, sources: Sources) -> int:
    _check_ports(ports)
    for needed in (sources.policy, sources.tour):
        if not needed.exists():
            raise ConfigError(f"{needed}: not there; the demonstration runs from a checkout")
    questions = tours.load(sources.tour)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    show.title("nlsql-gateway: the demonstration")
    server = _start_postgres(show, parts, folder, ports)
    _pull_model(show, parts)
    programs = [
        _start_triton(show, parts, folder, ports, sources),
        _start_gateway(show, parts, folder, ports, sources),
    ]
    passwords = _passwords(folder)
    tour = tours.Tour(
        gateway=Psql(ports.gateway, retail.DATABASE, passwords),
        direct=Psql(ports.postgres, retail.DATABASE, {server.superuser: server.password}),
        direct_user=server.superuser,
        questions=questions,
        verify=lambda: _verify(folder),
    )
    show.title("The tour")
    failed = sum(bool(show.take(number, step).failure) for number, step in enumerate(tour.steps(), 1))
    verdict = "every step held" if not failed else f"{failed} step{'s' if failed > 1 else ''} did not hold"
    show.line(f"The tour: {verdict}.", "bold green" if not failed else "bold red")
    if not once:
        _invite(show, ports, passwords)
        try:
            failed += _stay(show, server, programs)
        except _Stopped:
            show.line("\nstopping")
    return int(bool(failed))


def _check_ports(ports: Ports) -> None:
    """Raises ConfigError, naming every port that somebody listens on."""
    taken = []
    for field in fields(ports):
        port = getattr(ports, field.name)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of an earlier demo may linger
            try:
                probe.bind((HOST, port))
            except OSError:
                taken.append(f"port {port} is taken ({_listener(port)}): is another demo running?")
    if taken:
        raise ConfigError(
            "\n".join(taken), hint="the demonstration needs the ports " + ", ".join(map(str, astuple(ports)))
        )


def _listener(port: int) -> str:
    """Who listens there, as far as we may know."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            at = connection.laddr
            if connection.status == psutil.CONN_LISTEN and at and at.port == port and connection.pid:
                process = psutil.Process(connection.pid)
                return f"by {process.name()}, process {process.pid}"
    return "by another user's program"


def _start_postgres(show: Show, parts: ExitStack, folder: Path, ports: Ports) -> EmbeddedPostgres:
    server = EmbeddedPostgres(folder / "postgres", ports.postgres, durable=False)
    with show.part("PostgreSQL", "starting") as part:
        parts.enter_context(server)
        part.note = f"{HOST}:{server.port}"
    today = datetime.now(UTC).date()
    password = folder / "upstream.password"
    with show.part("Database", "looking for retail") as part:
        if password.exists() and retail.is_loaded(server, today=today):
            part.note = "retail, kept from last time"
        else:
            _write_secret(password, secrets.token_urlsafe(24))
            rows = retail.load(server, today=today, password=password.read_text().strip())
            part.note = f"retail, {rows:,} rows in 14 tables"
    return server


def _pull_model(show: Show, parts: ExitStack) -> None:
    """In a process of its own, which draws the progress bar: stopping it takes its downloads along at once."""
    started = time.monotonic()
    if model.find() is None:
        show.line(f"  Model: fetching {model.EMBEDDED.size / 1e9:.1f} GB, this once")
        process = child.spawn(ourselves(["model", "pull"]), death_signal=signal.SIGTERM, stdout=subprocess.DEVNULL)
        parts.callback(child.end, process, signal.SIGTERM, patience=0)
        if process.wait() != 0:
            raise ModelUnavailable("the model could not be fetched: see above")
    show.ready("Model", model.EMBEDDED.file, time.monotonic() - started)


def _start_triton(
    show: Show, parts: ExitStack, folder: Path, ports: Ports, sources: Sources
) -> subprocess.Popen[bytes]:
    with show.part("Triton", "loading the model") as part:
        command = ["model", "serve", "--grpc-port", str(ports.triton), "--model", sources.model]
        process, part.note = start_program("Triton", parts, command, folder / "triton.log", timeout=300)
        part.note += f", {sources.model}"
    return process


def _start_gateway(
    show: Show, parts: ExitStack, folder: Path, ports: Ports, sources: Sources
) -> subprocess.Popen[bytes]:
    config = folder / "gateway.yaml"
    with show.part("Gateway", "starting") as part:
        config.write_text(HEAD + yaml.safe_dump(_settings(ports, sources), sort_keys=False))
        _add_users(folder)
        command = ["serve", "--config", str(config)]
        process, part.note = start_program("the gateway", parts, command, folder / "gateway.log", timeout=60)
    return process


def _settings(ports: Ports, sources: Sources) -> dict[str, object]:
    """What gateway.yaml says. The deadline is a patient one: this may be a small machine with other work to do."""
    return {
        "listen": {"host": HOST, "port": ports.gateway},
        "upstream": {
            "host": HOST,
            "port": ports.postgres,
            "user": retail.ROLE,
            "password_file": "upstream.password",
            "sslmode": "disable",
        },
        "auth": {"method": "scram-sha-256", "users": "users.txt"},
        "ask": {
            "backend": "triton",
            "url": f"grpc://{HOST}:{ports.triton}",
            "model": sources.model,
            "deadline": "180s",
        },
        "policy": str(sources.policy),
        "audit": {"path": "audit/audit.jsonl"},
        **({"console": _console(ports)} if HAS_CONSOLE else {}),
    }


def _console(ports: Ports) -> dict[str, object]:
    """The analyst of the tour sees all pages of the console."""
    people = {"officers": [tours.ANALYST], "reviewers": [tours.ANALYST]}
    return {"listen": {"host": HOST, "port": ports.console}, "databases": [retail.DATABASE], **people}


def _passwords(folder: Path) -> Mapping[str, str]:
    """The users of the tour and their passwords, made the first time and kept: copied psql lines go on working."""
    kept = folder / "passwords.yaml"
    if not kept.exists():
        people = (tours.ANALYST, *tours.REGIONAL)
        _write_secret(kept, yaml.safe_dump({name: secrets.token_hex(6) for name in people}))
    passwords: dict[str, str] = yaml.safe_load(kept.read_text())
    return passwords


def _add_users(folder: Path) -> None:
    """The users file, written by the command that an operator uses."""
    users = folder / "users.txt"
    listed = users.read_text() if users.exists() else ""
    for name, password in _passwords(folder).items():
        if f'"{name}"' not in listed:
            arguments = ["user", "add", name, "--users", str(users), "--password-stdin"]
            arguments += ["--config", str(folder / "gateway.yaml")]
            done = subprocess.run(ourselves(arguments), input=password + "\n", capture_output=True, text=True)
            if done.returncode != 0:
                raise UpstreamError(f"user {name} could not be added", detail=done.stderr.strip())


def _verify(folder: Path) -> tuple[bool, str]:
    command = ourselves(["audit", "verify", str(folder / "audit" / "audit.jsonl")])
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode == 0, (done.stdout or done.stderr).strip()


def _invite(show: Show, ports: Ports, passwords: Mapping[str, str]) -> None:
    show.title("Now you, in another terminal")
    psql = shutil.which("psql") or shlex.quote(str(psql_path()))
    for name, password in passwords.items():
        region = tours.REGIONAL.get(name)
        show.line(f"# {name} sees {f'the region {region}' if region else 'all regions'}", "dim")
        show.line(f"PGPASSWORD={password} {psql} -h {HOST} -p {ports.gateway} -U {name} {retail.DATABASE}")
    show.line("\nand there, for example:")
    show.line("  ASK top 5 customers by revenue;", "cyan")
    show.line("  ASK EXPLAIN which products were returned most;", "cyan")
    show.line("  SELECT name, email FROM customers LIMIT 5;", "cyan")
    if HAS_CONSOLE:
        name, password = next(iter(passwords.items()))
        show.line(f"\nor in a browser, as {name} with the password {password}:")
        show.line(f"  http://{HOST}:{ports.console}", "cyan")
    show.line("\nCtrl-C stops everything.", "bold")


def _stay(show: Show, server: EmbeddedPostgres, programs: Sequence[subprocess.Popen[bytes]]) -> bool:
    """Until a signal comes. Returns True when a part stopped by itself."""
    while True:
        time.sleep(0.5)
        if not server.running or any(program.poll() is not None for program in programs):
            show.line("a part stopped by itself; the logs are in .demo/", "bold red")
            return True


def _write_secret(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Inside, the first signal to stop raises ``_Stopped`` once; another one ends the process there and then."""
    stopping = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def at_once(number: int, _frame: FrameType | None) -> None:
        os._exit(128 + number)  # the kernel signals the children

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in stopping:
            signal.signal(each, at_once)
        raise _Stopped(number)

    before = {number: signal.signal(number, stop) for number in stopping}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
