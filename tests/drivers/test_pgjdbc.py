"""pgjdbc beyond what tests/e2e does: pages, batches, binary results, metadata. Debian: libpostgresql-jdbc-java."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.harness import PASSWORDS, RunningGateway

DRIVER = Path("/usr/share/java/postgresql.jar")

pytestmark = pytest.mark.skipif(
    not DRIVER.exists() or shutil.which("java") is None, reason="needs java and libpostgresql-jdbc-java"
)


def java(gateway: RunningGateway, program: str, options: str) -> None:
    url = f"jdbc:postgresql://127.0.0.1:{gateway.port}/{gateway.database}?{options}"
    source = Path(__file__).parent / "pgjdbc" / f"{program}.java"
    done = subprocess.run(
        ["java", "-cp", str(DRIVER), source, url, "ada", PASSWORDS["ada"]], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stdout + done.stderr


@pytest.mark.parametrize(
    "options",
    ["prepareThreshold=1", "prepareThreshold=-1", "preferQueryMode=simple", "autosave=always&prepareThreshold=2"],
)
def test_a_governed_session(governed: RunningGateway, options: str) -> None:
    java(governed, "Governed", options)


@pytest.mark.parametrize("options", ["prepareThreshold=1", "reWriteBatchedInserts=true", "autosave=always"])
def test_an_open_session(passing: RunningGateway, table: str, options: str) -> None:
    java(passing, "Open", options)
