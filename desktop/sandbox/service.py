"""The sandbox as the application sees it: chooses an isolation, applies the policy, runs, and cleans up.

Fails closed: code that no template of ours wrote runs in a container, or, when asked for explicitly, under the
operating system's own sandbox, or not at all.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from desktop.core.errors import NoSandboxError
from desktop.core.paths import Paths
from desktop.core.ports import (
    IsolationChoice,
    IsolationWish,
    Origin,
    RunOutcome,
    RunSpec,
    Verdict,
)
from desktop.sandbox import bubblewrap, policy, process, seatbelt
from desktop.sandbox.child import run_child
from desktop.sandbox.config import SandboxSettings
from desktop.sandbox.container import ContainerSpec
from desktop.sandbox.interpreter import find_interpreter

_log = logging.getLogger(__name__)
_GET_ONE = (
    "Start Docker Desktop, OrbStack or colima, then run “benchtop sandbox build”. Without Docker, ask for the "
    "operating system's own sandbox with --isolation os (reduced isolation)."
)
_ENGINE_MEMORY_S = 5.0


class SandboxService:
    """Implements `desktop.core.ports.Sandbox`. Safe to use from one event loop at a time."""

    def __init__(self, settings: Callable[[], SandboxSettings], paths: Paths) -> None:
        self._settings = settings
        self._paths = paths
        self._known: tuple[float, Any] | None = None  # when, and DockerSandbox or None
        self._closing: set[asyncio.Task[None]] = set()

    # ---- the protocol --------------------------------------------------------------------------------------------

    def check(self, source: bytes) -> Verdict:
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

    async def _docker(self) -> Any:
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
        facts = await asyncio.to_thread(docker.image_facts, image)
        if facts is None:
            return None, f"Docker answers, but the image {image} has not been built."
        engine = docker.engine
        detail = f"Docker {engine.version} at {engine.url}, image {image}"
        return IsolationChoice("docker", False, detail, {"found_by": engine.found_by, **facts}), ""

    def _os_choice(self) -> IsolationChoice | None:
        if bubblewrap.version():
            return bubblewrap.choice(find_interpreter(self._settings().python))
        if seatbelt.is_available():
            return seatbelt.choice(find_interpreter(self._settings().python))
        return None

    async def _run_docker(self, spec: RunSpec, choice: IsolationChoice, on_line: Callable[[str], None]) -> RunOutcome:
        docker = await self._docker()
        wanted = ContainerSpec.for_limits(self._settings().image, spec.limits)
        opening = asyncio.create_task(asyncio.to_thread(docker.open_slot, wanted))
        try:
            slot = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(lambda task: self._close_later(docker, task.result()))
            raise
        try:
            outcome: RunOutcome = await docker.run(spec, slot, choice, on_line)
            return outcome
        finally:
            self._close_later(docker, slot)

    def _close_later(self, docker: Any, slot: Any) -> None:
        task = asyncio.get_running_loop().create_task(asyncio.to_thread(docker.close_slot, slot))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def aclose(self) -> None:
        """Wait until every container of past runs is removed."""
        while self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)

    async def reconcile(self) -> list[str]:
        """Remove containers and volumes that a crash left; returns their names. For the start of the application."""
        docker = await self._docker()
        return [] if docker is None else list(await asyncio.to_thread(docker.reconcile))
