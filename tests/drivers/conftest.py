"""Real clients against two gateways: one governed by ``policies/retail.yaml``, one open on a writable database."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from nlsql_gateway.embedded import retail
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.e2e import harness
from tests.e2e.harness import RunningGateway

POLICIES = Path(__file__).resolve().parents[2] / "policies"
SERVICE_PASSWORD = "gateway-secret"

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "nlsql-gateway"  # noqa: TID251 - of the tests
"""Where what a client's package manager fetched is kept between runs."""


@pytest.fixture(scope="session")
def upstream() -> Iterator[EmbeddedPostgres]:
    """A server of these tests' own: the database ``retail``, and ``open``, which everybody may change."""
    folder = Path(tempfile.mkdtemp(prefix="nlsql-drivers-"))
    try:
        with EmbeddedPostgres(folder, durable=False, log_statement="all") as server:
            retail.load(server, today=date(2026, 11, 1), password=SERVICE_PASSWORD)
            server.execute("CREATE DATABASE open")
            yield server
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def governed(upstream: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with harness.gateway(
        tmp_path_factory.mktemp("governed"),
        upstream,
        database=retail.DATABASE,
        policy=POLICIES / "retail.yaml",
        role=retail.ROLE,
        password=SERVICE_PASSWORD,
    ) as running:
        yield running


@pytest.fixture(scope="session")
def passing(upstream: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """Pass-through, as the superuser."""
    with harness.gateway(
        tmp_path_factory.mktemp("passing"),
        upstream,
        database="open",
        policy=POLICIES / "pass-through.yaml",
        role=upstream.superuser,
        password=upstream.password,
    ) as running:
        yield running


@pytest.fixture
def table(upstream: EmbeddedPostgres) -> Iterator[str]:
    """A fresh table ``things (id int primary key, name text)`` with 100 rows in ``open``; its name."""
    upstream.execute("DROP TABLE IF EXISTS things", "open")
    upstream.execute("CREATE TABLE things (id int PRIMARY KEY, name text)", "open")
    upstream.execute("INSERT INTO things SELECT g, 'thing ' || g FROM generate_series(1, 100) g", "open")
    yield "things"
    upstream.execute("DROP TABLE IF EXISTS things", "open")
