"""The sandbox as the application sees it: chooses an isolation, applies the policy, runs, and cleans up.

Fails closed: code that no template of ours wrote runs in a container, or, when asked for explicitly, under the
operating system's own sandbox, or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from desktop.core.errors import NoSandboxError
from desktop.core.paths import Paths
from desktop.core.ports import (
    IsolationChoice,
    IsolationWish,
    Limits,
    Origin,
    ProofStep,
    RunOutcome,
    RunSpec,
    Verdict,
)
from desktop.sandbox import bubblewrap, policy, process, seatbelt
from desktop.sandbox.child import run_child
from desktop.sandbox.config import SandboxSettings
from desktop.sandbox.container import ContainerSpec
from desktop.sandbox.interpreter import find_interpreter
from desktop.sandbox.proof import prove

if TYPE_CHECKING:
    from desktop.sandbox.docker import DockerSandbox, Slot
    from desktop.sandbox.pool import WarmPool

_GET_ONE = (
    "Start Docker Desktop, OrbStack or colima, then run “benchtop sandbox build”. Without Docker, ask for the "
    "operating system's own sandbox with --isolation os (reduced isolation)."
)
_ENGINE_MEMORY_S = 5.0
IDLE_S = 600.0


class SandboxService:
    """Implements `desktop.core.ports.Sandbox`. Safe to use from one event loop at a time."""

    def __init__(self, settings: Callable[[], SandboxSettings], paths: Paths, *, idle_s: float = IDLE_S) -> None:
        """idle_s: how long after the last run waiting containers are kept."""
        self._settings = settings
        self._paths = paths
        self._known: tuple[float, DockerSandbox | None] | None = None  # when it was asked for, and what was found
        self._pool: tuple[str, WarmPool] | None = None  # the engine's address, and its warm containers
        self._closing: set[asyncio.Task[None]] = set()
        self._image: tuple[DockerSandbox, str, dict[str, str] | None] | None = None  # what is known of the image, where
        self._is_staying, self._idle_s = False, idle_s
        self._cooling: asyncio.TimerHandle | None = None
        self._owes_reconcile = False  # an engine died under a run and may still hold its container

    # ---- the protocol --------------------------------------------------------------------------------------------

    @staticmethod
    def check(source: bytes) -> Verdict:
        """What the policy says; never raises, whatever the bytes."""
        return policy.check(source)

    async def choose(self, wish: IsolationWish, origin: Origin) -> IsolationChoice:
        """The isolation a run would get now.

        auto: a container if an engine answers and has the image; else, for our own templates, the operating system's
        sandbox or a plain child. Raises NoSandboxError when there is none this origin may use.
        """
        if wish in ("auto", "docker"):
            choice, why_not = await self._docker_choice()
            if choice is not None:
                return choice
            if wish == "docker" or origin != "template":
                raise NoSandboxError(why_not, hint=_GET_ONE)
        if wish in ("auto", "os"):
            choice = await asyncio.to_thread(self._os_choice)
            if choice is not None:
                return choice
            if wish == "os":
                message = "This machine has neither bubblewrap (Linux) nor Seatbelt (macOS) in working order."
                raise NoSandboxError(message, hint="Install bubblewrap with your package manager, or Docker.")
        if origin != "template":
            message = "Only Benchtop's own templates may run as a plain process."
            raise NoSandboxError(message, hint=_GET_ONE)
        return process.choice(await asyncio.to_thread(find_interpreter, self._settings().python))

    async def run(self, spec: RunSpec, *, on_line: Callable[[str], None], is_checked: bool = True) -> RunOutcome:
        """Check, choose, run, collect. `is_checked=False` (`benchtop sandbox run --no-check`) skips the policy."""
        choice = await self.choose(spec.isolation, spec.origin)
        if is_checked:
            started = time.monotonic()
            verdict = spec.verdict
            if verdict is None or verdict.sha256 != hashlib.sha256(spec.script).hexdigest():
                verdict = await asyncio.to_thread(self.check, spec.script)
            if not verdict.allowed:
                lines = "\n".join(f"line {f.line}: {f.message} {f.remedy}" for f in verdict.findings)
                return RunOutcome("refused", None, time.monotonic() - started, choice, log=lines)
        if choice.kind == "docker":
            return await self._run_docker(spec, choice, on_line)
        python = await asyncio.to_thread(find_interpreter, self._settings().python)
        build = process if choice.kind == "process" else bubblewrap if bubblewrap.version() else seatbelt
        return await run_child(
            spec, self._paths.scratch, choice, lambda work: build.command(spec, work, python), on_line
        )

    # ---- containers ------------------------------------------------------------------------------------------------

    async def _docker(self) -> DockerSandbox | None:
        """The engine's adapter, asked for again when the last answer is old."""
        from desktop.sandbox.docker import DockerSandbox
        from desktop.sandbox.engine import find_engine

        if self._known is None or time.monotonic() - self._known[0] > _ENGINE_MEMORY_S:
            engine = await asyncio.to_thread(find_engine, self._settings().engine)
            held = DockerSandbox(engine, self._paths.scratch, self._paths.home) if engine else None
            self._known = (time.monotonic(), held)
        return self._known[1]

    async def _docker_choice(self) -> tuple[IsolationChoice | None, str]:
        docker = await self._docker()
        if docker is None:
            return None, "No Docker engine answers on this machine."
        image = self._settings().image
        if self._image is None or self._image[:2] != (docker, image):
            self._image = (docker, image, await asyncio.to_thread(docker.image_facts, image))
        facts = self._image[2]
        if facts is None:
            return None, f"Docker answers, but the image {image} has not been built."
        if facts["age"] == "unusable":
            return None, f"The image {image} was built by another Benchtop: rebuild it with “benchtop sandbox build”."
        engine = docker.engine
        older = ", which is older than this Benchtop: rebuild it" if facts["age"] else ""
        detail = f"Docker {engine.version} at {engine.url}, image {image}{older}"
        return IsolationChoice("docker", False, detail, {"found_by": engine.found_by, **facts}), ""

    def _os_choice(self) -> IsolationChoice | None:
        if bubblewrap.version():
            return bubblewrap.choice(find_interpreter(self._settings().python))
        if seatbelt.is_available():
            return seatbelt.choice(find_interpreter(self._settings().python))
        return None

    def _warm(self, docker: DockerSandbox) -> WarmPool:
        from desktop.sandbox.pool import WarmPool

        if self._pool is None or self._pool[0] != docker.engine.url:
            self._pool = (docker.engine.url, WarmPool(docker, self._settings().warm))
        return self._pool[1]

    async def warm_up(self, limits: Limits | None = None) -> None:
        """Start the warm containers for runs with these limits, if the settings ask for any."""
        docker = await self._docker()
        if docker is not None and self._settings().warm:
            wanted = ContainerSpec.for_limits(self._settings().image, limits or Limits())
            await asyncio.to_thread(self._warm(docker).fill, wanted)

    async def _run_docker(self, spec: RunSpec, choice: IsolationChoice, on_line: Callable[[str], None]) -> RunOutcome:
        docker = await self._docker()
        if docker is None:
            message = "The Docker engine went away before the run started."
            raise NoSandboxError(message, hint=_GET_ONE)
        if self._owes_reconcile:
            await asyncio.to_thread(docker.reconcile)
            self._owes_reconcile = False
        wanted = ContainerSpec.for_limits(self._settings().image, spec.limits)
        pool = self._warm(docker)
        opening = asyncio.create_task(asyncio.to_thread(pool.take, wanted))
        try:
            slot = await asyncio.shield(opening)
        except asyncio.CancelledError:
            self._later(self._close_when_open(docker, opening))
            raise
        try:
            outcome = await docker.run(spec, slot, choice, on_line)
            self._owes_reconcile |= outcome.status == "engine_lost"
            return outcome
        finally:
            self._later(asyncio.to_thread(docker.close_slot, slot))
            if self._is_staying and self._settings().warm:
                self._later(self._refill(pool, wanted))

    def stay_warm(self) -> None:
        """From the next run on keep containers ready, as many as the settings say, until idle for a while or closed."""
        self._is_staying = True

    async def _refill(self, pool: WarmPool, wanted: ContainerSpec) -> None:
        await asyncio.to_thread(pool.fill, wanted)
        if self._cooling is not None:
            self._cooling.cancel()

        def release() -> None:
            self._later(asyncio.to_thread(pool.fill, None))

        self._cooling = asyncio.get_running_loop().call_later(self._idle_s, release)

    async def _close_when_open(self, docker: DockerSandbox, opening: asyncio.Task[Slot]) -> None:
        with contextlib.suppress(NoSandboxError):
            await asyncio.to_thread(docker.close_slot, await opening)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def aclose(self) -> None:
        """Wait until every container of past runs is removed, and remove the warm ones."""
        if self._pool is not None:
            await asyncio.to_thread(self._pool[1].close)
        while self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)
        if self._cooling is not None:
            self._cooling.cancel()

    async def reconcile(self) -> list[str]:
        """Remove containers and volumes that a crash left; returns their names. For the start of the application."""
        docker = await self._docker()
        return [] if docker is None else list(await asyncio.to_thread(docker.reconcile))

    # ---- for the command line and the Sandbox page -------------------------------------------------------------------

    async def status(self) -> dict[str, Any]:
        """What is in force and what is missing, as JSON values.

        isolation ("docker", "os", "process" or None for code nobody has to trust), detail, engine {url, found_by,
        version, architecture} or None, image, has_image, image_age ("", "older", "unusable"), warm (containers
        that wait), os_sandbox (text or None), limits, hint.
        """
        self._known = None
        docker = await self._docker()
        choice, why_not = await self._docker_choice()
        facts = self._image[2] if docker is not None and self._image else None
        local = await asyncio.to_thread(self._os_choice)
        engine = docker.engine if docker is not None else None
        return {
            "isolation": "docker" if choice else None,
            "detail": choice.detail if choice else why_not,
            "engine": None
            if engine is None
            else {
                "url": engine.url,
                "found_by": engine.found_by,
                "version": engine.version,
                "architecture": engine.architecture,
            },
            "image": self._settings().image,
            "has_image": facts is not None,
            "image_age": facts["age"] if facts else "",
            "warm": len(self._pool[1]) if self._pool else 0,
            "os_sandbox": local.detail if local else None,
            "limits": asdict(Limits()),
            "hint": "" if choice else _GET_ONE,
        }

    async def build_image(self, *, base: str = "", on_line: Callable[[str], None]) -> str:
        """Build the image on the engine; returns its id. Raises NoSandboxError, ImageBuildError.

        Cancelling ends the build at the engine's next line.
        """
        from desktop.sandbox.image import BuildStoppedError, build_image

        docker = await self._docker()
        if docker is None:
            message = "No Docker engine answers on this machine."
            raise NoSandboxError(message, hint="Start Docker Desktop, OrbStack or colima first.")
        loop = asyncio.get_running_loop()

        wanted = threading.Event()
        wanted.set()

        def from_thread(line: str) -> None:
            if not wanted.is_set():
                raise BuildStoppedError
            loop.call_soon_threadsafe(on_line, line)

        try:
            image_id = await asyncio.to_thread(build_image, docker.engine, self._settings().image, base, from_thread)
        finally:
            wanted.clear()
        self._known = None
        return image_id

    async def self_test(
        self, wish: IsolationWish = "auto", *, on_step: Callable[[ProofStep], None] | None = None
    ) -> tuple[IsolationChoice, list[ProofStep]]:
        """Try on this machine what must not work; every step must have passed. Raises NoSandboxError."""
        choice = await self.choose(wish, "person")

        async def run(spec: RunSpec) -> RunOutcome:
            return await self.run(spec, on_line=lambda _: None, is_checked=False)

        return choice, await prove(choice, run, self._paths.scratch, on_step)
