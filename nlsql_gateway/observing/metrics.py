"""Metrics: the kinds of values, and how Prometheus is told them. Which there are stands in ``measures.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, Literal, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from nlsql_gateway.figures import BUCKETS, Times


@dataclass(frozen=True, slots=True)
class Distribution:
    bounds: Sequence[float]
    "Upper ends of the buckets."
    counts: Sequence[int]
    "Not cumulative; one more than there are bounds."
    total: float

    @classmethod
    def of(cls, times: Times) -> Distribution:
        return cls(BUCKETS, times.counts, times.seconds)


Numbers = Mapping[tuple[str, ...], float]
Distributions = Mapping[tuple[str, ...], Distribution]
"""By the values of the labels; without labels by ()."""

_S = TypeVar("_S")


@dataclass(frozen=True, slots=True)
class Measure(Generic[_S]):
    """One metric. A label has few values, from the code or from gateway.yaml: never a user, a table or a text."""

    kind: Literal["counter", "gauge", "histogram"]
    name: str
    "A counter's without the ``_total`` that Prometheus shows."
    meaning: str
    read: Callable[[_S], Numbers | Distributions]
    "From the sources, when somebody looks."
    labels: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The name as in a query."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


class Figures(Collector, Generic[_S]):
    """Reads all ``measures`` from ``sources`` each time that it is asked."""

    def __init__(self, measures: Sequence[Measure[_S]], sources: _S) -> None:
        self._measures = measures
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        for measure in self._measures:
            yield _family(measure, measure.read(self._sources))


class Read(Collector):
    """What was read already."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Sequence[Metric]:
        return self._metrics


def _family(measure: Measure[_S], found: Numbers | Distributions) -> Metric:
    family: CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
    match measure.kind:
        case "counter":
            family = CounterMetricFamily(measure.name, measure.meaning, labels=measure.labels)
        case "gauge":
            family = GaugeMetricFamily(measure.name, measure.meaning, labels=measure.labels)
        case "histogram":
            family = HistogramMetricFamily(measure.name, measure.meaning, labels=measure.labels)
    for labels, value in found.items():
        if isinstance(value, Distribution):
            assert isinstance(family, HistogramMetricFamily)
            ends = [*map(floatToGoString, value.bounds), "+Inf"]
            family.add_metric(labels, list(zip(ends, accumulate(value.counts), strict=True)), value.total)
        else:
            assert not isinstance(family, HistogramMetricFamily)
            family.add_metric(labels, value)
    return family
