"""The contract's shape of latest.json, and the table."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from benchmarks import chart, report

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def _results() -> report.Results:
    return report.Results(
        pgbench={"simple": {"8": {"direct": [50_000.4, 10.0, 60_000.0], "gateway": [10_000.0, 12_000.2, 900.0]}}},
        latency={"direct": [10] * 99 + [50], "gateway": [30] * 98 + [90, 95]},
        connections={"direct": [150.0], "gateway": [120.4]},
        stream_rows={"text": {"direct": [0.5], "gateway": [0.75]}, "binary": {"direct": [1.0], "gateway": [1.1111]}},
        stream_gb={"direct": [2.0], "gateway": [4.0]},
        peak_kb={"gateway": 50_000},
        growth_kb={"gateway": 800},
        idle_kb=61.26,
        decide_us={"hit": 3.14159},
    )


def test_has_the_contracts_shape() -> None:
    assert _results().as_json("a machine", NOW) == {
        "host": "a machine",
        "date": "2026-05-04T03:02:01+00:00",
        "pgbench": {"simple": {"8": {"direct": 50_000, "gateway": 10_000}}},
        "added_latency_us": {"p50": 20, "p99": 80},
        "connections_per_second": {"direct": 150, "gateway": 120},
        "stream_rows": {"text": {"direct": 0.5, "gateway": 0.75}, "binary": {"direct": 1.0, "gateway": 1.111}},
        "stream_gb": {"direct": 2.0, "gateway": 4.0},
        "peak_kb": {"gateway": 50_000},
        "growth_kb": {"gateway": 800},
        "idle_kb_per_client": 61.3,
        "decide_us": {"hit": 3.1},
    }


def test_leaves_out_what_was_not_measured() -> None:
    found = report.Results(latency={"direct": [1]}).as_json("a machine", NOW)
    assert not {"added_latency_us", "idle_kb_per_client", "decide_us"} & set(found)


def test_percentiles_are_values_that_occurred() -> None:
    values = [5, 1, 4, 2, 3]
    assert [report.percentile(values, percent) for percent in (1, 20, 21, 50, 99, 100)] == [1, 1, 2, 3, 5, 5]


def test_the_table_has_ratios() -> None:
    table = report.table(_results().as_json("a machine", NOW))
    row = next(line for line in table.splitlines() if line.startswith("simple -c 8"))
    assert row.split() == ["simple", "-c", "8,", "tps", "50,000", "-", "-", "10,000", "-", "0.20", "-", "-", "-"]
    assert "p50 20 us, p99 80 us" in table


def test_writes_into_a_folder_that_it_makes(tmp_path: Path) -> None:
    path = tmp_path / "results" / "latest.json"
    report.write(path, {"host": "a machine"})
    assert json.loads(path.read_text()) == {"host": "a machine"}


def test_the_chart_has_a_bar_for_every_rate() -> None:
    found = _results().as_json("a machine", NOW)
    drawn = ElementTree.fromstring(chart.svg(found))
    bars = [float(bar.get("width", 0)) for bar in drawn.iter("{http://www.w3.org/2000/svg}rect")]
    assert len(bars) == 2
    assert bars[0] == max(bars), "direct is the fastest"
    assert bars[1] == round(bars[0] / 5)
