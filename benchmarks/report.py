"""The numbers of one run: their shape in ``results/latest.json`` (a contract: keys are only added) and a table."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.columns import NAMES

OTHERS = ("direct", "pgbouncer", "pgpool")
"""What the gateway is compared with."""

Samples = dict[str, list[float]]
"Column name -> one number a round."


@dataclass(slots=True)
class Results:
    """What the rounds add to. A column or a figure that was not measured is not there."""

    pgbench: dict[str, dict[str, Samples]] = field(default_factory=dict)
    "Mode -> clients -> transactions a second."
    latency: dict[str, list[int]] = field(default_factory=dict)
    "Column -> microseconds of every transaction of one client, simple protocol."
    connections: Samples = field(default_factory=dict)
    "Logins a second, one statement each."
    stream_rows: dict[str, Samples] = field(default_factory=dict)
    "text or binary -> seconds."
    stream_gb: Samples = field(default_factory=dict)
    "Seconds."
    peak_kb: dict[str, int] = field(default_factory=dict)
    "Column -> the most memory that its process held while the gigabyte went through."
    growth_kb: dict[str, int] = field(default_factory=dict)
    "Column -> how much of it was not there before."
    idle_kb: float | None = None
    "The gateway's, for each client."
    decide_us: dict[str, float] = field(default_factory=dict)
    neighbours_us: dict[str, int] = field(default_factory=dict)
    "Of known statements, while another client's large ones are read, and alone."
    row_filters: dict[str, Any] = field(default_factory=dict)
    "As ``filters.as_json`` gives it."

    def as_json(self, host: str, now: datetime) -> dict[str, Any]:
        """The contract's shape; medians, with three significant digits more than the noise deserves at most."""
        found: dict[str, Any] = {"host": host, "date": now.isoformat(timespec="seconds")}
        found["pgbench"] = {
            mode: {clients: _medians(columns, 0) for clients, columns in by_clients.items()}
            for mode, by_clients in self.pgbench.items()
        }
        if "gateway" in self.latency:
            found["added_latency_us"] = {
                f"p{percent}": percentile(self.latency["gateway"], percent)
                - percentile(self.latency["direct"], percent)
                for percent in (50, 99)
            }
        found["connections_per_second"] = _medians(self.connections, 0)
        found["stream_rows"] = {kind: _medians(columns, 3) for kind, columns in self.stream_rows.items()}
        found["stream_gb"] = _medians(self.stream_gb, 2)
        found["peak_kb"] = self.peak_kb
        found["growth_kb"] = self.growth_kb
        if self.idle_kb is not None:
            found["idle_kb_per_client"] = round(self.idle_kb, 1)
        if self.decide_us:
            found["decide_us"] = {name: round(value, 1) for name, value in self.decide_us.items()}
        if self.neighbours_us:
            found["neighbours_us"] = self.neighbours_us
        if self.row_filters:
            found["row_filters"] = self.row_filters
        return found


def percentile(values: Sequence[int], percent: int) -> int:
    """The smallest value that at least ``percent`` of the hundred are not above. ``values`` not empty."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def write(path: Path, found: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n")


def describe_host(*programs: str) -> str:
    """Processor, cores that we may use, kernel, Python and ``programs``: what a reader must know to compare."""
    return ", ".join(
        [
            f"{cores()} x {_processor()}",
            f"Linux {platform.release().split('-')[0]}",
            f"Python {platform.python_version()}",
            *programs,
        ]
    )


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def today() -> datetime:
    return datetime.now(UTC)


def table(found: Mapping[str, Any]) -> str:
    """What a person reads: the measured numbers, and the gateway's as a ratio to each of the others."""
    heads = [*NAMES, *(f"/{name}" for name in OTHERS), "w/pgbouncer"]
    lines = [f"{'':22}" + "".join(f"{head:>11}" for head in heads)]
    for mode, by_clients in found["pgbench"].items():
        for clients, columns in by_clients.items():
            lines.append(_row(f"{mode} -c {clients}, tps", columns, "{:,.0f}"))
    lines.append(_row("connections a second", found["connections_per_second"], "{:,.0f}"))
    for kind, columns in found["stream_rows"].items():
        lines.append(_row(f"10^6 rows {kind}, s", columns, "{:.2f}"))
    lines.append(_row("1 GB, s", found["stream_gb"], "{:.1f}"))
    lines.append(_row("  peak memory, kB", found["peak_kb"], "{:,.0f}"))
    lines.append(_row("  grown by, kB", found["growth_kb"], "{:,.0f}"))
    if "added_latency_us" in found:
        added = found["added_latency_us"]
        lines.append(f"added latency, one client, simple: p50 {added['p50']} us, p99 {added['p99']} us")
    if "idle_kb_per_client" in found:
        lines.append(f"idle memory: {found['idle_kb_per_client']} kB a client")
    for name, value in found.get("neighbours_us", {}).items():
        lines.append(f"beside large statements: {name}, us  {value:,}")
    for name, value in found.get("decide_us", {}).items():
        lines.append(f"decide {name}: {value} us")
    if "row_filters" in found:
        filtered = found["row_filters"]
        lines.append(
            f"row filters, TPC-H: {filtered['rewritten_ms']:,} ms, with row security {filtered['native_ms']:,} ms:"
            f" {filtered['ratio']:.2f}"
        )
    return "\n".join(lines)


def _row(label: str, columns: Mapping[str, float], style: str) -> str:
    cells = [style.format(columns[name]) if name in columns else "-" for name in NAMES]
    ratios = [_ratio(columns, "gateway", name) for name in OTHERS] + [_ratio(columns, "workers", "pgbouncer")]
    return f"{label:22}" + "".join(f"{cell:>11}" for cell in (*cells, *ratios))


def _ratio(columns: Mapping[str, float], one: str, other: str) -> str:
    return f"{columns[one] / columns[other]:.2f}" if one in columns and columns.get(other) else "-"


def _medians(columns: Mapping[str, Sequence[float]], digits: int) -> dict[str, float]:
    return {name: round(statistics.median(values), digits or None) for name, values in columns.items()}


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
