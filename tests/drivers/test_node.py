"""Node.js: node-postgres with its cursors and streams, and postgres.js. npm fetches the drivers."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.drivers.conftest import CACHE
from tests.e2e.harness import PASSWORDS, RunningGateway

HERE = Path(__file__).parent / "node"

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or shutil.which("npm") is None, reason="needs node 18 or newer, and npm"
)


@pytest.fixture(scope="module")
def modules() -> Path:
    return node_modules()


def node_modules() -> Path:
    """The folder ``node_modules`` with what package.json names; fetched once."""
    package = (HERE / "package.json").read_bytes()
    folder = CACHE / f"node-{hashlib.sha256(package).hexdigest()[:12]}"
    if not (folder / ".fetched").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_bytes(package)
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        (folder / ".fetched").touch()
    return folder / "node_modules"


def node(modules: Path, gateway: RunningGateway, script: str, *arguments: str) -> None:
    done = subprocess.run(
        ["node", HERE / script, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "NODE_PATH": str(modules),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(gateway.port),
            "PGUSER": "ada",
            "PGPASSWORD": PASSWORDS["ada"],
            "PGDATABASE": gateway.database,
        },
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stdout + done.stderr


def test_node_postgres_under_a_policy(modules: Path, governed: RunningGateway) -> None:
    node(modules, governed, "governed.js")


def test_node_postgres_where_the_policy_passes(modules: Path, passing: RunningGateway, table: str) -> None:
    node(modules, passing, "open.js")


def test_postgres_js_under_a_policy(modules: Path, governed: RunningGateway) -> None:
    node(modules, governed, "postgres_js.js", "governed")


def test_postgres_js_where_the_policy_passes(modules: Path, passing: RunningGateway, table: str) -> None:
    node(modules, passing, "postgres_js.js", "open")
