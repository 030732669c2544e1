from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from nlsql_gateway.training.prepare import command
from tests.training.source import write_source


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that ``prepare`` has written; tests that write copy it."""
    folder = tmp_path_factory.mktemp("prepared")
    source = write_source(tmp_path_factory.mktemp("source"))
    CliRunner().invoke(command, [str(source), str(folder)], catch_exceptions=False)
    return folder
