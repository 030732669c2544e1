"""The transactions of one run as a picture: bars, the gateway beside the others, as SVG without any library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from benchmarks.columns import NAMES

_COLOURS: Final = {
    "direct": "#9aa5b1",
    "pgbouncer": "#4c78a8",
    "pgpool": "#b8b08d",
    "gateway": "#d1495b",
    "workers": "#edae49",
}
_BAR, _ROW, _LEFT, _WIDTH = 12, 14, 150, 820


def svg(found: Mapping[str, Any]) -> str:
    """Transactions a second of every mode and number of clients; the longest bar is the most of all."""
    groups = [
        (f"{mode}, {clients} client{'s' if clients != '1' else ''}", rates)
        for mode, by_clients in found["pgbench"].items()
        for clients, rates in by_clients.items()
    ]
    most = max((rate for _, rates in groups for rate in rates.values()), default=1)
    parts = list(_bars(groups, most))
    height = sum((len(rates) + 1) * _ROW for _, rates in groups) + 40
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" font-family="sans-serif">'
    title = f'<text x="8" y="16" font-size="13">pgbench -S, transactions a second, {escape(found["date"][:10])}</text>'
    return "\n".join([head, title, '<g font-size="11">', *parts, "</g>", "</svg>\n"])


def _bars(groups: list[tuple[str, Mapping[str, float]]], most: float) -> Iterator[str]:
    top = 30
    for label, rates in groups:
        yield f'<text x="8" y="{top + _BAR - 2}">{escape(label)}</text>'
        for name in NAMES:
            if name in rates:
                width = max(1, round(rates[name] / most * (_WIDTH - _LEFT - 170)))
                yield f'<rect x="{_LEFT}" y="{top}" width="{width}" height="{_BAR}" fill="{_COLOURS[name]}"/>'
                yield f'<text x="{_LEFT + width + 5}" y="{top + _BAR - 2}">{name} {rates[name]:,.0f}</text>'
                top += _ROW
        top += _ROW
