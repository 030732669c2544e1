"""``--start``: PostgreSQL with the databases, Triton and a gateway, for one run, on this machine.

Databases are files ``NAME.sql`` in one folder, and beside each ``NAME.json`` where columns have descriptions, which
become comments. They are loaded anew for each run: data that hang on CURRENT_DATE are of the day. ``retail`` is the
demonstration's, unless there is a file of that name.
"""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel

from nlsql_gateway.config import Settings
from nlsql_gateway.embedded import model, retail
from nlsql_gateway.embedded.postgres import HOST, EmbeddedPostgres
from nlsql_gateway.embedded.program import start_program
from nlsql_gateway.embedded.serving import EMBEDDED_MODEL
from nlsql_gateway.errors import ConfigError, UpstreamError
from nlsql_gateway.evaluation.asking import Login
from nlsql_gateway.server import users

USER = "evaluation"
"""Who asks; and the name of the policy when the configuration names none."""

_POLICY = f"""version: 1
name: {USER}
default: [everybody]
limits: {{rows: 200000, timeout: 60s}}
roles:
  everybody:
    read:
      - {{tables: "*.*", views: true}}
"""
_OURS = ("listen", "upstream", "auth", "audit", "log")
"Sections that a configuration given with --start has no say in."

_GRANT = f"""
DO $$
DECLARE one text;
BEGIN
  FOR one IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO {retail.ROLE}', one);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO {retail.ROLE}', one);
  END LOOP;
END $$
"""

_COLUMNS = """
SELECT coalesce(json_agg(json_build_array(n.nspname, c.relname, a.attname)), '[]')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm')
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""


class Started:
    """What runs, and how to log in."""

    def __init__(self, config: Path, gateway: Login, postgres: Login) -> None:
        self.config = config
        self.gateway = gateway
        self.postgres = postgres


@contextmanager
def started(
    folder: Path, databases: Iterable[str], config: Path | None, *, log: Path, say: Callable[[str], None]
) -> Iterator[Started]:
    """Start everything, and stop it at the end. Call it from the main thread.

    ``folder`` holds the databases' files, ``config`` is a gateway.yaml whose ask, policy and further sections are
    taken over; Triton is not started when its ask section names another model server. The gateway's and Triton's logs
    go to the folder ``log``. Raises ConfigError when a file is missing or wrong, UpstreamError when a part does not
    start or a database does not load.
    """
    wanted = sorted(set(databases))
    given = _given(config)
    _check_files(folder, wanted)
    ask = given.get("ask", {})
    embedded = ask.get("backend", "triton") == "triton" and "url" not in ask
    if embedded and model.find() is None:
        raise ConfigError("the embedded model is not here", hint="fetch it with: nlsql-gateway model pull")
    log.mkdir(parents=True, exist_ok=True)
    with ExitStack() as parts:
        work = Path(
            parts.enter_context(tempfile.TemporaryDirectory(prefix="nlsql-evaluation-", ignore_cleanup_errors=True))
        )
        say("starting PostgreSQL")
        server = parts.enter_context(EmbeddedPostgres(work / "postgres", durable=False))
        password = secrets.token_hex(16)
        server.execute(f"CREATE ROLE {retail.ROLE} LOGIN PASSWORD '{password}'")
        for name in wanted:
            say(f"loading {name}")
            _load(server, folder, name, password)
        settings: dict[str, Any] = {"policy": str(work / "policy.yaml"), **given}
        settings["ask"] = {"deadline": "180s", **ask}
        if embedded:
            say(f"starting Triton with {EMBEDDED_MODEL}")
            command = ["model", "serve", "--grpc-port", "0", "--model", ask.get("model", EMBEDDED_MODEL)]
            _, at = start_program("Triton", parts, command, log / "triton.log", timeout=300)
            settings["ask"]["url"] = f"grpc://{at}"
        settings |= {
            "listen": {"host": HOST, "port": 0},
            "upstream": {
                "host": HOST,
                "port": server.port,
                "user": retail.ROLE,
                "password_file": "upstream.password",
                "sslmode": "disable",
            },
            "auth": {"method": "scram-sha-256", "users": "users.txt"},
            "audit": {"path": "audit.jsonl"},
        }
        (work / "policy.yaml").write_text(_POLICY)
        (work / "upstream.password").write_text(password + "\n")
        users.add(work / "users.txt", USER, password)
        written = work / "gateway.yaml"
        written.write_text(yaml.safe_dump(settings, sort_keys=False))
        say("starting the gateway")
        command = ["serve", "--config", str(written)]
        _, at = start_program("the gateway", parts, command, log / "gateway.log", timeout=60)
        port = int(at.rpartition(":")[2])
        yield Started(written, Login(HOST, port, USER, password), Login(HOST, server.port, retail.ROLE, password))


def _given(config: Path | None) -> dict[str, Any]:
    """The sections of ``config`` that count, with its relative paths made absolute."""
    if config is None:
        return {}
    try:
        data = yaml.safe_load(config.read_text())
    except OSError as error:
        raise ConfigError(f"{config}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{config}: not YAML") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{config}: expected keys such as ask, policy")
    kept = {key: value for key, value in data.items() if key not in _OURS}
    return _absolute(Settings, kept, config.resolve().parent)


def _absolute(section: type[BaseModel], data: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    found = dict(data)
    for key, value in data.items():
        field = section.model_fields.get(key)
        if field is None:
            continue
        kinds = {field.annotation, *get_args(field.annotation)}
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if isinstance(value, Mapping) and inner is not None:
            found[key] = _absolute(inner, value, folder)
        elif isinstance(value, str) and Path in kinds:
            found[key] = str(folder / value)
    return found


def _check_files(folder: Path, names: Iterable[str]) -> None:
    missing = [name for name in names if not (folder / f"{name}.sql").is_file() and name != retail.DATABASE]
    if missing:
        raise ConfigError(f"{folder}: no file for {', '.join(f'{name}.sql' for name in missing)}")


def _load(server: EmbeddedPostgres, folder: Path, name: str, password: str) -> None:
    script = folder / f"{name}.sql"
    if not script.is_file():
        retail.load(server, today=datetime.now(UTC).date(), password=password)
    else:
        server.execute(f"CREATE DATABASE {_name(name)}")
        try:
            with script.open("rb") as lines:
                server.load(lines, name)
        except UpstreamError as error:
            raise UpstreamError(f"{script}: {error.message}") from error
        described = script.with_suffix("").with_name(f"{name}.json")
        if described.is_file():
            columns = json.loads(server.execute(_COLUMNS, name))
            statements = comments(described, [(schema, table, column) for schema, table, column in columns])
            server.execute("\n".join(statements), name)
    server.execute(_GRANT, name)
    server.execute("ANALYZE", name)  # as any database that was used for a day


def comments(file: Path, columns: Iterable[tuple[str, str, str]]) -> list[str]:
    """``COMMENT ON`` for each column of ``columns`` (schema, table, column) that ``file`` describes.

    The file: ``{"table_metadata": {"table": [{"column_name": …, "column_description": …}]}}``; names without regard
    to case, tables with or without their schema. Raises ConfigError.
    """
    told: dict[tuple[str, str], str] = {}
    try:
        for table, described in json.loads(file.read_text())["table_metadata"].items():
            for column in described:
                told[table.lower(), column["column_name"].lower()] = column["column_description"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{file}: not a description of columns: {error!r}") from error
    statements = []
    for schema, table, column in columns:
        keys = ((f"{schema}.{table}".lower(), column.lower()), (table.lower(), column.lower()))
        text = next((told[key] for key in keys if told.get(key)), "")
        if text:
            target = f"{_name(schema)}.{_name(table)}.{_name(column)}"
            statements.append(f"COMMENT ON COLUMN {target} IS {_literal(text)};")
    return statements


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    """With standard_conforming_strings on (PostgreSQL manual, 4.1.2.1)."""
    return "'" + text.replace("'", "''") + "'"
