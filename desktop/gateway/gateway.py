"""`desktop.core.models.Models`: takes a request, decides who answers, sees it through to one answer or one error."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from desktop.core.clock import Clock
from desktop.core.errors import AppError
from desktop.core.models import Answer, FitAnswer, Prompt, Task, Tier, Vectors
from desktop.core.trace import span
from desktop.engines.engine import Call
from desktop.engines.errors import ContextTooLongError, InvalidAnswerError
from desktop.engines.rules import Rules
from desktop.gateway.attempt import Failed, Outcome, ask, rule_answer, to_answer
from desktop.gateway.backend import Written
from desktop.gateway.cache import AnswerCache, Flights, OnText, Relay
from desktop.gateway.errors import AllFailedError, NoModelError
from desktop.gateway.flags import Flags
from desktop.gateway.metrics import Metrics
from desktop.gateway.roster import Candidate, Roster, to_row
from desktop.gateway.weight import TIERS, Conditions, Decision, Weight, decide, weigh

_KEPT_DECISIONS = 1000
_TEXTS_A_REQUEST = 64


@dataclass(frozen=True, slots=True)
class Routed:
    """The record of one decision: what was asked, what was decided and why, and how it ended."""

    at_s: float
    kind: str
    weight: Weight
    decision: Decision
    answered_by: str  # a model's id, "rules", "cache", or "" when it failed
    tried: tuple[str, ...]  # "model: what went wrong", for a person
    fault: str = ""  # why it failed as a whole


class Gateway:
    """Lives on one asyncio loop: the workers'."""

    def __init__(
        self,
        roster: Roster,
        *,
        rules: Rules,
        flags: Flags,
        metrics: Metrics,
        cache_bytes: Callable[[], int],
        is_on_battery: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self.roster, self.metrics, self.flags = roster, metrics, flags
        self.cache = AnswerCache(cache_bytes)
        self.routed: deque[Routed] = deque(maxlen=_KEPT_DECISIONS)
        self._flights, self._rules = Flights(), rules
        self._is_on_battery, self._clock = is_on_battery, clock
        self._ids = itertools.count(1)
        self._versions: dict[str, str] = {}

    def has_model(self, task: Task) -> bool:
        """See `desktop.core.models.Models.has_model`."""
        tiers = TIERS[TIERS.index(task.lowest) :]
        return any(self.roster.candidates(tier, tokens=1, is_private=task.is_private) for tier in tiers)

    async def generate(self, prompt: Prompt, *, on_text: OnText | None = None) -> Answer:
        """See `desktop.core.models.Models.generate`."""
        if prompt.schema is not None:
            from desktop.engines.schema import check_schema

            check_schema(prompt.schema)
        weight = weigh(prompt)
        decision = self._decide(prompt, weight)
        key = self._key(prompt, decision, weight)
        with span("models.generate", kind=prompt.task.kind, tier=decision.tier):
            if key is None:
                return await self._answer(prompt, weight, decision, Relay(*filter(None, (on_text,))))
            self._forget_replaced()
            if (known := self.cache.get(key)) is not None:
                self.metrics.counters["cache_hits"] += 1
                self._record(prompt, weight, decision, "cache", ())
                if on_text is not None:
                    on_text(known.text)
                return known
            self.metrics.counters["cache_misses"] += 1
            return await self._flights.join(key, lambda relay: self._fly(key, prompt, weight, decision, relay), on_text)

    async def generate_many(self, prompts: Sequence[Prompt]) -> list[Answer | AppError]:
        """See `desktop.core.models.Models.generate_many`."""

        async def one(prompt: Prompt) -> Answer | AppError:
            try:
                return await self.generate(replace(prompt, task=replace(prompt.task, is_bulk=True)))
            except AppError as error:
                return error

        return list(await asyncio.gather(*map(one, prompts)))

    async def embed(self, texts: Sequence[str], *, is_query: bool = False) -> Vectors:
        """See `desktop.core.models.Models.embed`. Raises NoModelError without an embedding model."""
        import numpy as np

        chosen = self.roster.embedding()
        if chosen is None:
            raise NoModelError(
                "There is no embedding model.", hint="Download one on the Models page (benchtop models download)."
            )
        given = [chosen.query_prefix + text for text in texts] if is_query else list(texts)
        with span("models.embed", texts=len(given)):
            parts = [
                await chosen.backend.embed(given[start : start + _TEXTS_A_REQUEST])
                for start in range(0, len(given), _TEXTS_A_REQUEST)
            ]
        values = np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float32)
        return Vectors(values, chosen.backend.id, chosen.pooling, {"engine": chosen.backend.engine})

    async def run(self) -> None:
        """See `desktop.core.models.ModelRoom.run`."""
        await self.roster.run()

    async def aclose(self) -> None:
        """See `desktop.core.models.ModelRoom.aclose`."""
        await self.roster.aclose()

    async def load(self, model_id: str) -> None:
        """See `desktop.core.models.ModelRoom.load`."""
        await self.roster.fleet_of(model_id).load(model_id)

    async def unload(self, model_id: str) -> int:
        """See `desktop.core.models.ModelRoom.unload`."""
        return await self.roster.fleet_of(model_id).unload(model_id)

    def pin(self, model_id: str, *, is_pinned: bool) -> None:
        """See `desktop.core.models.ModelRoom.pin`."""
        self.roster.fleet_of(model_id).pin(model_id, is_pinned=is_pinned)

    def fit(self, model_id: str, *, context_tokens: int | None = None) -> FitAnswer:
        """See `desktop.core.models.ModelRoom.fit`."""
        return self.roster.fit(model_id, context_tokens)

    def status(self) -> dict[str, Any]:
        """See `desktop.core.models.ModelRoom.status`."""
        figures = {one.model: asdict(one) for one in self.metrics.figures()}
        return {
            "models": [to_row(one, figures.get(one.backend.id)) for one in self.roster.everyone()],
            "tiers": {tier: self._first(tier) for tier in TIERS},
            "memory": self.roster.memory(),
            "flags": {name: flag.model_dump() for name, flag in self.flags.all().items()},
            "flags_fault": str(self.flags.fault) if self.flags.fault else None,
            "counters": dict(self.metrics.counters),
            "decisions": [asdict(one) for one in list(self.routed)[-20:]],
        }

    def _first(self, tier: Tier) -> str:
        """Who would be asked first in a tier, for a task that may leave this machine; "" for nobody."""
        return next((one.backend.id for one in self.roster.candidates(tier, tokens=1, is_private=False)), "")

    def to_prometheus(self) -> str:
        """See `desktop.core.models.ModelRoom.to_prometheus`."""
        resting = {one.backend.id: not one.backend.breaker.is_admitting for one in self.roster.everyone()}
        return self.metrics.to_prometheus(self.roster.memory(), resting)

    # ---- deciding ------------------------------------------------------------------------------------------------

    def _decide(self, prompt: Prompt, weight: Weight) -> Decision:
        conditions = Conditions(self._is_on_battery(), self.roster.loaded_tiers())
        chosen = self.roster.tier_of(prompt.model) if prompt.model else prompt.tier
        return decide(prompt.task, weight, conditions, chosen=chosen)

    def _candidates(self, tier: Tier, prompt: Prompt, weight: Weight) -> list[Candidate]:
        found = self.roster.candidates(tier, tokens=weight.tokens, is_private=prompt.task.is_private)
        return [one for one in found if prompt.model in ("", one.backend.id)]

    def _key(self, prompt: Prompt, decision: Decision, weight: Weight) -> str | None:
        """What an answer may be remembered under; None when it would not be the same again or has its own check."""
        varies = prompt.temperature > 0 and prompt.seed is None
        if varies or prompt.check is not None or not self.flags.is_on("answer_cache", prompt.task.kind):
            return None
        first = next((one for tier in decision.order for one in self._candidates(tier, prompt, weight)), None)
        parts: dict[str, Any] = {
            "model": first and (first.family or first.backend.id),
            "messages": [asdict(message) for message in prompt.messages],
            "schema": prompt.schema,
            "how": [prompt.max_tokens, prompt.temperature, prompt.top_p, prompt.seed, prompt.stop],
            "who": [prompt.tier, prompt.model, prompt.task.kind, prompt.task.is_private],
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _forget_replaced(self) -> None:
        """Answers of a model that another one has taken the name of, or that is gone, are not given again."""
        versions = self.roster.versions()
        for model, version in self._versions.items():
            if versions.get(model) != version:
                self.cache.invalidate(model)
        self._versions = versions

    # ---- answering -----------------------------------------------------------------------------------------------

    async def _fly(self, key: str, prompt: Prompt, weight: Weight, decision: Decision, relay: Relay) -> Answer:
        answer = await self._answer(prompt, weight, decision, relay)
        if not answer.degraded:
            self.cache.put(key, answer)
        return answer

    async def _answer(self, prompt: Prompt, weight: Weight, decision: Decision, relay: Relay) -> Answer:
        """Ask one candidate after the other; the rule is the floor. Text that was shown is never taken back."""
        failed: list[Failed] = []
        is_held_back = prompt.schema is not None or prompt.check is not None
        answer: Answer | None = None
        for candidate in self._line(prompt, weight, decision, failed):
            relay.restart()
            try:
                outcome = await self._ask(candidate, prompt, weight, None if is_held_back else relay.tell)
            except AppError as error:
                failed.append(Failed(candidate.backend.id, error))
                if relay.is_shown:
                    break
            else:
                answer = to_answer(decision, candidate, outcome, failed)
                break
        has_rule = self._rules.covers(prompt.task.kind) and not (prompt.tier or prompt.model)
        if answer is None and has_rule and not relay.is_shown:
            answer = rule_answer(self._rules, prompt, decision, failed)
        if answer is None:
            self.metrics.counters["failed"] += 1
            failure = self._failure(prompt, failed)
            self._record(prompt, weight, decision, "", failed, str(failure))
            raise failure
        self._record(prompt, weight, decision, answer.model, failed)
        self.metrics.counters["degraded"] += bool(answer.degraded)
        if is_held_back or answer.engine == "rules":
            relay.tell(answer.text)
        return answer

    def _line(self, prompt: Prompt, weight: Weight, decision: Decision, failed: list[Failed]) -> Iterator[Candidate]:
        """Who to ask next, given who failed how so far."""
        may_escalate = self.flags.is_on("escalation", prompt.task.kind)
        is_stubborn = False
        for tier in decision.order:
            if is_stubborn and (not may_escalate or TIERS.index(tier) < TIERS.index(decision.tier)):
                return  # a smaller model would not do better
            for candidate in self._candidates(tier, prompt, weight):
                yield candidate
                if failed and isinstance(failed[-1].error, InvalidAnswerError):
                    is_stubborn = True
                    self.metrics.counters["escalations"] += 1
                    break

    async def _ask(self, candidate: Candidate, prompt: Prompt, weight: Weight, on_text: OnText | None) -> Outcome:
        backend = candidate.backend
        context_tokens = min(candidate.context_tokens, weight.tokens)

        async def write(call: Call) -> Written:
            if prompt.task.is_bulk and self.flags.is_on("batching", prompt.task.kind):
                written = await backend.write_in_bulk(call)
                if on_text is not None:
                    on_text(written.text)
                return written
            return await backend.write(call, on_text, context_tokens=context_tokens)

        call = Call(
            f"g{next(self._ids)}",
            prompt.messages,
            prompt.max_tokens,
            prompt.temperature,
            prompt.top_p,
            prompt.seed,
            prompt.stop,
            prompt.schema,
        )
        return await ask(call, prompt, write)

    def _failure(self, prompt: Prompt, failed: Sequence[Failed]) -> AppError:
        """The one error a caller gets."""
        if len({type(one.error) for one in failed}) == 1:
            return failed[-1].error
        if failed:
            return AllFailedError(
                "No model could answer: " + "; ".join(f"{one.model}: {one.error}" for one in failed),
                hint=failed[-1].error.hint,
                tried=[f"{one.model}: {one.error.code}" for one in failed],
            )
        resting = self.roster.resting(is_private=prompt.task.is_private)
        if resting:
            names = ", ".join(backend.id for backend in resting)
            return AllFailedError(
                f"{names} failed repeatedly and rests for a moment.", hint="Try again in half a minute.", tried=[]
            )
        where = (
            "on this machine (the task is private)" if prompt.task.is_private else "on this machine or allowed outside"
        )
        if longest := self._longest(prompt):
            tokens = weigh(prompt).tokens
            return ContextTooLongError(
                f"Text and answer need about {tokens:,} tokens; the longest model {where} takes {longest:,}.",
                hint="Shorten the text or the answer that is wanted, or choose a model with a longer context.",
            )
        kind = f"{prompt.tier} model" if prompt.tier else "model"
        return NoModelError(
            f"There is no {kind}{f' {prompt.model[:80]!r}' if prompt.model else ''} {where}.",
            hint="Download one on the Models page (benchtop models download), or allow a model server.",
        )

    def _longest(self, prompt: Prompt) -> int:
        """The longest context among those who may answer; 0 when there is nobody."""
        tiers = (prompt.tier,) if prompt.tier else TIERS[TIERS.index(prompt.task.lowest) :]
        found = (
            one
            for tier in tiers
            for one in self.roster.candidates(tier, tokens=1, is_private=prompt.task.is_private)
            if prompt.model in ("", one.backend.id)
        )
        return max((one.context_tokens for one in found), default=0)

    def _record(
        self, prompt: Prompt, weight: Weight, decision: Decision, by: str, failed: Sequence[Failed], fault: str = ""
    ) -> None:
        tried = tuple(f"{one.model}: {one.error}" for one in failed)
        self.routed.append(Routed(self._clock.now_s(), prompt.task.kind, weight, decision, by, tried, fault))
