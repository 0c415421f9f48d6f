"""Every model that can be asked now, local and on servers, in the order a request should try them.

Keeps one `Backend` for each model for the life of the process; the fleet and the settings are looked at each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from desktop.core.clock import Clock
from desktop.core.models import EngineName, FitAnswer, Tier
from desktop.engines.engine import Fleet, FleetModel, LoadedModel
from desktop.engines.patience import Patience
from desktop.engines.remote.server import Departures, ModelServer
from desktop.gateway.backend import Backend, Lease, remote_lease
from desktop.gateway.config import ModelsSettings, ServerSettings, ServersSettings
from desktop.gateway.errors import NoModelError
from desktop.gateway.metrics import Metrics

_LOAD_COSTS = 4.0  # a load counts as much as this many requests waiting for each turn


class Outside(Departures, Protocol):
    """The way out, as `desktop.net` offers it."""

    def is_allowed(self, destination: str) -> bool:
        """Whether the person allowed requests to go there."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backend in the tier it would answer in. `pooling` and `query_prefix` of an embedding model."""

    backend: Backend
    tier: Tier
    context_tokens: int
    is_loaded: bool
    family: str = ""
    pooling: str = ""
    query_prefix: str = ""


class Roster:
    """What there is to ask."""

    def __init__(
        self,
        *,
        fleet: Fleet | None,
        outside: Outside,
        secret: Callable[[str], str | None],
        settings: Callable[[], ModelsSettings],
        servers: Callable[[], ServersSettings],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """fleet   None where no local runtime is built in."""
        self._fleet, self._outside, self._secret = fleet, outside, secret
        self._settings, self._servers, self._clock, self._metrics = settings, servers, clock, metrics
        self._backends: dict[str, Backend] = {}
        self._asked_as: dict[str, ModelServer] = {}  # the server a remote backend was made for

    def loaded_tiers(self) -> frozenset[Tier]:
        """Tiers with a model in memory."""
        models = self._fleet.status() if self._fleet else ()
        return frozenset(model.tier for model in models if model.is_loaded and model.tier)

    def candidates(self, tier: Tier, *, tokens: int, is_private: bool) -> list[Candidate]:
        """Who may answer in a tier, best first. Models of the best one's family share the load; others follow."""
        found = [one for one in self._all(is_private=is_private) if one.tier == tier and one.context_tokens >= tokens]
        if not found:
            return []
        chosen = str(getattr(self._settings(), tier))
        found.sort(key=lambda one: (one.backend.id != chosen, one.backend.is_remote))
        best = found[0]
        family = [one for one in found if one is best or (best.family and one.family == best.family)]
        others = [one for one in found if one not in family]
        family.sort(key=_burden)
        return [one for one in (*family, *others) if one.backend.breaker.is_admitting]

    def embedding(self) -> Candidate | None:
        """The model for embeddings: the one named in the settings, else the best on this machine."""
        chosen = self._settings().embedding
        for model in self._fleet.status() if self._fleet else ():
            if model.pooling and chosen in ("", model.id):
                return self._local(model, "small")
        for server in self._servers().known:
            if server.embeds and server.id == chosen and self._outside.is_allowed(server.id):
                return self._remote(server)
        return None

    def versions(self) -> dict[str, str]:
        """What stands behind each id now: the files of a local model, the address and model of a server."""
        known = {server.id: f"{server.url} {server.model}" for server in self._servers().known}
        return known | {model.id: model.version for model in (self._fleet.status() if self._fleet else ())}

    def resting(self, *, is_private: bool) -> list[Backend]:
        """Models that could be asked but for their breaker."""
        every = self._all(is_private=is_private)
        return [one.backend for one in every if not one.backend.breaker.is_admitting]

    def everyone(self) -> list[Candidate]:
        """All of them, those that embed included, for lists of models."""
        embedding = self.embedding()
        return [*self._all(is_private=False), *((embedding,) if embedding else ())]

    def fleet_of(self, model_id: str) -> Fleet:
        """The fleet that has a local model. Raises NoModelError."""
        if self._fleet is None or all(model.id != model_id for model in self._fleet.status()):
            raise NoModelError(
                f"There is no model {model_id[:80]!r} on this machine.",
                hint="benchtop models list shows them.",
            )
        return self._fleet

    def fit(self, model_id: str, context_tokens: int | None) -> FitAnswer:
        """Whether a model would go into memory. Raises NoModelError, UnknownModelError."""
        if self._fleet is None:
            raise NoModelError("Nothing here runs models.", hint="Install a runtime: see docs/guide/models.md.")
        return self._fleet.fit(model_id, context_tokens=context_tokens)

    def memory(self) -> dict[str, Any]:
        """What local models hold, as JSON values; empty without a fleet."""
        return self._fleet.memory() if self._fleet else {}

    def tier_of(self, model_id: str) -> Tier | None:
        """The tier a model answers in; None for an unknown one."""
        return next((one.tier for one in self._all(is_private=False) if one.backend.id == model_id), None)

    async def run(self) -> None:
        """Look after the local models until cancelled."""
        if self._fleet is not None:
            await self._fleet.run()

    async def aclose(self) -> None:
        """Unload the local models."""
        if self._fleet is not None:
            await self._fleet.aclose()

    def _all(self, *, is_private: bool) -> Iterator[Candidate]:
        here = self._fleet.status() if self._fleet else ()
        for model in here:
            if model.tier is not None:
                yield self._local(model, model.tier)
        if is_private or self._is_spent():
            return
        local = {model.id for model in here}
        for server in self._servers().known:
            # who names a local model never means a server that was given the same name
            if not server.embeds and server.id not in local and self._outside.is_allowed(server.id):
                yield self._remote(server)

    def _is_spent(self) -> bool:
        """Whether as many tokens went away as the person wants to."""
        remote = {id_ for id_, backend in self._backends.items() if backend.is_remote}
        spent = sum(f.prompt_tokens + f.completion_tokens for f in self._metrics.figures() if f.model in remote)
        return bool(remote) and spent >= self._settings().remote_tokens

    def _local(self, model: FleetModel, tier: Tier) -> Candidate:
        backend = self._backends.get(model.id)
        if backend is None or backend.is_remote:
            backend = self._add(model.id, model.engine, self._fleet_lease(model.id), self._local_patience)
        return Candidate(
            backend, tier, model.context_tokens, model.is_loaded, model.family, model.pooling, model.query_prefix
        )

    def _fleet_lease(self, model_id: str) -> Lease:
        fleet = self._fleet
        if fleet is None:
            raise AssertionError("local models come from a fleet")

        def lease(context_tokens: int) -> AbstractAsyncContextManager[LoadedModel]:
            return fleet.lease(model_id, context_tokens=context_tokens)

        return lease

    def _remote(self, settings: ServerSettings) -> Candidate:
        server = settings.to_server()
        if self._asked_as.get(server.id) != server:
            from desktop.engines.remote.model import RemoteModel

            model = RemoteModel(server, departures=self._outside, secret=self._secret)
            patience = Patience(server.first_token_s, server.stall_s, server.total_s)
            self._add(server.id, server.kind, remote_lease(model), lambda: patience, is_remote=True)
            self._asked_as[server.id] = server
        return Candidate(
            self._backends[server.id], settings.tier, server.context_tokens, True, pooling="server" * server.embeds
        )

    def _add(
        self,
        model_id: str,
        engine: EngineName,
        lease: Lease,
        patience: Callable[[], Patience],
        *,
        is_remote: bool = False,
    ) -> Backend:
        backend = self._backends[model_id] = Backend(
            model_id,
            engine,
            lease=lease,
            is_remote=is_remote,
            patience=patience,
            batch_wait_s=lambda: self._settings().batch_wait_ms / 1000,
            clock=self._clock,
            metrics=self._metrics,
        )
        return backend

    def _local_patience(self) -> Patience:
        settings = self._settings()
        return Patience(settings.first_token_s, settings.stall_s, settings.total_s)


def _burden(candidate: Candidate) -> tuple[float, float]:
    """How long a request would wait there, roughly; between equals, who was asked less often."""
    waiting = candidate.backend.in_flight / max(1, candidate.backend.parallel)
    return waiting + (0 if candidate.is_loaded else _LOAD_COSTS), candidate.backend.requests


def to_row(candidate: Candidate, figures: Mapping[str, Any] | None) -> dict[str, Any]:
    """A model as JSON values, for lists; `figures` of `metrics.ModelFigures`, None when it was never asked."""
    backend = candidate.backend
    return {
        "id": backend.id,
        "engine": backend.engine,
        "tier": None if candidate.pooling else candidate.tier,
        "is_remote": backend.is_remote,
        "is_loaded": candidate.is_loaded,
        "context_tokens": candidate.context_tokens,
        "breaker": backend.breaker.state,
        "rests_s": round(backend.breaker.left_s, 1),
        "figures": figures,
    }
