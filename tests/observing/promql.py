"""As much of PromQL as our expressions use: which metrics they name, with which labels. Whatever else is an error.

https://prometheus.io/docs/prometheus/latest/querying/basics/
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

AGGREGATIONS = {"sum", "min", "max", "avg", "count"}
FUNCTIONS = {"rate": 1, "increase": 1, "histogram_quantile": 2, "predict_linear": 2, "label_values": 2}
"""With how many arguments; label_values is Grafana's."""
OPERATORS = {"+", "-", "*", "/", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless"}

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<range>\[(?:\$__rate_interval|\d+[smhd])\])"""
    r"""|(?P<number>\d+(?:\.\d+)?(?:e\d+)?)(?!\w)|(?P<name>[a-zA-Z_]\w*)|(?P<sign>=~|!~|==|!=|>=|<=|[-+*/<>=(){},]))"""
)


@dataclass
class Used:
    """What one expression names."""

    metrics: list[tuple[str, set[str]]] = field(default_factory=list)
    "Each metric with the labels that it is matched by."
    grouped: list[tuple[set[str], list[str]]] = field(default_factory=list)
    "Labels of ``by``, and the metrics that they are of."


class _Parser:
    def __init__(self, text: str) -> None:
        self.used = Used()
        self._tokens: list[tuple[str, str]] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None or found.lastgroup is None:
                raise ValueError(f"not PromQL: {text[position:]}")
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            position = found.end()

    def whole(self) -> Used:
        self._expression()
        if self._tokens:
            raise ValueError(f"too much: {self._tokens}")
        return self.used

    def _next(self, *wanted: str) -> str:
        if not self._tokens:
            raise ValueError("it ends too soon")
        kind, text = self._tokens.pop(0)
        if wanted and text not in wanted and kind not in wanted:
            raise ValueError(f"{text} in the place of {' or '.join(wanted)}")
        return text

    def _is(self, *texts: str) -> bool:
        return bool(self._tokens) and self._tokens[0][1] in texts

    def _expression(self) -> None:
        self._term()
        while self._is(*OPERATORS):
            self._next()
            self._term()

    def _term(self) -> None:
        if self._is("("):
            self._next()
            self._expression()
            self._next(")")
        elif self._tokens and self._tokens[0][0] == "number":
            self._next()
        else:
            name = self._next("name")
            if name in AGGREGATIONS:
                self._aggregation()
            elif name in FUNCTIONS:
                self._call(name)
            else:
                self._metric(name)

    def _aggregation(self) -> None:
        labels: set[str] = set()
        if self._is("by"):
            self._next()
            labels = set(self._names())
        before = len(self.used.metrics)
        self._next("(")
        self._expression()
        self._next(")")
        self.used.grouped.append((labels, [name for name, _ in self.used.metrics[before:]]))

    def _call(self, name: str) -> None:
        self._next("(")
        for number in range(FUNCTIONS[name]):
            if number:
                self._next(",")
            self._expression()
        self._next(")")

    def _metric(self, name: str) -> None:
        labels: set[str] = set()
        if self._is("{"):
            self._next()
            while not self._is("}"):
                labels.add(self._next("name"))
                self._next("=", "!=", "=~", "!~")
                self._next("string")
                if not self._is("}"):
                    self._next(",")
            self._next("}")
        if self._tokens and self._tokens[0][0] == "range":
            self._next()
        self.used.metrics.append((name, labels))

    def _names(self) -> list[str]:
        self._next("(")
        names = [self._next("name")]
        while self._is(","):
            self._next()
            names.append(self._next("name"))
        self._next(")")
        return names


def used(text: str) -> Used:
    """Raises ValueError."""
    return _Parser(text).whole()
