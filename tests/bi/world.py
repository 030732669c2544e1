"""The world that a tool looks at twice: retail behind the gateway, and PostgreSQL as a role with the same rights.

The direct roles are made from ``policies/retail.yaml``: column grants for what is hidden, row security for the filters.
PostgreSQL has nothing for masks, so values of masked columns differ, and nothing else may.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import yaml

from nlsql_gateway.embedded import retail
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.embedded.program import start_program
from tests.e2e import harness
from tests.e2e.harness import PASSWORDS, RunningGateway

POLICY: Final = Path(__file__).resolve().parents[2] / "policies" / "retail.yaml"
PERSONS: Final = {"emil": "sales", "ada": "analyst"}
"""emil sees one region; ada sees all of them, and the addresses of customers masked."""

_MODEL: Final = "qwen2_5_coder_1_5b"
_SERVICE_PASSWORD: Final = "gateway-secret"


@dataclass(frozen=True)
class Address:
    """What a tool connects to, and as whom."""

    port: int
    user: str
    database: str = retail.DATABASE
    host: str = "127.0.0.1"

    @property
    def password(self) -> str:
        return PASSWORDS[self.user]

    def environment(self) -> dict[str, str]:
        """The variables that libpq and the programs read."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": self.database,
        }


@dataclass(frozen=True)
class World:
    server: EmbeddedPostgres
    gateway: RunningGateway

    def direct(self, person: str) -> Address:
        return Address(self.server.port, person)

    def through(self, person: str) -> Address:
        return Address(self.gateway.port, person)


@contextmanager
def world(*, asking: bool = False) -> Iterator[World]:
    """Start both; ``asking``: with the embedded model behind the gateway, which must have been pulled."""
    folder = Path(tempfile.mkdtemp(prefix="nlsql-bi-"))
    try:
        with ExitStack() as parts:
            yield parts.enter_context(_world(folder, _model(parts, folder) if asking else None))
    finally:
        shutil.rmtree(folder)


def _model(parts: ExitStack, folder: Path) -> dict[str, Any]:
    command = ["model", "serve", "--grpc-port", "0", "--model", _MODEL]
    _, address = start_program("the model", parts, command, folder / "model.log", timeout=300)
    return {"backend": "triton", "url": f"grpc://{address}", "model": _MODEL, "deadline": "60s"}


@contextmanager
def _world(folder: Path, ask: dict[str, Any] | None) -> Iterator[World]:
    with EmbeddedPostgres(folder / "server", durable=False) as server:
        retail.load(server, today=date(2026, 11, 1), password=_SERVICE_PASSWORD)
        for statement in rights(yaml.safe_load(POLICY.read_text()), _columns(server)):
            server.execute(statement, retail.DATABASE)
        with harness.gateway(
            folder / "gateway", server, database=retail.DATABASE, policy=POLICY, role=retail.ROLE,
            password=_SERVICE_PASSWORD, ask=ask,
        ) as gateway:  # fmt: skip
            yield World(server, gateway)


def _columns(server: EmbeddedPostgres) -> dict[str, list[str]]:
    text = server.execute(
        "SELECT table_name || ' ' || string_agg(column_name, ' ' ORDER BY ordinal_position) "
        "FROM information_schema.columns WHERE table_schema = 'public' GROUP BY table_name",
        retail.DATABASE,
    )
    return {line.split()[0]: line.split()[1:] for line in text.splitlines()}


def rights(policy: dict[str, Any], columns: dict[str, list[str]]) -> Iterator[str]:
    """Statements that make a role of each of PERSONS, which may read what the policy lets that person read."""
    filtered: set[str] = set()
    for person, role in PERSONS.items():
        rules = policy["roles"][role]
        region = policy["users"].get(person, {}).get("attributes", {}).get("region", "")
        hidden = {
            one["tables"].removeprefix("public."): set(one["hide"]) for one in rules["read"] if isinstance(one, dict)
        }
        yield f"CREATE ROLE {person} LOGIN PASSWORD '{PASSWORDS[person]}'"
        yield f"GRANT CONNECT ON DATABASE {retail.DATABASE} TO {person}; GRANT USAGE ON SCHEMA public TO {person}"
        for table, names in columns.items():
            shown = ", ".join(name for name in names if name not in hidden.get(table, set()))
            yield f"GRANT SELECT {f'({shown}) ' if table in hidden else ''}ON {table} TO {person}"
        for rule in rules.get("rows", []):
            using = rule["using"].replace("person.region", f"'{region}'")
            for table in [rule["tables"]] if isinstance(rule["tables"], str) else rule["tables"]:
                filtered.add(table)
                yield f"CREATE POLICY {person} ON {table} FOR SELECT TO {person} USING ({using})"
    everything = ", ".join(
        [retail.ROLE, *(one for one, role in PERSONS.items() if "rows" not in policy["roles"][role])]
    )
    for table in sorted(filtered):
        yield f"CREATE POLICY everything ON {table} FOR SELECT TO {everything} USING (true)"
        yield f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"
