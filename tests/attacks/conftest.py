"""One house for all attacks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks import house as house_of
from tests.attacks.house import House


@pytest.fixture(scope="session")
def house() -> Iterator[House]:
    folder = Path(tempfile.mkdtemp(prefix="nlsql-attacks-"))
    try:
        with house_of.running(folder) as running:
            yield running
    finally:
        shutil.rmtree(folder)
