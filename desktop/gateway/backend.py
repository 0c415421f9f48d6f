"""One model that can be asked, on this machine or on a server: its turns, breaker, patience, batches and figures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from desktop.core.clock import Clock
from desktop.core.errors import AppError
from desktop.core.models import Enforced, EngineName, Finish, Timing, Usage
from desktop.core.resilience import Breaker, Retries, with_retries
from desktop.engines.engine import Call, LoadedModel, Piece
from desktop.engines.errors import (
    BadModelError,
    BadReplyError,
    EngineLostError,
    EngineTimeoutError,
    OutOfMemoryError,
    ServerBusyError,
    ServerUnreachableError,
)
from desktop.engines.patience import Patience, out_of_patience, patiently
from desktop.gateway.batching import Batcher
from desktop.gateway.metrics import Metrics
from desktop.gateway.slots import Slots

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RETRIES = Retries(attempts=3, first_s=0.3, longest_s=5.0)
_MOST_IN_A_BATCH = 16
_FAULTS = (
    BadModelError,
    BadReplyError,
    EngineLostError,
    EngineTimeoutError,
    OutOfMemoryError,
    ServerBusyError,
    ServerUnreachableError,
)
Lease = Callable[[int], AbstractAsyncContextManager[LoadedModel]]


@dataclass(frozen=True, slots=True)
class Written:
    """A finished text as a model wrote it."""

    text: str
    finish: Finish
    usage: Usage
    enforced: Enforced
    timing: Timing


class Backend:
    """Lives as long as its model is known, so that breaker and figures outlast loads and unloads.

    lease   gives the loaded model for a context of so many tokens
    """

    def __init__(
        self,
        model_id: str,
        engine: EngineName,
        *,
        lease: Lease,
        is_remote: bool,
        patience: Callable[[], Patience],
        batch_wait_s: Callable[[], float],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self.id, self.engine, self.is_remote = model_id, engine, is_remote
        self.breaker = Breaker(model_id, clock, counts=_is_fault)
        self.parallel = 1
        self._lease, self._patience, self._metrics = lease, patience, metrics
        self._slots: Slots | None = None
        self._batcher: Batcher[Call, Written] = Batcher(
            self._write_many, wait_s=batch_wait_s, most=_MOST_IN_A_BATCH, on_left=self._stop
        )
        self._in_bulk: dict[str, LoadedModel] = {}
        self._stops: set[asyncio.Task[None]] = set()

    @property
    def in_flight(self) -> int:
        """Requests here now, waiting ones included."""
        return self._metrics.in_flight(self.id)

    @property
    def requests(self) -> int:
        """Requests so far."""
        return self._metrics.requests(self.id)

    async def write(self, call: Call, on_text: Callable[[str], None] | None, *, context_tokens: int) -> Written:
        """Have a call answered. Tried again only where the model did not begin: it was busy, or could not be reached.

        raises   BreakerOpenError, and the typed errors of `engines.errors`
        """
        shown = False

        def show(text: str) -> None:
            nonlocal shown
            shown = True
            if on_text is not None:
                on_text(text)

        with _noted(self._metrics, self.id):
            return await with_retries(
                lambda: self.breaker.call(lambda: self._write(call, show, context_tokens)),
                RETRIES,
                is_safe=lambda error: isinstance(error, ServerBusyError | ServerUnreachableError) and not shown,
            )

    async def write_in_bulk(self, call: Call) -> Written:
        """Have a call answered together with others of its kind."""
        with _noted(self._metrics, self.id):
            return await self._batcher.ask(call)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors (N, D)."""

        async def work() -> NDArray[np.float32]:
            patience = self._patience()
            async with self._turn(0, is_bulk=False) as (loaded, _):
                try:
                    async with asyncio.timeout(patience.total_s):
                        return await loaded.embed(texts)
                except TimeoutError:
                    raise out_of_patience(self.id, "total", patience.total_s) from None

        with _noted(self._metrics, self.id):
            return await with_retries(
                lambda: self.breaker.call(work), RETRIES, is_safe=lambda error: isinstance(error, ServerBusyError)
            )

    async def _write(self, call: Call, on_text: Callable[[str], None], context_tokens: int) -> Written:
        now_s = asyncio.get_running_loop().time
        began_s = now_s()
        async with self._turn(context_tokens, is_bulk=False) as (loaded, timing):
            texts: list[str] = []
            last, first_s = Piece(""), 0.0
            async with aclosing(patiently(loaded.generate(call), self._patience(), self.id)) as pieces:
                async for last in pieces:
                    first_s = first_s or now_s() - began_s
                    texts.append(last.text)
                    if last.text:
                        on_text(last.text)
            if last.finish is None:
                raise EngineLostError(f"{self.id} ended its answer too early.", hint="Try again.")
        timing = replace(timing, first_token_s=first_s, total_s=now_s() - began_s)
        return self._noted_answer("".join(texts), last, timing)

    async def _write_many(self, calls: Sequence[Call]) -> Sequence[Written | Exception]:
        """A batch; when every call in it failed the same way as a single one would, that counts as one failure."""

        async def work() -> list[Written | Exception]:
            now_s, patience = asyncio.get_running_loop().time, self._patience()
            began_s = now_s()
            async with self._turn(max(map(_context_tokens, calls)), is_bulk=True) as (loaded, timing):
                self._in_bulk |= dict.fromkeys((call.id for call in calls), loaded)
                try:
                    async with asyncio.timeout(patience.total_s):
                        outcomes = await loaded.generate_many(calls)
                except TimeoutError:
                    raise out_of_patience(self.id, "total", patience.total_s) from None
                finally:
                    for call in calls:
                        self._in_bulk.pop(call.id, None)
            total_s = now_s() - began_s
            timing = replace(timing, first_token_s=total_s, total_s=total_s)
            results: list[Written | Exception] = []
            for outcome in outcomes:
                if isinstance(outcome, Exception):
                    results.append(outcome)
                else:
                    results.append(self._noted_answer("".join(piece.text for piece in outcome), outcome[-1], timing))
            if results and all(isinstance(result, Exception) and _is_fault(result) for result in results):
                raise _AllFailed(results)
            return results

        if not calls:
            return []
        try:
            return await self.breaker.call(work)
        except _AllFailed as failed:
            return failed.results

    def _stop(self, call: Call) -> None:
        """Nobody waits for this call of a running batch any more."""
        if (loaded := self._in_bulk.get(call.id)) is not None:
            task = asyncio.ensure_future(loaded.stop_call(call.id))
            self._stops.add(task)
            task.add_done_callback(self._stops.discard)

    @asynccontextmanager
    async def _turn(self, context_tokens: int, *, is_bulk: bool) -> AsyncIterator[tuple[LoadedModel, Timing]]:
        """The loaded model and one of its turns, with how long both took to get."""
        now_s = asyncio.get_running_loop().time
        asked_s = now_s()
        async with self._lease(context_tokens) as loaded:
            leased_s = now_s()
            if self._slots is None or self.parallel != loaded.parallel:
                self.parallel, self._slots = loaded.parallel, Slots(loaded.parallel)
            async with self._slots.turn(is_bulk=is_bulk):
                yield loaded, Timing(queue_s=now_s() - leased_s, load_s=leased_s - asked_s)

    def _noted_answer(self, text: str, last: Piece, timing: Timing) -> Written:
        usage = last.usage or Usage()
        self._metrics.note_answer(self.id, usage, timing.first_token_s, timing.total_s)
        return Written(text, last.finish or "stop", usage, last.enforced, timing)


class _AllFailed(Exception):
    """Every call of a batch failed: tells the breaker, and carries the results."""

    def __init__(self, results: Sequence[Written | Exception]) -> None:
        super().__init__("all failed")
        self.results = results


def remote_lease(model: LoadedModel) -> Lease:
    """A model on a server is always there."""
    return lambda context_tokens: nullcontext(model)


def _context_tokens(call: Call) -> int:
    return sum(len(message.content) for message in call.messages) // 3 + call.max_tokens


def _is_fault(error: Exception) -> bool:
    """Whether an error says something about the backend, not about the request or about this machine's state."""
    return isinstance(error, _FAULTS) or not isinstance(error, AppError)


class _noted:  # noqa: N801 - reads as the verb it is
    """Counts a request in and out, with the code of its failure."""

    def __init__(self, metrics: Metrics, model: str) -> None:
        self._metrics, self._model = metrics, model

    def __enter__(self) -> None:
        self._metrics.note_begin(self._model)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        fault = "" if error is None else "cancelled" if isinstance(error, asyncio.CancelledError) else "app.bug"
        code, words = (error.code, str(error)) if isinstance(error, AppError) else (fault, "")
        self._metrics.note_end(self._model, code, words)
