"""The real engine, when DOCKER_HOST or a context leads to one that has the image; see packaging/dockerd-for-tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import docker
import pytest

from desktop.core.paths import Paths
from desktop.core.ports import IsolationWish, Limits, RunOutcome, RunSpec
from desktop.sandbox.config import SandboxSettings
from desktop.sandbox.container import LABEL
from desktop.sandbox.docker import DockerSandbox, home_mark
from desktop.sandbox.engine import Engine, find_engine
from desktop.sandbox.service import SandboxService

IMAGE = SandboxSettings().image


@pytest.fixture(scope="session")
def engine() -> Engine:
    found = find_engine()
    if found is None:
        pytest.skip("no Docker engine answers (packaging/dockerd-for-tests starts one)")
    client = found.client()
    try:
        client.inspect_image(IMAGE)
    except docker.errors.ImageNotFound:
        pytest.skip(f"the engine has no image {IMAGE} (packaging/dockerd-for-tests makes it)")
    finally:
        client.close()
    return found


@dataclass
class Bench:
    """A service with a data folder of its own, and what is needed to look at what it leaves."""

    home: Path
    service: SandboxService
    engine: Engine
    lines: list[str] = field(default_factory=list)
    count: int = 0

    @property
    def input_dir(self) -> Path:
        return self.home / "given"

    @property
    def output_dir(self) -> Path:
        return self.home / f"out-{self.count}"

    async def run(
        self, script: str | bytes, *, isolation: IsolationWish = "docker", is_checked: bool = False, **limits: float
    ) -> RunOutcome:
        self.count += 1
        source = script if isinstance(script, bytes) else script.encode()
        wanted = Limits(**{"wall_s": 30, "memory_mb": 1024, "cpus": 1, **limits})  # type: ignore[arg-type]
        spec = RunSpec(f"run-{self.count}", source, self.input_dir, self.output_dir, "model", isolation, wanted)
        return await self.service.run(spec, on_line=self.lines.append, is_checked=is_checked)

    def left(self) -> list[str]:
        """Containers, volumes and folders of this data folder that are still there."""
        label = f"{LABEL}.home={home_mark(self.home)}"
        client = self.engine.client()
        try:
            containers = [c["Names"][0] for c in client.containers(all=True, filters={"label": [label]})]
            volumes = [v["Name"] for v in client.volumes(filters={"label": [label]})["Volumes"] or []]
        finally:
            client.close()
        scratch = self.home / "scratch"
        return [*containers, *volumes, *(p.name for p in (scratch.iterdir() if scratch.exists() else ()))]


@pytest.fixture
async def bench(tmp_path: Path, engine: Engine) -> AsyncIterator[Bench]:
    home = tmp_path / "home"
    (home / "given").mkdir(parents=True)
    (home / "given" / "SANDBOX_OK").touch()
    service = SandboxService(SandboxSettings, Paths(home))
    bench = Bench(home, service, engine)
    yield bench
    await service.aclose()
    assert bench.left() == []


@pytest.fixture
def adapter(tmp_path: Path, engine: Engine) -> Iterator[DockerSandbox]:
    """The container adapter alone, for tests that change the container's specification."""
    adapter = DockerSandbox(engine, tmp_path / "scratch", tmp_path)
    yield adapter
    assert adapter.leftovers() == []


Runner = Callable[..., Awaitable[RunOutcome]]
