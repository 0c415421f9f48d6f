"""Figures of every model: requests, failures, tokens, and latencies with percentiles over the latest ones.

Kept in memory for the life of the process; `to_prometheus` writes them in Prometheus' text format.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from desktop.core.models import Usage

_KEPT = 1024
_QUANTILES = (0.5, 0.95, 0.99)
_MEMORY = (("limit", "limit_bytes"), ("charged", "charged_bytes"))


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Seconds; 0 when nothing was measured yet."""

    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """One model's figures since the start. `tokens_per_s`: tokens over writing time, of the latest answers."""

    model: str
    requests: int
    failures: Mapping[str, int]
    in_flight: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    first_token_s: Percentiles
    total_s: Percentiles
    tokens_per_s: float
    last_fault: str = ""


@dataclass(slots=True)
class _Record:
    requests: int = 0
    in_flight: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    last_fault: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    first_s: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    total_s: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    written: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=_KEPT))


class Metrics:
    """Figures by model, and counters of the gateway as a whole ("cache_hits", "escalations", …)."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}
        self.counters: Counter[str] = Counter()

    def note_begin(self, model: str) -> None:
        """A request goes to a model."""
        record = self._records.setdefault(model, _Record())
        record.requests += 1
        record.in_flight += 1

    def note_end(self, model: str, fault: str = "", words: str = "") -> None:
        """It ended; `fault` is the code of what went wrong, or "cancelled", and `words` say it to a person."""
        record = self._records[model]
        record.in_flight -= 1
        if fault:
            record.failures[fault] += 1
        record.last_fault = words or record.last_fault

    def note_answer(self, model: str, usage: Usage, first_s: float, total_s: float) -> None:
        """A finished answer, with the seconds to its first token and to its end."""
        record = self._records.setdefault(model, _Record())
        record.first_s.append(first_s)
        record.total_s.append(total_s)
        if usage.completion_tokens > 1:
            record.written.append((usage.completion_tokens - 1, max(total_s - first_s, 1e-6)))
        record.prompt_tokens += usage.prompt_tokens
        record.completion_tokens += usage.completion_tokens
        record.cached_tokens += usage.cached_tokens

    def in_flight(self, model: str) -> int:
        """Requests at a model now, waiting ones included."""
        record = self._records.get(model)
        return record.in_flight if record else 0

    def requests(self, model: str) -> int:
        """Requests to a model so far."""
        record = self._records.get(model)
        return record.requests if record else 0

    def figures(self) -> list[ModelFigures]:
        """Every model that was asked, by name."""
        return [_figures(model, record) for model, record in sorted(self._records.items())]

    def to_prometheus(self, memory: Mapping[str, Any], resting: Mapping[str, bool]) -> str:
        """All of it as text, one metric family after the other.

        memory   what local models hold, as in `ModelRoom.status`; may be empty
        resting  model → whether its breaker keeps requests away
        """
        figures = self.figures()
        lines: list[str] = []

        def family(name: str, kind: str, help_text: str, rows: Iterable[tuple[Mapping[str, str], float]]) -> None:
            lines.extend((f"# HELP benchtop_{name} {help_text}", f"# TYPE benchtop_{name} {kind}"))
            lines.extend(f"benchtop_{name}{_labels(labels)} {_number(value)}" for labels, value in rows)

        family("requests_total", "counter", "Requests to a model.", (({"model": f.model}, f.requests) for f in figures))
        family("request_failures_total", "counter", "Requests that failed, by error code.", (
            ({"model": f.model, "code": c}, n) for f in figures for c, n in sorted(f.failures.items())))  # fmt: skip
        family("requests_processing", "gauge", "Requests at a model now.", (
            ({"model": f.model}, f.in_flight) for f in figures))  # fmt: skip
        family(
            "prompt_tokens_total", "counter", "Tokens read.", (({"model": f.model}, f.prompt_tokens) for f in figures)
        )
        family("tokens_predicted_total", "counter", "Tokens written.", (
            ({"model": f.model}, f.completion_tokens) for f in figures))  # fmt: skip
        for name, help_text, values in (
            ("first_token_seconds", "Seconds to the first token.", [f.first_token_s for f in figures]),
            ("request_seconds", "Seconds to the end of an answer.", [f.total_s for f in figures]),
        ):
            family(name, "summary", help_text, (
                ({"model": f.model, "quantile": f"{q:g}"}, getattr(v, f"p{q * 100:.0f}"))
                for f, v in zip(figures, values, strict=True) for q in _QUANTILES))  # fmt: skip
        family("tokens_per_second", "gauge", "Tokens written a second, of the latest answers.", (
            ({"model": f.model}, f.tokens_per_s) for f in figures))  # fmt: skip
        family("memory_bytes", "gauge", "What local models may take together, and take.", (
            ({"of": of}, memory[key]) for of, key in _MEMORY if key in memory))  # fmt: skip
        family("model_memory_bytes", "gauge", "What a loaded model is charged.", (
            ({"model": slot["id"]}, slot["bytes"]) for slot in memory.get("slots", ())))  # fmt: skip
        family("breaker_open", "gauge", "1 while failures keep requests from a model.", (
            ({"model": model}, is_resting) for model, is_resting in resting.items()))  # fmt: skip
        family("gateway_events_total", "counter", "What the gateway did, by kind.", (
            ({"event": name}, n) for name, n in sorted(self.counters.items())))  # fmt: skip
        return "\n".join(lines) + "\n"


def percentiles(values: Iterable[float]) -> Percentiles:
    """By the nearest-rank method."""
    ordered = sorted(values)
    if not ordered:
        return Percentiles()
    return Percentiles(*(ordered[min(len(ordered) - 1, int(q * len(ordered)))] for q in _QUANTILES))


def _figures(model: str, record: _Record) -> ModelFigures:
    written, writing_s = sum(n for n, _ in record.written), sum(s for _, s in record.written)
    return ModelFigures(
        model,
        record.requests,
        dict(record.failures),
        record.in_flight,
        record.prompt_tokens,
        record.completion_tokens,
        record.cached_tokens,
        percentiles(record.first_s),
        percentiles(record.total_s),
        written / writing_s if writing_s else 0.0,
        record.last_fault,
    )


def _number(value: float) -> str:
    """In full: a counter that is rounded stands still."""
    return str(int(value)) if value == int(value) else repr(float(value))


def _labels(labels: Mapping[str, str]) -> str:
    escaped = {k: v.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for k, v in labels.items()}
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"
