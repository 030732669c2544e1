"""Everything that a run needs, brought along: real PostgreSQL and gateway, and once the real Triton with the model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from nlsql_gateway.config import load
from nlsql_gateway.errors import ConfigError, UpstreamError
from nlsql_gateway.evaluation.asking import Login
from nlsql_gateway.evaluation.starting import comments, started

SHOPS = """
CREATE SCHEMA "Own";
CREATE TABLE "Own".shops (id int, "openedOn" date);
CREATE TABLE towns (id int, name text);
INSERT INTO towns VALUES (1, 'Rome'), (2, 'Oslo');
INSERT INTO "Own".shops VALUES (1, CURRENT_DATE - 1);
"""
DESCRIBED = {
    "table_metadata": {
        "own.Shops": [{"column_name": "openedon", "column_description": "the day it's opened"}],
        "TOWNS": [
            {"column_name": "name", "column_description": "short name"},
            {"column_name": "id", "column_description": ""},
            {"column_name": "gone", "column_description": "no longer there"},
        ],
    }
}


@pytest.fixture
def databases(tmp_path: Path) -> Path:
    folder = tmp_path / "databases"
    folder.mkdir()
    (folder / "my.shops.sql").write_text(SHOPS)
    (folder / "my.shops.json").write_text(json.dumps(DESCRIBED))
    (folder / "broken.sql").write_text("CREATE TABLE a (x int);\nCREATE TABLE b (x nothing);\n")
    return folder


def written(folder: Path, **sections: Any) -> Path:
    path = folder / "partly.yaml"
    path.write_text(yaml.safe_dump({"ask": {"backend": "none"}, **sections}))
    return path


def rows(login: Login, database: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(
        host=login.host, port=login.port, user=login.user, password=login.password, dbname=database
    ) as connection:
        return connection.execute(sql).fetchall()


def test_databases_gateway_and_comments(databases: Path, tmp_path: Path) -> None:
    said: list[str] = []
    with started(databases, ["my.shops"], written(tmp_path), log=tmp_path / "log", say=said.append) as running:
        for login in (running.gateway, running.postgres):
            assert rows(login, "my.shops", 'SELECT "openedOn" - CURRENT_DATE FROM "Own".shops') == [(-1,)]
            with pytest.raises(psycopg.Error):
                rows(login, "my.shops", "INSERT INTO towns VALUES (3, 'Bern') RETURNING id")
        told = "SELECT c.relname, d.objsubid, d.description FROM pg_description d JOIN pg_class c ON c.oid = d.objoid"
        assert sorted(rows(running.postgres, "my.shops", f"{told} WHERE relname IN ('shops', 'towns')")) == [
            ("shops", 2, "the day it's opened"),
            ("towns", 2, "short name"),
        ]
        assert load(running.config).ask.backend == "none"
    assert said == ["starting PostgreSQL", "loading my.shops", "starting the gateway"]
    assert (tmp_path / "log" / "gateway.log").exists()
    assert not running.config.exists()


def test_a_policy_of_ones_own(databases: Path, tmp_path: Path) -> None:
    """Its path is relative to the configuration that names it; where to listen and log in is not taken over."""
    (tmp_path / "closed.yaml").write_text("version: 1\nname: closed\n")
    config = written(tmp_path, policy="closed.yaml", listen={"port": 1}, auth={"method": "trust"})
    with started(databases, ["my.shops"], config, log=tmp_path / "log", say=lambda _: None) as running:
        settings = load(running.config)
        assert settings.policy == tmp_path / "closed.yaml"
        assert settings.auth.method == "scram-sha-256"
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            rows(running.gateway, "my.shops", "SELECT * FROM towns")


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (["my.shops", "elsewhere", "retail"], ConfigError, r"no file for elsewhere\.sql$"),
        (["broken"], UpstreamError, r"broken\.sql: .*type \"nothing\" does not exist"),
    ],
)
def test_what_does_not_load(
    databases: Path, tmp_path: Path, names: list[str], error: type[Exception], message: str
) -> None:
    with (
        pytest.raises(error, match=message),
        started(databases, names, written(tmp_path), log=tmp_path, say=lambda _: None),
    ):
        pass


def test_descriptions_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for text in ("{", "[]", "{}", '{"table_metadata": {"a": [{"column_name": "b"}]}}'):
        path.write_text(text)
        with pytest.raises(ConfigError, match=r"x\.json"):
            comments(path, [])


@pytest.mark.model
def test_the_whole_with_the_real_model(databases: Path, tmp_path: Path) -> None:
    file = tmp_path / "two.jsonl"
    questions = [
        {
            "id": "count",
            "db": "my.shops",
            "question": "How many towns are there?",
            "gold": "SELECT count(*) FROM towns",
        },
        {"id": "names", "db": "my.shops", "question": "Names of all towns?", "gold": "SELECT name FROM towns"},
    ]
    file.write_text("".join(json.dumps(question) + "\n" for question in questions))
    done = subprocess.run(
        [Path(sys.executable).parent / "nlsql-gateway", "eval", file, "--start", databases, "--out", tmp_path / "out"],
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    data = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [one["stage"] for one in data["questions"]] == ["right", "right"], data["questions"]
    assert data["totals"]["all"]["p50"] > 0
    assert "qwen2_5_coder_1_5b" in (tmp_path / "out" / "report.html").read_text()
