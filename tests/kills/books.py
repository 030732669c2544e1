"""Two books of what ran and how they differ: PostgreSQL's own log (``log_statement = all``), the audit log. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

PREFIX: Final = "%m [%p] %q%u@%d/%a "
"""``log_line_prefix``, as it is read here."""

NOT_CLIENTS: Final = ("nlsql-gateway", "psql")
"""``application_name`` of what no client sends: the gateway's own catalog and EXPLAIN, and what sets up the test."""

UNSURE: Final = frozenset({"08006", "57014", "57P01", "57P02", "57P03", "57P05", "58030"})
"""SQLSTATEs of an outcome that does not say whether the statement ran."""

Run: TypeAlias = tuple[str, tuple[str | None, ...]]
"""The statement's text, and its parameters."""

_LINE = re.compile(r"^\S+ \S+ \S+ \[(\d+)\] (?:\S+?@\S+?/(.*?) )?(LOG|DETAIL):  (.*)$")
_RAN = re.compile(r"(?:statement|execute [^:]*): (.*)$")
_VALUE = re.compile(r"\$\d+ = (?:(NULL)|'((?:[^']|'')*)')")


def ran(log: Iterable[str]) -> Counter[Run]:
    """What the server ran for the gateway's clients. Statements and parameters are of one line each."""
    found: Counter[Run] = Counter()
    last: dict[str, str] = {}
    "By process: an execution whose parameters come in the next line."
    for line in log:
        match = _LINE.match(line.rstrip("\n"))
        if match is None or match[2] in NOT_CLIENTS:
            continue
        pid, level, text = match[1], match[3], match[4]
        if level == "DETAIL":
            if (statement := last.pop(pid, None)) is not None:
                found[statement, ()] -= 1
                found[statement, parameters(text)] += 1
        elif (said := _RAN.match(text)) is not None:
            found[said[1], ()] += 1
            last[pid] = said[1]
    return +found


def parameters(detail: str) -> tuple[str | None, ...]:
    return tuple(None if null else value.replace("''", "'") for null, value in _VALUE.findall(detail))


def _value(parameter: str | None) -> str | None:
    """As PostgreSQL logs it: what came in the binary format was text here."""
    is_binary = parameter is not None and parameter.startswith("hex:")
    return bytes.fromhex(parameter[4:]).decode() if parameter is not None and is_binary else parameter


@dataclass
class Recorded:
    """What the audit log says."""

    may_run: Counter[Run] = field(default_factory=Counter)
    "Recorded before it was sent."
    claimed: Counter[Run] = field(default_factory=Counter)
    "Recorded as run: there is an outcome, and it is none of a line that was lost."
    refused: Counter[str] = field(default_factory=Counter)
    "Texts that were not admitted."
    faults: list[str] = field(default_factory=list)
    repaired: int = 0
    records: int = 0


def recorded(records: Iterable[Mapping[str, Any]]) -> Recorded:
    """``records`` in the order of their chain, one chain behind the other."""
    found = Recorded()
    decisions: dict[str, Mapping[str, Any]] = {}
    runs: dict[str, Run] = {}
    for record in records:
        found.records += 1
        match record["kind"]:
            case "decision":
                decisions[record["id"]] = record
                if record["verdict"] != "allow":
                    found.refused[record["text"]] += 1
                elif record["protocol"] == "simple":
                    runs[record["id"]] = (record["sql"], ())
            case "execution":
                runs[record["id"]] = (decisions[record["decision"]]["sql"], tuple(map(_value, record["parameters"])))
            case "outcome":
                run = runs.pop(record["id"], None)
                if run is None:
                    # Of a prepared statement's text, which is no run; or a second one.
                    if record["id"] not in decisions or decisions[record["id"]]["protocol"] == "simple":
                        found.faults.append(f"an outcome of nothing, or a second one: {record}")
                    continue
                found.may_run[run] += 1
                if record["sqlstate"] not in UNSURE:
                    found.claimed[run] += 1
            case "repaired":
                found.repaired += 1
    found.may_run.update(runs.values())  # never finished, or the gateway was killed
    return found


def differences(happened: Counter[Run], told: Recorded) -> list[str]:
    """Empty: what ran was recorded, and what is recorded as run was run."""
    unrecorded = happened - told.may_run
    invented = told.claimed - happened
    return [
        *(f"ran {times} times more often than recorded: {run}" for run, times in unrecorded.items()),
        *(f"recorded as run {times} times more often than it ran: {run}" for run, times in invented.items()),
        *told.faults,
    ]
