"""What those see who watch a gateway: its pages, by HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.harness import RunningGateway

METRICS = {"metrics": {"listen": "127.0.0.1:0"}}

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def addresses(gateway: RunningGateway) -> list[str]:
    """Of each worker's pages."""
    found = {event.get("worker", 1): event for event in gateway.log() if event["event"] == "metrics"}
    return [f"http://{found[worker]['host']}:{found[worker]['port']}" for worker in sorted(found)]


def get(gateway: RunningGateway, path: str) -> httpx.Response:
    return httpx.get(addresses(gateway)[0] + path, timeout=10, trust_env=False)


def ready(gateway: RunningGateway) -> tuple[int, dict[str, Any]]:
    response = get(gateway, "/readyz")
    return response.status_code, response.json()


def scraped(gateway: RunningGateway) -> Samples:
    response = get(gateway, "/metrics")
    assert response.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    """0 for what did not come about yet."""
    return samples.get((name, frozenset(labels.items())), 0.0)


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.1)
