"""What is shipped and documented of the metrics, against the metrics: the page, the dashboard, the alert rules."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, ProcessCollector

from nlsql_gateway.observing.measures import MEASURES
from tests.observing import promql

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboard.json").read_text())
ALERTS = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())
TARGET = {"job", "instance"}
"""Labels that Prometheus itself gives."""


def known() -> dict[str, set[str]]:
    """Every series' name with its labels."""
    found: dict[str, set[str]] = {"up": set()}
    for measure in MEASURES:
        if measure.kind == "histogram":
            found[f"{measure.name}_bucket"] = {*measure.labels, "le"}
            found[f"{measure.name}_count"] = found[f"{measure.name}_sum"] = set(measure.labels)
        else:
            found[measure.shown] = set(measure.labels)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return found | {sample.name: set(sample.labels) for family in registry.collect() for sample in family.samples}


KNOWN = known()


def dashboard() -> Iterator[Any]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            yield pytest.param(target["expr"], target["legendFormat"], id=f"{panel['title']}-{target['refId']}")


def check(expression: str) -> promql.Used:
    found = promql.used(expression)
    assert found.metrics
    for name, labels in found.metrics:
        assert name in KNOWN, f"there is no metric {name}"
        assert labels <= KNOWN[name] | TARGET, f"{name} has no labels {labels - KNOWN[name] - TARGET}"
    for labels, metrics in found.grouped:
        for name in metrics:
            assert labels <= KNOWN[name] | TARGET, f"{name} has no labels {labels - KNOWN[name] - TARGET}"
    return found


@pytest.mark.parametrize(("expression", "legend"), list(dashboard()))
def test_the_dashboard_shows_what_there_is(expression: str, legend: str) -> None:
    found = check(expression)
    shown = set(re.findall(r"\{\{(\w+)\}\}", legend))
    grouped = set().union(*(labels for labels, _ in found.grouped)) if found.grouped else None
    assert shown <= (KNOWN[found.metrics[0][0]] | TARGET if grouped is None else grouped), "the legend names a label"


@pytest.mark.parametrize(
    "query", [one["query"]["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
)
def test_the_dashboards_variables(query: str) -> None:
    metric, label = promql.used(query).metrics
    assert metric[0] in KNOWN
    assert label[0] in TARGET


def test_the_dashboard_is_whole() -> None:
    identifiers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(identifiers) == len(set(identifiers))
    drawn = {
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    }
    assert len(drawn) == sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in DASHBOARD["panels"])
    named = {name for target in dashboard() for name, _ in promql.used(target.values[0]).metrics}
    missing = {m.name for m in MEASURES if not {m.shown, f"{m.name}_bucket"} & named}
    assert missing == set(), "what is measured is shown"


RULES = [pytest.param(rule, id=rule["alert"]) for group in ALERTS["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", RULES)
def test_an_alert_fires_on_what_there_is_and_says_what_to_do(rule: dict[str, Any]) -> None:
    found = check(rule["expr"])
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description"}
    left = set().union(*(labels for labels, _ in found.grouped)) if found.grouped else None
    named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    assert named <= (KNOWN[found.metrics[0][0]] | TARGET if left is None else left)
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))


@pytest.mark.parametrize(
    "wrong",
    [
        "rate(nlsql_no_such_total[5m])",
        'nlsql_connections{user="x"}',
        "sum by (table) (nlsql_connections)",
        "sum(nlsql_connections",
        "nlsql_connections nlsql_rows_total",
        "rate(nlsql_rows_total[5 minutes])",
        "fastest(nlsql_rows_total)",
    ],
)
def test_a_wrong_expression_would_be_found(wrong: str) -> None:
    with pytest.raises((ValueError, AssertionError)):
        check(wrong)


def test_the_page_has_every_metric() -> None:
    rows = re.findall(r"^\| `nlsql_.*$", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE)
    expected = [
        f"| `{m.shown}` | {m.kind} | {', '.join(f'`{label}`' for label in m.labels) or 'none'} | {m.meaning} |"
        for m in MEASURES
    ]
    assert rows == expected, "\n".join(expected)


def test_names_follow_the_conventions() -> None:
    """https://prometheus.io/docs/practices/naming/"""
    for measure in MEASURES:
        assert re.fullmatch(r"nlsql_[a-z]+(?:_[a-z]+)*", measure.name)
        assert not measure.name.endswith("_total")
        if measure.kind == "histogram":
            assert measure.name.endswith("_seconds")
    assert len({measure.name for measure in MEASURES}) == len(MEASURES)


def test_few_labels_and_none_of_a_person_or_a_table() -> None:
    labels = {label for measure in MEASURES for label in measure.labels}
    assert labels == {
        *("version", "part", "state", "sqlstate", "verdict", "reason", "stage", "cache", "class", "limit"),
        *("server", "outcome"),
    }
