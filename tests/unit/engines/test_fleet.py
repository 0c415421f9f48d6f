"""Local models by id: what is on the disk is offered, lent within the budget, loaded, kept and unloaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from desktop.core.clock import SystemClock
from desktop.core.errors import AppError
from desktop.core.models import EngineName
from desktop.core.paths import resources_dir
from desktop.engines.engine import ModelFiles
from desktop.engines.errors import ModelInUseError, NotInstalledError
from desktop.engines.fleet import LocalFleet
from desktop.engines.importing import import_model
from desktop.engines.installed import Installed
from desktop.engines.memory import MemoryBudget
from desktop.engines.memory_settings import MemorySettings
from desktop.engines.slots import MemoryEvent
from tests.stand_ins.fleet import PretendModel
from tests.unit.engines.memory_rig import FakeMachine, FakeSizes
from tests.unit.engines.model_files import gguf


class NotingEngine:
    """Loads nothing, and notes for how long a context it would have."""

    name: EngineName = "gguf"

    def __init__(self) -> None:
        self.contexts: list[int] = []
        self.is_there = True

    def is_available(self) -> bool:
        return self.is_there

    async def load(self, files: ModelFiles) -> PretendModel:
        self.contexts.append(files.context_tokens)
        return PretendModel(files.id)


class Yard:
    """A fleet over a folder of models, with one in it."""

    def __init__(self, folder: Path) -> None:
        self.installed = Installed(folder / "models", resources_dir() / "catalog")
        (folder / "models").mkdir()
        self.source = folder / "own.gguf"
        self.source.write_bytes(gguf())
        self.engine = NotingEngine()
        self.events: list[MemoryEvent] = []

        async def note(event: MemoryEvent) -> None:
            self.events.append(event)

        budget = MemoryBudget(
            {"gguf": self.engine},
            machine=FakeMachine(),
            settings=MemorySettings,
            sizes=FakeSizes(),
            clock=SystemClock(),
            on_event=note,
        )
        self.fleet = LocalFleet(self.installed, budget, {"gguf": self.engine})

    def take_in(self, name: str, pooling: str = "") -> None:
        import_model(self.installed, self.source, self.installed.drafts_dir() / name, name, pooling=pooling)  # type: ignore[arg-type]


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


async def test_only_what_is_here_and_can_run_is_offered(yard: Yard) -> None:
    assert yard.fleet.status() == []
    yard.take_in("mine")
    yard.take_in("vectors", pooling="mean")
    offered = {model.id: model for model in yard.fleet.status()}
    assert set(offered) == {"mine", "vectors"}
    assert (offered["mine"].tier, offered["vectors"].tier, offered["vectors"].pooling) == ("small", None, "mean")
    yard.installed.trash("mine")
    assert [model.id for model in yard.fleet.status()] == ["vectors"]
    yard.installed.restore("mine")
    assert len(yard.fleet.status()) == 2
    yard.engine.is_there = False
    yard.installed.trash("vectors")
    assert yard.fleet.status() == []


async def test_a_lease_loads_once_and_a_longer_text_a_longer_context(yard: Yard) -> None:
    yard.take_in("mine")
    limit = yard.fleet.status()[0].context_tokens
    for tokens in (10, 500):
        async with yard.fleet.lease("mine", context_tokens=tokens) as model:
            assert model.id == "mine"
            assert yard.fleet.status()[0].is_loaded
    assert len(yard.engine.contexts) == 1
    assert yard.engine.contexts[0] <= limit
    await yard.fleet.aclose()
    assert not yard.fleet.status()[0].is_loaded


async def test_loading_keeping_and_unloading_by_hand(yard: Yard) -> None:
    yard.take_in("mine")
    await yard.fleet.load("mine")
    yard.fleet.pin("mine", is_pinned=True)
    (slot,) = yard.fleet.memory()["slots"]
    assert (slot["id"], slot["state"], slot["is_pinned"]) == ("mine", "loaded", True)
    json.dumps(yard.fleet.memory(), allow_nan=False)
    async with yard.fleet.lease("mine", context_tokens=1):
        with pytest.raises(ModelInUseError):
            await yard.fleet.unload("mine")
    yard.fleet.pin("mine", is_pinned=False)
    await yard.fleet.unload("mine")
    assert yard.fleet.memory()["slots"] == []
    assert [event.step for event in yard.events] == ["loaded", "unloaded"]


@pytest.mark.parametrize("name", ["qwen3-8b", "nobody", "../../etc/passwd", ""])
async def test_what_is_not_here_is_not_lent(yard: Yard, name: str) -> None:
    with pytest.raises(AppError) as caught:
        await yard.fleet.load(name)
    assert caught.value.hint
    if name == "qwen3-8b":
        assert isinstance(caught.value, NotInstalledError)
    assert yard.engine.contexts == []


def test_models_of_one_family_are_the_same_weights(yard: Yard) -> None:
    families: dict[str, list[str]] = {}
    for entry in yard.installed.shipped.values():
        if entry.family:
            families.setdefault(entry.family, []).append(entry.engine)
    assert families
    assert all(sorted(engines) == ["gguf", "mlx"] for engines in families.values())
