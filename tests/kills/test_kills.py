"""What ran is what was recorded, whatever is killed: a few kills here, two hundred by ``make kills``."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kills.books import Recorded, Run, differences, parameters, ran, recorded
from tests.kills.run import run


@pytest.mark.parametrize(("workers", "kills"), [(1, 6), (2, 4)])
def test_whatever_is_killed_both_books_agree(tmp_path: Path, workers: int, kills: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    report = run(tmp_path, kills, seed, workers=workers)
    print(report.text())
    assert report.differences == []
    assert sum(report.kills.values()) == kills
    assert min(report.told["ok"], report.told["25006"], report.told["22012"]) > 0
    assert report.ran > report.told["ok"]


# The comparison itself: what would it find?

LOG = """\
2026-11-24 02:30:44.630 UTC [1] postgres@kills/nlsql-gateway LOG:  statement: SELECT 'own'
2026-11-24 02:30:44.631 UTC [2] postgres@kills/crowd LOG:  statement: SELECT 't1-'
2026-11-24 02:30:44.632 UTC [3] postgres@kills/crowd LOG:  execute <unnamed>: SELECT $1, $2
2026-11-24 02:30:44.633 UTC [2] postgres@kills/crowd ERROR:  division by zero
2026-11-24 02:30:44.633 UTC [2] postgres@kills/crowd STATEMENT:  SELECT 't1-'
2026-11-24 02:30:44.634 UTC [3] postgres@kills/crowd DETAIL:  Parameters: $1 = 'it''s', $2 = NULL
2026-11-24 02:30:44.635 UTC [4] LOG:  checkpoint starting: time
"""

DECISIONS: list[dict[str, Any]] = [
    {"kind": "decision", "id": "a", "verdict": "allow", "protocol": "simple", "text": "x", "sql": "SELECT 't1-'"},
    {"kind": "outcome", "id": "a", "sqlstate": "22012"},
    {"kind": "decision", "id": "b", "verdict": "allow", "protocol": "extended", "text": "y", "sql": "SELECT $1, $2"},
    {"kind": "execution", "id": "c", "decision": "b", "parameters": ["hex:69742773", None]},
    {"kind": "outcome", "id": "c", "sqlstate": "00000"},
    {"kind": "decision", "id": "d", "verdict": "deny", "protocol": "simple", "text": "DELETE", "sql": None},
]


def happened() -> Counter[Run]:
    return ran(LOG.splitlines(keepends=True))


def test_the_books_are_read() -> None:
    assert happened() == {("SELECT 't1-'", ()): 1, ("SELECT $1, $2", ("it's", None)): 1}
    told = recorded(DECISIONS)
    assert told.may_run == told.claimed == happened()
    assert told.refused == {"DELETE": 1}
    assert differences(happened(), told) == []
    assert parameters("Parameters: $1 = 'a, $2 = ''b''', $2 = ''") == ("a, $2 = 'b'", "")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda told: told.pop(0), "an outcome of nothing"),
        (lambda told: told.pop(3), "ran 1 times more often than recorded: ('SELECT $1, $2'"),
        (lambda told: told.append(told[4]), "a second one"),
        (lambda told: told[3].update(parameters=["hex:69742774", None]), "ran 1 times more often than recorded"),
        (lambda told: told[0].update(sql="SELECT 2"), "recorded as run 1 times more often than it ran: ('SELECT 2'"),
        (lambda told: told[0].update(verdict="deny"), "ran 1 times more often than recorded"),
    ],
)
def test_a_difference_is_found(change: Callable[[list[dict[str, Any]]], object], found: str) -> None:
    records = [dict(record) for record in DECISIONS]
    change(records)
    assert found in " ".join(differences(happened(), recorded(records)))


def test_a_line_that_was_lost_claims_nothing() -> None:
    lost = [DECISIONS[0], {"kind": "outcome", "id": "a", "sqlstate": "08006"}]
    told: Recorded = recorded(lost)
    assert differences(Counter(), told) == []
    assert differences(Counter({("SELECT 't1-'", ()): 1}), told) == []
    assert differences(Counter({("SELECT 't1-'", ()): 2}), told) != []
