"""Runs a script in a hardened container, over the Docker SDK.

A container is made, its process 1 only holds it open; the script is a second process the engine starts in it (see
`execution`), so its exit code comes from the engine, and the sized output volume can be read, paused, while the
container still lives. The input is copied into a volume that the container sees read-only.
The wall clock is ours. Every container and volume carries labels by which a later start finds what a crash left.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker
import docker.errors
import psutil

from desktop.core.errors import NoSandboxError
from desktop.core.ports import IsolationChoice, RunOutcome, RunSpec, RunStatus
from desktop.sandbox.container import LABEL, LAUNCHER_MARK, ContainerSpec, image_marks, launch_word
from desktop.sandbox.engine import Engine
from desktop.sandbox.execution import PYTHON, Ended, EngineLostError, EngineTrouble, Execution, Lost
from desktop.sandbox.filling import Filling
from desktop.sandbox.logtap import LogTap
from desktop.sandbox.outputs import Collected, collect_tar

_log = logging.getLogger(__name__)
_FILLER = "-in"
_FREEZE_S = 0.5
_in_use: set[str] = set()  # names of this process's open containers; set operations are atomic


def owner_mark() -> str:
    """This process, told apart from another that gets its number later."""
    return f"{os.getpid()}:{psutil.Process().create_time():.0f}"


def is_alive(owner: str) -> bool:
    """Whether the process an `owner_mark` names still runs."""
    number, _, born = owner.partition(":")
    try:
        return f"{psutil.Process(int(number)).create_time():.0f}" == born
    except (ValueError, psutil.Error):
        return False


def home_mark(home: Path) -> str:
    """Tells the containers of one data folder from those of another."""
    return hashlib.sha256(str(home).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Slot:
    """A started container with no input yet, and the interpreter that waits in it. Used once."""

    name: str  # of the container and its output volume; the input volume and its filler are called name-in
    spec: ContainerSpec
    filling: Filling
    execution: Execution


class DockerSandbox:
    """Containers on one engine, for one data folder."""

    def __init__(self, engine: Engine, scratch: Path, home: Path) -> None:
        self.engine = engine
        self._scratch = scratch
        self._labels = {LABEL: "1", f"{LABEL}.home": home_mark(home), f"{LABEL}.owner": owner_mark()}

    @contextlib.contextmanager
    def _client(self, timeout_s: int | None = 30) -> Iterator[docker.APIClient]:
        client = self.engine.client(timeout_s)
        try:
            yield client
        finally:
            client.close()

    def image_facts(self, image: str) -> dict[str, str] | None:
        """What is known of an image: id, architecture, and `age`; None when the engine has no such image.

        age is "" for an image of this Benchtop, "older" for one with other packages, and "unusable" for one whose
        launcher is not this Benchtop's.
        """
        try:
            with self._client(10) as client:
                found = client.inspect_image(image)  # type: ignore[no-untyped-call]
        except EngineTrouble:
            return None
        labels, wanted = (found.get("Config") or {}).get("Labels") or {}, image_marks()
        age = "" if wanted.items() <= labels.items() else "older"
        if labels.get(LAUNCHER_MARK) != wanted[LAUNCHER_MARK]:
            age = "unusable"
        return {"image_id": str(found["Id"])[:19], "architecture": str(found["Architecture"]), "age": age}

    # ---- containers ------------------------------------------------------------------------------------------------

    def open_slot(self, spec: ContainerSpec, *, is_ahead: bool = False) -> Slot:
        """Make and start a container whose interpreter waits. Blocks about 0.3 s; leaves nothing when it fails.

        is_ahead    no run waits for it yet: do more now, so that the run is faster
        """
        name = f"benchtop-{uuid.uuid4().hex[:12]}"
        spec = replace(spec, input_volume=_filler(name), output_volume=name)
        labels = {**self._labels, **dict(spec.labels)}
        filling: Filling | None = None
        _in_use.add(name)
        try:
            with self._client() as client:
                client.create_volume(name, driver="local", driver_opts=spec.volume_options(), labels=labels)
                client.create_volume(_filler(name), driver="local", labels=labels)
                filling = Filling.make(self.engine, client, spec, _filler(name), labels, ahead=is_ahead)
                client.create_container(
                    spec.image,
                    [*PYTHON, "hold", launch_word(spec.launch_limits())],
                    name=name,
                    user=spec.user,
                    environment=dict(spec.environment),
                    working_dir="/output",
                    labels=labels,
                    entrypoint=[],
                    network_disabled=spec.network == "none",
                    host_config=client.create_host_config(**spec.host_config()),
                )
                client.start(name)
            execution = Execution(self.engine, name, extra_filter=spec.extra_filter)
            return Slot(name, spec, filling, execution)
        except EngineTrouble as error:
            if filling is not None:
                filling.close()
            self._remove(name)
            message = f"The Docker engine did not start a container: {_explain(error)}"
            raise NoSandboxError(message, hint="Run “benchtop sandbox status” to see what is missing.") from error

    def is_ready(self, slot: Slot) -> bool:
        """Whether it still waits (a restarted engine, a sleep, or somebody else, may have ended it)."""
        return slot.execution.is_waiting()

    def kill(self, slot: Slot) -> None:
        """End everything in the container at once. An engine that is gone, or a container that is, is no error."""
        with contextlib.suppress(*EngineTrouble), self._client(10) as client:
            client.kill(slot.name)

    def close_slot(self, slot: Slot) -> None:
        """Remove containers and volumes. What an absent engine keeps, `reconcile` removes later."""
        slot.filling.close()
        slot.execution.close()
        self._remove(slot.name)

    def _remove(self, name: str) -> None:
        _in_use.discard(name)
        try:
            with self._client(10) as client:
                _remove(client, name)
        except EngineTrouble as error:
            _log.warning("container %s is left for the next start: %s", name, _explain(error))

    # ---- one run -----------------------------------------------------------------------------------------------------

    async def run(
        self, run: RunSpec, slot: Slot, choice: IsolationChoice, on_line: Callable[[str], None]
    ) -> RunOutcome:
        """Run the script in `slot`; cancelling kills it at once. The slot is not closed here."""
        tap = LogTap(run.limits.log_bytes)
        started, ended, is_timeout, status = time.monotonic(), Ended(None, False), False, None
        pump = asyncio.create_task(tap.pump(on_line))
        work: asyncio.Task[Any] = asyncio.create_task(
            asyncio.to_thread(slot.filling.fill, run.script, run.input_dir, self._scratch)
        )
        collected = Collected()
        try:
            await asyncio.shield(work)
            work, started = asyncio.create_task(asyncio.to_thread(slot.execution.run, tap.feed)), time.monotonic()
            done, _ = await asyncio.wait({work}, timeout=run.limits.wall_s)
            is_timeout = not done
            if done:
                ended = work.result()
            is_frozen = await asyncio.to_thread(self._freeze, slot)
            wall_s = time.monotonic() - started
            status = _status(ended, is_timeout)
            if not is_frozen:
                collected = Collected(dropped=(("…", "the container ended before its outputs were collected"),))
            elif status != "engine_lost":
                collected = await asyncio.to_thread(self._collect, slot, run)
        except EngineLostError:
            status, wall_s = "engine_lost", time.monotonic() - started
        finally:
            pump.cancel()
            if not work.done():
                await asyncio.shield(asyncio.to_thread(self.kill, slot))
                await asyncio.wait({work})
            if not work.cancelled():
                work.exception()  # known by now, or of no interest after a stop
        tap.end()
        await tap.flush(on_line)
        return RunOutcome(
            status=status,
            exit_code=ended.exit_code if status in ("ok", "failed", "out_of_memory") else None,
            wall_s=wall_s,
            isolation=choice,
            outputs=collected.outputs,
            dropped=collected.dropped,
            log=tap.text(),
            log_truncated=tap.is_truncated,
        )

    def _freeze(self, slot: Slot) -> bool:
        """Stop everything in the container where it is; False when it has ended, and its outputs with it.

        The kernel may fail to stop what forks without end; what is not stopped within a moment is killed.
        """
        try:
            with self._client() as client:
                give_up = time.monotonic() + _FREEZE_S
                while time.monotonic() < give_up:  # one try takes up to a second; a killed run loses its outputs
                    try:
                        client.pause(slot.name)
                    except docker.errors.APIError as error:
                        if error.status_code == 409:
                            return False
                        _log.warning("container %s could not be paused: %s", slot.name, _explain(error))
                    else:
                        return True
                with contextlib.suppress(docker.errors.APIError):  # it may have ended by now
                    client.kill(slot.name)
        except EngineTrouble as error:
            raise EngineLostError from error
        return False

    def _collect(self, slot: Slot, run: RunSpec) -> Collected:
        """Take the outputs of a frozen container out through the engine."""
        try:
            with self._client() as client:
                address = f"{client.base_url}/v{self.engine.api}/containers/{slot.name}/archive"
                # as a plain request: the SDK's own get_archive cannot be ended before its end
                with client.get(address, params={"path": "/output"}, stream=True, timeout=30) as answer:
                    answer.raise_for_status()
                    return collect_tar(_Stream(answer.iter_content(1 << 20)), run.output_dir, run.limits)
        except Lost as error:
            raise EngineLostError from error

    # ---- what a crash left ---------------------------------------------------------------------------------------

    def leftovers(self) -> list[str]:
        """Names of this data folder's containers and volumes whose run is over or whose owner is gone."""
        filters = {"label": [f"{LABEL}.home={self._labels[f'{LABEL}.home']}"]}
        owners: dict[str, str] = {}  # containers and volumes of one run share its name
        with self._client() as client:
            for volume in client.volumes(filters=filters)["Volumes"] or []:
                owners[volume["Name"].removesuffix(_FILLER)] = (volume["Labels"] or {}).get(f"{LABEL}.owner", "")
            for container in client.containers(all=True, filters=filters):
                owners[container["Names"][0].lstrip("/").removesuffix(_FILLER)] = container["Labels"].get(
                    f"{LABEL}.owner", ""
                )
        mine = self._labels[f"{LABEL}.owner"]
        return sorted(n for n, o in owners.items() if (n not in _in_use if o == mine else not is_alive(o)))

    def reconcile(self) -> list[str]:
        """Remove what a crash of this application or of the engine left; returns the names."""
        left = self.leftovers()
        with self._client() as client:
            for name in left:
                _remove(client, name)
        return left


class _Stream:
    """Chunks as a file to read from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def read(self, size: int, /) -> bytes:
        if not self._rest:
            self._rest = next(self._chunks, b"")
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


def _status(ended: Ended, is_timeout: bool) -> RunStatus:
    if is_timeout:
        return "timeout"
    if ended.exit_code is None and not ended.is_oom:
        return "engine_lost"
    if ended.is_oom:
        return "out_of_memory"
    return "ok" if ended.exit_code == 0 else "failed"


def _filler(name: str) -> str:
    return f"{name}{_FILLER}"


def _remove(client: docker.APIClient, name: str) -> None:
    for container in (name, _filler(name)):
        with contextlib.suppress(docker.errors.NotFound):
            client.remove_container(container, force=True, v=True)
    for volume in (name, _filler(name)):
        with contextlib.suppress(docker.errors.NotFound):
            client.remove_volume(volume, force=True)


def _explain(error: BaseException) -> str:
    return str(getattr(error, "explanation", None) or error)[:300]
