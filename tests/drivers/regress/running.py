"""Runs PostgreSQL's regression queries with the real psql, direct and through the gateway, and compares the outputs."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.drivers.regress import servers
from tests.drivers.regress.servers import Address
from tests.drivers.regress.source import BINARIES, VERSION
from tests.e2e import harness
from tests.e2e.harness import RunningGateway

DATABASE: Final = "regression"
PSQL: Final = BINARIES / "psql"

# pg_regress.c, create_database
_DATABASE_SETTINGS: Final = {
    "lc_messages": "C",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "bytea_output": "hex",
    "timezone_abbreviations": "Default",
}


@dataclass
class Side:
    """One of the two ways to the same kind of server."""

    address: Address
    "What psql connects to."
    results: Path
    source: Path

    def start(self, name: str, timeout: float) -> subprocess.Popen[bytes]:
        """psql on one file of queries, as ``pg_regress`` calls it; its output is in ``results``."""
        output = self.results / "results" / f"{name}.out"
        command: list[str | Path] = [
            *("timeout", "-s", "KILL", str(timeout), PSQL, "-X", "-a", "-q", "-d", DATABASE),
            *("-v", "HIDE_TABLEAM=on", "-v", "HIDE_TOAST_COMPRESSION=on"),
        ]
        with (self.source / "sql" / f"{name}.sql").open("rb") as queries, output.open("wb") as out:
            return subprocess.Popen(
                command, stdin=queries, stdout=out, stderr=subprocess.STDOUT, env=self.environment(), cwd=self.results
            )

    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{BINARIES}:/usr/bin:/bin",
            "PGHOST": self.address.host,
            "PGPORT": str(self.address.port),
            "PGUSER": "postgres",
            "PGTZ": "PST8PDT",
            "PGDATESTYLE": "Postgres, MDY",
            "PGOPTIONS": "-c intervalstyle=postgres_verbose",
            "PG_ABS_SRCDIR": str(self.source),
            "PG_ABS_BUILDDIR": str(self.results),
            "PG_LIBDIR": str(self.source),
            "PG_DLSUFFIX": ".so",
            "LC_ALL": "C",
        }

    def output(self, name: str) -> bytes:
        """What came, with what must differ made equal: the names of the folder and the port."""
        text = (self.results / "results" / f"{name}.out").read_bytes()
        text = text.replace(str(self.results).encode(), b"<results>")
        return re.sub(rb"port %d\b" % self.address.port, b"port <port>", text)


@dataclass
class Pair:
    direct: Side
    through: Side
    gateway: RunningGateway

    def run(self, name: str, timeout: float = 180) -> bool:
        """Run one file on both sides at once. Whether the outputs are equal."""
        processes = [side.start(name, timeout) for side in (self.direct, self.through)]
        statuses = [process.wait() for process in processes]
        return statuses[0] == statuses[1] and self.direct.output(name) == self.through.output(name)


@contextmanager
def pair(folder: Path, tree: Path) -> Iterator[Pair]:
    """Two fresh databases ``regression``, and a pass-through gateway in front of the second.

    The server reads and writes files here too, so ``folder`` must be within its user's reach.
    """
    source = folder / "source"
    source.mkdir()
    for part in ("sql", "data"):
        shutil.copytree(tree / "src/test/regress" / part, source / part)
    shutil.copy(tree / "src/test/regress/regress.so", source)
    for library in ("autoinc", "refint"):  # Debian's, from postgresql-15
        shutil.copy(f"/usr/lib/postgresql/{VERSION}/lib/{library}.so", source)
    with servers.twins(folder) as (first, second):
        for address in (first, second):
            _create(address)
        policy = Path(__file__).resolve().parents[3] / "policies" / "pass-through.yaml"
        with harness.gateway(
            folder / "gateway", second, database=DATABASE, policy=policy, role="postgres", password="unused",
            auth={"method": "trust"},
        ) as running:  # fmt: skip
            sides = []
            for name, address in (("direct", first), ("through", Address("127.0.0.1", running.port))):
                results = folder / name
                for made in (results, results / "results", results / "testtablespace", results / "sql"):
                    made.mkdir()
                    servers.give(made)
                sides.append(Side(address, results, source))
            yield Pair(sides[0], sides[1], running)


def _create(address: Address) -> None:
    texts = [f"CREATE DATABASE {DATABASE} TEMPLATE template0"]
    texts += [f"ALTER DATABASE {DATABASE} SET {name} TO '{value}'" for name, value in _DATABASE_SETTINGS.items()]
    command: list[str | Path] = [PSQL, "-X", "-q", "-h", address.host, "-p", str(address.port), "-U", "postgres"]
    for text in texts:
        subprocess.run([*command, "-d", "postgres", "-c", text], check=True, capture_output=True)


def schedule(tree: Path) -> list[str]:
    """The files in the order of ``parallel_schedule``, one after another."""
    text = (tree / "src/test/regress/parallel_schedule").read_text()
    return [name for line in text.splitlines() if line.startswith("test:") for name in line[5:].split()]
