"""Looks into the data while a question is answered: as the person who asks, decided on, recorded, and never more."""

from __future__ import annotations

from typing import Any

from tests.e2e.conftest import ScriptedModel
from tests.e2e.harness import RunningGateway


def decisions(gateway: RunningGateway, words: str) -> list[dict[str, Any]]:
    return [record for record in gateway.records() if record["kind"] == "decision" and record["question"] == words]


def test_a_value_is_written_as_it_is_stored_and_each_look_is_recorded(
    gateway: RunningGateway, model: ScriptedModel
) -> None:
    answer = "SELECT count(*) AS customers FROM customers WHERE segment = 'Small Business'"
    model.script({"contains": "", "text": answer})
    done = gateway.psql("-At", "-c", "-- ask: how many small business customers are there")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0
    assert "WHERE segment = 'small business'" in done.stderr
    assert "confidence: 0." in done.stderr
    stored, result, answered = decisions(gateway, "how many small business customers are there")
    assert stored["text"].startswith("SELECT segment FROM public.customers WHERE segment ILIKE '%Small Business%'")
    assert result["text"] == "SELECT COUNT(*) AS customers FROM customers WHERE segment = 'small business'"
    assert answered["text"].startswith("-- ask:")
    outcomes = {record["id"]: record for record in gateway.records() if record["kind"] == "outcome"}
    for look in (stored, result):
        assert outcomes[look["id"]]["sqlstate"] == "00000"
        assert outcomes[look["id"]]["rows"] == 1


def test_what_a_filter_hides_is_not_seen(gateway: RunningGateway, model: ScriptedModel) -> None:
    """Emil sees the East alone: a city of the West is to him as one that does not exist."""
    cities = "SELECT min(s.city) FROM stores s JOIN regions r USING (region_id) WHERE r.name = 'West'"
    west = gateway.psql("-At", "-c", cities).stdout.strip()
    told = []
    for name in (west, "Atlantis"):
        low = name.lower()
        model.script({"contains": "", "text": f"SELECT name FROM stores WHERE city = '{low}'"})
        done = gateway.psql("-At", "-c", f"-- ask: stores in {low}", user="emil")
        assert name not in done.stderr
        told.append((done.returncode, done.stdout, done.stderr.replace(low, "…")))
    assert told[0] == told[1]
    assert told[0][:2] == (0, "")
    model.script({"contains": "", "text": f"SELECT name FROM stores WHERE city = '{west.lower()}'"})
    assert gateway.psql("-At", "-c", f"-- ask: stores in {west.lower()}").stdout.strip()


def test_what_is_refused_is_not_looked_at(gateway: RunningGateway, model: ScriptedModel) -> None:
    model.script({"contains": "", "text": "SELECT name FROM employees WHERE salary > 0 AND job_title = 'Stock Clerk'"})
    done = gateway.psql("-c", "-- ask: who earns what in stock")
    assert done.returncode == 1
    assert not any("salary" in (look["sql"] or "") for look in decisions(gateway, "who earns what in stock"))


def test_a_look_that_takes_long_is_ended(gateway: RunningGateway, model: ScriptedModel) -> None:
    """The answer is given without having been looked at."""
    model.script({"contains": "", "text": "SELECT count(a.order_id) FROM orders a, orders b, orders c, orders d"})
    done = gateway.psql("-c", "-- ask explain: how many orders are there four times")
    assert done.returncode == 0, done.stderr
    (look, _) = decisions(gateway, "how many orders are there four times")
    (outcome,) = [r for r in gateway.records() if r["kind"] == "outcome" and r["id"] == look["id"]]
    assert outcome["sqlstate"] == "57014"
