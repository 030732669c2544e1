"""Half a minute of what ``make soak`` does for twenty: nothing is left behind, nobody is lost."""

from __future__ import annotations

from pathlib import Path

from tests.soak.run import run
from tests.soak.visitors import HARM, percentile


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    report = run(tmp_path, clients=30, minutes=0.15, workers=2, pause=0.1, harm_seconds=2)
    print(report.text())
    assert set(report.told) <= {"ok", "42501"}, "somebody was lost, or refused what is allowed"
    assert report.told["42501"] > 0
    assert report.told["ok"] > 100
    assert report.statements == sum(report.told.values())
    assert report.records > report.statements
    assert set(report.hostile) == {"nobody", *HARM}
    assert all(beside["statements"] > 20 for beside in report.hostile.values()), "others were served meanwhile"
    assert all(report.hostile[name]["done by the hostile client"] > 0 for name in HARM)


def test_percentiles_are_nearest_ranks() -> None:
    values = [n / 1000 for n in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)) == (51.0, 100.0, 100.0)
    assert (percentile([0.5], 0.99), percentile([], 0.5)) == (500.0, 0.0)
