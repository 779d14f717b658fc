"""The service's own metrics, in the form that Prometheus reads. A registry of its own, so that two services in one process do not mix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from alpha_pulse.service.ports import LogState

_REQUEST_BUCKETS: Final = (0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_COMPUTATION_BUCKETS: Final = (2e-6, 5e-6, 1e-5, 2e-5, 3e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 1e-2)
_BREAKER: Final = ("closed", "half-opened", "opened")

Collect = Callable[[], Iterable[Metric]]


class Metrics:
    """Everything that is counted as it happens; what is merely looked at is added with ``watch``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Histogram(
            "alpha_pulse_http_request_seconds",
            "Time from a request's head to the end of its answer",
            ["route", "method", "status"],
            buckets=_REQUEST_BUCKETS,
            registry=self.registry,
        )
        self._computations = Histogram(
            "alpha_pulse_computation_seconds",
            "Time of the computation alone: everything but I/O",
            ["route"],
            buckets=_COMPUTATION_BUCKETS,
            registry=self.registry,
        )
        self._reloads = Counter("alpha_pulse_curve_reloads", "Attempts to take new curves", ["outcome"], registry=self.registry)
        self._refused = Counter("alpha_pulse_refused_requests", "Requests that were not let in", ["reason"], registry=self.registry)
        for outcome in ("good", "bad"):
            self._reloads.labels(outcome)
        self._children: dict[tuple[str, str, int], Histogram] = {}
        self._by_route: dict[str, Histogram] = {}
        ProcessCollector(registry=self.registry)

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered."""
        key = (route, method, status)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._requests.labels(route, method, str(status))
        child.observe(seconds)

    def computed(self, route: str, seconds: float) -> None:
        """A decision was computed."""
        child = self._by_route.get(route)
        if child is None:
            child = self._by_route[route] = self._computations.labels(route)
        child.observe(seconds)

    def reloaded(self, good: bool) -> None:
        """Curves were taken, or refused."""
        self._reloads.labels("good" if good else "bad").inc()

    def refused(self, reason: str) -> None:
        """A request was not let in."""
        self._refused.labels(reason).inc()

    def watch(self, collect: Collect) -> None:
        """Ask ``collect`` for metrics at each scrape."""
        self.registry.register(_Watched(collect))

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)


class _Watched(Collector):
    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    def describe(self) -> Iterable[Metric]:
        """Nothing: what is asked at the scrape need not exist at the start."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """At each scrape."""
        return self._collect()


def log_metrics(state: LogState) -> Iterator[Metric]:
    """The decision log: its breaker, and what waits for the database."""
    breaker = GaugeMetricFamily(
        "alpha_pulse_breaker_state", "State of the breaker before the database: 1 for the one it is in", labels=["state"]
    )
    for name in _BREAKER:
        breaker.add_metric([name], 1.0 if state.breaker == name else 0.0)
    yield breaker
    yield GaugeMetricFamily("alpha_pulse_spooled_decisions", "Decisions that wait for the database", value=state.spooled)
    yield CounterMetricFamily(
        "alpha_pulse_delivered_decisions", "Decisions that this process has brought to the database", value=state.delivered
    )


def score_metrics(ages_s: dict[str, float], source_ok: bool) -> Iterator[Metric]:
    """How old the scores are."""
    ages = GaugeMetricFamily("alpha_pulse_score_age_seconds", "Age of the latest score by its own stamp", labels=["asset"])
    for asset, age in ages_s.items():
        ages.add_metric([asset], age)
    yield ages
    yield GaugeMetricFamily("alpha_pulse_score_source_up", "1 while the source of scores can be read", value=float(source_ok))


def service_metrics(lag_s: float, curves_ok: bool) -> Iterator[Metric]:
    """The process itself."""
    yield GaugeMetricFamily("alpha_pulse_loop_lag_seconds", "How late the service's event loop was lately", value=lag_s)
    yield GaugeMetricFamily("alpha_pulse_curves_current", "1 while the curves in force are those of the file", value=float(curves_ok))
