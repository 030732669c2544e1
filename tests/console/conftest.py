"""The console in front of a real gateway on a real PostgreSQL; a dict stands in the place of the model."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from nlsql_gateway.config import load
from nlsql_gateway.config_console import Console, ConsoleListen
from nlsql_gateway.console import Backstage, Port, build, server
from nlsql_gateway.console_backstage import backstage
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.console.browser import Browser
from tests.e2e import harness
from tests.e2e.harness import RunningGateway
from tests.evaluation.house import Answers

POLICY = """
version: 1
name: shop
users:
  ada:   {roles: analyst}
  petra: {roles: analyst}
  otto:  {roles: analyst}
  emil:  {roles: east}
roles:
  analyst:
    read: [public.customers, public.orders, public.many, {tables: public.staff, hide: [salary]}]
    masks:
      - {columns: public.customers.email, with: {partial: {first: 1, fill: "***"}}}
  east:
    read: [public.customers, public.orders]
    rows:
      - {tables: public.customers, using: region = 'East'}
"""

TABLES = """
CREATE TABLE customers (id integer PRIMARY KEY, name text NOT NULL, email text, region text);
CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer REFERENCES customers, amount numeric(10, 2),
  placed date);
CREATE TABLE staff (id integer, name text, salary integer);
CREATE TABLE secrets (id integer, words text);
CREATE TABLE many (id integer, label text);
COMMENT ON TABLE customers IS 'who buys <script>alert(1)</script>';
INSERT INTO customers VALUES (1, 'Ann', 'ann@example.com', 'East'), (2, 'Bob', 'bob@example.com', 'West'),
  (3, '<script>alert("x")</script>', '=1+1', 'East'), (4, NULL || 'x', NULL, 'West');
INSERT INTO orders SELECT n, n % 3 + 1, n * 10.5, date '2025-01-01' + n FROM generate_series(1, 40) AS n;
INSERT INTO staff VALUES (1, 'Zoe', 100);
INSERT INTO many SELECT n, 'row ' || n FROM generate_series(1, 10050) AS n;
""".replace("NULL || 'x'", "'Dan'")

DATABASE = "shop"


@dataclass
class House:
    gateway: RunningGateway
    model: Answers
    answers: dict[str, str | None]
    "What the model answers: part of the prompt -> SQL; change it in a test."


@pytest.fixture(scope="session")
def _house(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("console")
    postgres.execute(f"CREATE DATABASE {DATABASE}")
    postgres.execute(TABLES, database=DATABASE)
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    answers: dict[str, str | None] = {}
    model = Answers(answers, pauses={})
    semantics = folder / "semantics.yaml"
    semantics.write_text("version: 1\ndatabases:\n  shop:\n    metrics:\n      turnover: sum(orders.amount)\n")
    with (
        model.served() as url,
        harness.gateway(
            folder,
            postgres,
            database=DATABASE,
            policy=policy,
            role=postgres.superuser,
            password=postgres.password,
            ask={
                "backend": "openai",
                "url": url,
                "model": "double",
                "prompt": "chatml",
                "repairs": 0,
                "samples": 0,
                "threshold": 0,
                "look": 0,
                "cache": {"entries": 0},
                "semantics": str(semantics),
            },
            auth={"lockout": {"failures": 1000}},  # all browsers come from one address
        ) as gateway,
    ):
        yield House(gateway, model, answers)


@pytest.fixture
def house(_house: House) -> House:
    _house.answers.clear()
    _house.answers[""] = "SELECT count(*) AS customers FROM customers"
    return _house


@dataclass
class Consoles:
    """Consoles that a test starts, each served by uvicorn from a thread; ended behind the test."""

    house: House
    folder: Path
    stack: ExitStack = field(default_factory=ExitStack)

    def start(
        self,
        *,
        backstage: Backstage | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        port: Port | None = None,
        **settings: Any,
    ) -> Browser:
        """A browser that nobody has signed in with, at a console of its own."""
        console = Console.model_validate(
            {
                "databases": [DATABASE],
                "officers": ["otto"],
                "reviewers": ["petra"],
                "feedback": self.folder / "feedback.jsonl",
                **settings,
            }
        )
        app = build(console, port or Port("127.0.0.1", self.house.gateway.port), backstage, monotonic)
        url = self.stack.enter_context(served(app, console.listen))
        client = httpx.Client(base_url=url, verify=False, timeout=60)
        return Browser(self.stack.enter_context(client))


@contextmanager
def served(app: ASGIApp, listen: ConsoleListen) -> Iterator[str]:
    """Its URL."""
    web = server(app, listen)
    with socket.create_server(("127.0.0.1", 0)) as one:
        thread = threading.Thread(target=web.run, kwargs={"sockets": [one]})
        thread.start()
        try:
            yield f"http{'s' if listen.tls else ''}://127.0.0.1:{one.getsockname()[1]}"
        finally:
            web.should_exit = True
            thread.join(30)
            assert not thread.is_alive(), "the console ends when told to"


@pytest.fixture
def consoles(house: House, tmp_path: Path) -> Iterator[Consoles]:
    found = Consoles(house, tmp_path)
    with found.stack:
        yield found


@pytest.fixture
def offered(house: House, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Backstage:
    """What the console is handed beside the port, as the command hands it, with an officer."""
    monkeypatch.setenv("UPSTREAM_PASSWORD", postgres.password)
    settings = load(house.gateway.config)
    console = Console(officers=("otto",), evaluation=tmp_path / "evaluation")
    return backstage(house.gateway.config, settings.model_copy(update={"console": console}))


@pytest.fixture
def ada(consoles: Consoles) -> Browser:
    """Signed in."""
    return consoles.start().sign_in("ada")
