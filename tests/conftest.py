"""What all tests share: one real PostgreSQL 18, and the rule that nothing is skipped where CI is set."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.server.authority import Authority

CI = bool(os.environ.get("CI"))  # noqa: TID251 - tests ask the environment themselves


def pytest_configure() -> None:
    """A compiled module hides the source that it was made from: it must not be older than that."""
    root = Path(__file__).parents[1] / "nlsql_gateway"
    for compiled in root.rglob("*.so"):
        source = compiled.with_name(f"{compiled.name.partition('.')[0]}.py")
        if source.stat().st_mtime > compiled.stat().st_mtime:
            pytest.exit(f"{source} is newer than its compiled module: run `make install`", returncode=4)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed one: what it needs must be there."""
    report = yield
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped, though CI is set: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """What a test's command makes of logging for the whole process ends with the test."""
    root, handlers, level = logging.getLogger(), logging.getLogger().handlers[:], logging.getLogger().level
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
        root.handlers[:] = handlers
        root.setLevel(level)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A running server; everybody logs in over TCP with SCRAM, the superuser with ``postgres.password``.

    Make databases and roles of your own: ``postgres.execute("CREATE DATABASE …")``. Statements are in ``postgres.log``.
    """
    folder = Path(tempfile.mkdtemp(prefix="nlsql-postgres-"))
    try:
        with EmbeddedPostgres(folder, durable=False, log_statement="all") as server:
            yield server
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Whose certificates clients and the gateway take for good where a test says so."""
    folder = tmp_path / "authority"
    folder.mkdir()
    return Authority(folder)
