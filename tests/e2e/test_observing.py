"""Seen from outside: what /healthz, /readyz and /metrics of a real gateway say, against what was done to it."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from nlsql_gateway.embedded import retail
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.e2e import harness
from tests.e2e.conftest import POLICIES, SERVICE_PASSWORD, ScriptedModel
from tests.e2e.harness import RunningGateway
from tests.e2e.watching import METRICS, addresses, get, ready, scraped, until, value


@pytest.fixture(scope="module")
def gateway(
    retail_server: EmbeddedPostgres, model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    with harness.gateway(
        tmp_path_factory.mktemp("seen"),
        retail_server,
        database=retail.DATABASE,
        policy=POLICIES / "retail.yaml",
        role=retail.ROLE,
        password=SERVICE_PASSWORD,
        ask={**model.ask, "cache": {"entries": 10}},
        **METRICS,
    ) as running:
        yield running


def own(
    folder: Path, server: harness.Server, *, ask: dict[str, Any] | None = None, **sections: dict[str, Any]
) -> AbstractContextManager[RunningGateway]:
    """A gateway of a test's own, under which everybody may read everything."""
    policy = folder / "policy.yaml"
    policy.write_text((POLICIES / "read-only.yaml").read_text())
    return harness.gateway(
        folder / "gateway",
        server,
        database=retail.DATABASE,
        policy=policy,
        role=retail.ROLE,
        password=SERVICE_PASSWORD,
        ask=ask,
        **{**METRICS, **sections},
    )


def connect(gateway: RunningGateway, user: str = "ada") -> psycopg.Connection[Any]:
    return psycopg.connect(gateway.conninfo(user), autocommit=True)


# The pages


def test_they_are_off_unless_configured(retail_server: EmbeddedPostgres, tmp_path: Path) -> None:
    with own(tmp_path, retail_server, metrics={}) as gateway:
        assert addresses(gateway) == []


def test_a_port_that_is_taken_ends_the_start(retail_server: EmbeddedPostgres, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(AssertionError, match=f"metrics.listen: 127.0.0.1 port {port}"),
            own(tmp_path, retail_server, metrics={"listen": f"127.0.0.1:{port}"}),
        ):
            pass


def test_what_is_no_page(gateway: RunningGateway) -> None:
    assert get(gateway, "/").status_code == 404
    assert httpx.post(addresses(gateway)[0] + "/metrics", trust_env=False).status_code == 405
    head = httpx.head(addresses(gateway)[0] + "/healthz", trust_env=False)
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", b"GET /healthz\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"x" * 9000])
def test_nonsense_gets_400_and_the_pages_go_on(gateway: RunningGateway, sent: bytes) -> None:
    url = httpx.URL(addresses(gateway)[0])
    with socket.create_connection((url.host, url.port or 0), 5) as connection:
        connection.sendall(sent)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    assert get(gateway, "/healthz").text == "ok\n"


def test_each_worker_has_its_own(retail_server: EmbeddedPostgres, tmp_path: Path) -> None:
    with own(tmp_path, retail_server, listen={"workers": 2}) as gateway:
        connections = [connect(gateway) for _ in range(8)]
        assert len(set(addresses(gateway))) == 2
        counts = []
        for address in addresses(gateway):
            text = httpx.get(f"{address}/metrics", trust_env=False).text
            counts.append(int(re.findall(r"^nlsql_connections_joined_total (\d+)", text, re.MULTILINE)[0]))
            assert httpx.get(f"{address}/readyz", trust_env=False, timeout=10).status_code == 200
        assert sum(counts) == 8
        for connection in connections:
            connection.close()


# Ready


def test_a_gateway_that_is_well_says_so_part_by_part(gateway: RunningGateway) -> None:
    until(lambda: ready(gateway)[0] == 200)
    assert ready(gateway)[1] == {
        "ready": True,
        "gateway": "serving",
        "upstream": "ok",
        "audit": "ok",
        "policy": "ok",
        "model": "ok",
    }
    found = scraped(gateway)
    assert value(found, "nlsql_serving") == 1
    assert all(value(found, "nlsql_part_ready", part=part) for part in ("upstream", "audit", "policy", "model"))


def test_an_upstream_that_is_gone_and_comes_back(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "postgres", durable=False) as server:
        retail.load(server, today=date(2026, 1, 1), password=SERVICE_PASSWORD)
        with own(tmp_path, server) as gateway:
            until(lambda: ready(gateway)[0] == 200)
            server.stop()
            until(lambda: ready(gateway)[0] == 503)
            told = ready(gateway)[1]
            assert (told["ready"], told["audit"]) == (False, "ok")
            assert f"127.0.0.1 port {server.port}" in told["upstream"]
            assert value(scraped(gateway), "nlsql_part_ready", part="upstream") == 0
            assert get(gateway, "/healthz").status_code == 200  # to start the gateway again would not help
            server._any_port = False
            server.start()
            until(lambda: ready(gateway)[0] == 200)


def test_a_wrong_password_of_the_role(retail_server: EmbeddedPostgres, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("not the password")
    secret = {"password_env": None, "password_file": str(tmp_path / "wrong")}
    with own(tmp_path, retail_server, upstream=secret) as gateway:
        until(lambda: "refused the login" in ready(gateway)[1]["upstream"])
        assert ready(gateway)[0] == 503
        assert "not the password" not in get(gateway, "/readyz").text


def test_an_audit_log_that_was_moved_away(retail_server: EmbeddedPostgres, tmp_path: Path) -> None:
    with own(tmp_path, retail_server) as gateway, connect(gateway) as connection:
        until(lambda: ready(gateway)[0] == 200)
        aside = gateway.audit.with_name("aside")
        gateway.audit.rename(aside)
        until(lambda: ready(gateway)[0] == 503)
        assert "moved or deleted" in ready(gateway)[1]["audit"]
        with pytest.raises(psycopg.errors.IoError):
            connection.execute("SELECT 1")
        assert value(scraped(gateway), "nlsql_audit_unrecorded_total") >= 1
        aside.rename(gateway.audit)
        until(lambda: ready(gateway)[0] == 200)
        connection.execute("SELECT 1")


def test_a_policy_file_that_cannot_be_used_is_told_and_ends_nothing(
    retail_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    with own(tmp_path, retail_server) as gateway:
        until(lambda: ready(gateway)[0] == 200)
        policy = tmp_path / "policy.yaml"
        good = policy.read_text()
        policy.write_text("roles: [canary-of-a-policy")
        until(lambda: "cannot be used" in ready(gateway)[1]["policy"])
        assert ready(gateway)[0] == 200
        assert "canary" not in get(gateway, "/readyz").text
        policy.write_text(good)
        until(lambda: ready(gateway)[1]["policy"] == "ok")


@pytest.mark.parametrize(("alone", "status"), [(False, 503), (True, 200)])
def test_a_model_that_does_not_answer(
    retail_server: EmbeddedPostgres, tmp_path: Path, alone: bool, status: int
) -> None:
    ask = {"backend": "openai", "url": "http://127.0.0.1:9/v1", "model": "nobody"}
    metrics = {**METRICS["metrics"], "ready_without_model": alone}
    with own(tmp_path, retail_server, ask=ask, metrics=metrics) as gateway:
        until(lambda: ready(gateway)[1].get("model", "not tried yet") != "not tried yet")
        assert "cannot be reached" in ready(gateway)[1]["model"]
        until(lambda: ready(gateway)[0] == status)


def test_who_drains_is_not_ready_and_alive(retail_server: EmbeddedPostgres, tmp_path: Path) -> None:
    with own(tmp_path, retail_server) as gateway, connect(gateway) as connection:
        until(lambda: ready(gateway)[0] == 200)
        connection.execute("BEGIN")  # it may go on to its end
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: ready(gateway)[0] == 503)
        assert ready(gateway)[1]["gateway"] == "stopping"
        assert get(gateway, "/healthz").status_code == 200
        assert value(scraped(gateway), "nlsql_serving") == 0
        connection.execute("COMMIT")
        assert gateway.process.wait(30) == 0


# Metrics


def test_connections(gateway: RunningGateway) -> None:
    before = scraped(gateway)
    with connect(gateway), connect(gateway) as other:
        other.execute("BEGIN")
        during = scraped(gateway)
        assert value(during, "nlsql_connections", state="idle") == value(before, "nlsql_connections", state="idle") + 2
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(gateway.conninfo(password="wrong"))
    until(lambda: value(scraped(gateway), "nlsql_connections", state="idle") == 0)
    after = scraped(gateway)

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert grown("nlsql_connections_joined_total") == 2
    assert grown("nlsql_connections_accepted_total") == 3
    assert grown("nlsql_connections_refused_total", sqlstate="28P01") == 1
    assert value(after, "nlsql_connections_limit") == 1000


def test_decisions_runs_and_the_log(gateway: RunningGateway) -> None:
    before = scraped(gateway)
    with connect(gateway) as connection:
        for number in range(5):
            connection.execute(f"SELECT name FROM products WHERE product_id = {number}", prepare=False)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("DELETE FROM products")
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM nowhere_to_be_found")
        with pytest.raises(psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1 / 0")
        three = connection.execute("SELECT name FROM products LIMIT 3").fetchall()
        assert len(three) == 3
    until(lambda: value(scraped(gateway), "nlsql_audit_waiting") == 0)
    after = scraped(gateway)

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert grown("nlsql_decisions_total", verdict="allow", reason="") == 7
    assert grown("nlsql_decisions_total", verdict="deny", reason="write") == 1
    assert grown("nlsql_decisions_total", verdict="deny", reason="unknown_name") == 1
    assert grown("nlsql_stage_seconds_count", stage="decide") == 9
    assert grown("nlsql_cache_hits_total", cache="decision") >= 3
    assert grown("nlsql_cache_hits_total", cache="decision") + grown("nlsql_cache_misses_total", cache="decision") == 9
    assert grown("nlsql_runs_total", **{"class": "00", "limit": ""}) == 6
    assert grown("nlsql_runs_total", **{"class": "22", "limit": ""}) == 1
    assert grown("nlsql_stage_seconds_count", stage="upstream") == 7
    assert grown("nlsql_rows_total") == 3 + 4
    assert grown("nlsql_audit_records_total") == 9 + 7
    assert grown("nlsql_audit_log_bytes") > 0
    assert grown("nlsql_audit_unrecorded_total") == 0
    assert value(after, "nlsql_audit_free_bytes") > 0
    assert value(after, "nlsql_stage_seconds_sum", stage="audit") > value(
        before, "nlsql_stage_seconds_sum", stage="audit"
    )


def test_a_question_counts_at_the_model_and_from_the_cache(gateway: RunningGateway, answering: ScriptedModel) -> None:
    before = scraped(gateway)
    with connect(gateway) as connection:
        for _ in range(2):
            connection.execute("-- ask: how many products are there", prepare=False)
    after = scraped(gateway)
    server = answering.url.removeprefix("grpc://")

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert grown("nlsql_stage_seconds_count", stage="ask") == 2
    assert grown("nlsql_looks_total") >= 1
    assert grown("nlsql_cache_misses_total", cache="answer") == 1
    assert grown("nlsql_cache_hits_total", cache="answer") == 1
    assert grown("nlsql_model_requests_total", server=server, outcome="answered") >= 1
    assert grown("nlsql_model_seconds_count", server=server) >= 1
    assert grown("nlsql_model_tokens_total", server=server) >= 1
    assert value(after, "nlsql_model_open_requests", server=server) == 0


def test_no_label_has_what_people_wrote(gateway: RunningGateway) -> None:
    with connect(gateway) as connection, pytest.raises(psycopg.Error):
        connection.execute("SELECT canary_column FROM canary_table WHERE name = 'canary-literal'")
    with pytest.raises(psycopg.Error):
        psycopg.connect(gateway.conninfo("canary_user"))
    text = get(gateway, "/metrics").text
    assert "nlsql_decisions_total" in text
    assert "canary" not in text
    assert "ada" not in re.findall(r'="([^"]*)"', text)
