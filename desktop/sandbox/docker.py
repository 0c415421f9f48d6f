"""Runs a script in a hardened container, over the Docker SDK.

A container is made, its process 1 only holds it open; the script is a second process the engine starts in it, so its
exit code comes from the engine, and the sized output volume can be read, paused, while the container still lives.
The wall clock is ours. Every container and volume carries labels by which a later start finds what a crash left.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker
import docker.errors
import psutil
import requests
import urllib3
from docker.utils.socket import frames_iter

from desktop.core.errors import NoSandboxError
from desktop.core.ports import IsolationChoice, RunOutcome, RunSpec, RunStatus
from desktop.sandbox.container import LABEL, LAUNCHER, ContainerSpec, launch_word
from desktop.sandbox.engine import Engine
from desktop.sandbox.logtap import LogTap
from desktop.sandbox.outputs import Collected, collect_tar
from desktop.sandbox.staging import stage_input

_log = logging.getLogger(__name__)
_PYTHON = ["python", "-I", "-S", "-B", LAUNCHER]
_SCRIPT = ["python", "-I", "-B", "-u", "/input/analysis.py"]
_Lost = (docker.errors.DockerException, requests.exceptions.RequestException, urllib3.exceptions.HTTPError)
EngineTrouble = (*_Lost, OSError)
_in_use: set[str] = set()  # names of this process's open containers; set operations are atomic


class _EngineLostError(Exception):
    """The engine went away under a run."""


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
    """A started container whose input folder is still empty. Used once."""

    container: str
    volume: str
    folder: Path
    spec: ContainerSpec

    @property
    def input_dir(self) -> Path:
        return self.folder / "input"


@dataclass(frozen=True, slots=True)
class _Ended:
    exit_code: int | None
    is_oom: bool


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
        """What is known of an image: its id and architecture; None when the engine has no such image."""
        try:
            with self._client(10) as client:
                found = client.inspect_image(image)  # type: ignore[no-untyped-call]
        except EngineTrouble:
            return None
        return {"image_id": str(found["Id"])[:19], "architecture": str(found["Architecture"])}

    # ---- containers ------------------------------------------------------------------------------------------------

    def open_slot(self, spec: ContainerSpec) -> Slot:
        """Make and start a container with an empty input folder. Blocks about 0.2 s; leaves nothing when it fails."""
        mark = uuid.uuid4().hex[:12]
        name = f"benchtop-{mark}"
        folder = self._scratch / f"slot-{mark}"
        (folder / "input").mkdir(parents=True)
        folder.chmod(0o755)
        spec = replace(spec, input_dir=str(folder / "input"), output_volume=name)
        labels = {**self._labels, **dict(spec.labels)}
        slot = Slot(name, name, folder, spec)
        _in_use.add(name)
        try:
            with self._client() as client:
                client.create_volume(name, driver="local", driver_opts=spec.volume_options(), labels=labels)
                client.create_container(
                    spec.image,
                    [*_PYTHON, "hold", launch_word(spec.launch_limits())],
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
        except EngineTrouble as error:
            self.close_slot(slot)
            message = f"The Docker engine did not start a container: {_explain(error)}"
            raise NoSandboxError(message, hint="Run “benchtop sandbox status” to see what is missing.") from error
        return slot

    def is_running(self, slot: Slot) -> bool:
        """Whether the container still lives (a restarted engine, or somebody else, may have ended it)."""
        try:
            with self._client(10) as client:
                return bool(client.inspect_container(slot.container)["State"]["Running"])
        except EngineTrouble:
            return False

    def kill(self, slot: Slot) -> None:
        """End everything in the container at once. An engine that is gone, or a container that is, is no error."""
        with contextlib.suppress(*EngineTrouble), self._client(10) as client:
            client.kill(slot.container)

    def close_slot(self, slot: Slot) -> None:
        """Remove container, volume and folder. What an absent engine keeps, `reconcile` removes later."""
        _in_use.discard(slot.container)
        try:
            with self._client() as client:
                _remove(client, slot.container, slot.volume)
        except EngineTrouble as error:
            _log.warning("container %s is left for the next start: %s", slot.container, _explain(error))
        shutil.rmtree(slot.folder, ignore_errors=True)

    # ---- one run -----------------------------------------------------------------------------------------------------

    async def run(
        self, run: RunSpec, slot: Slot, choice: IsolationChoice, on_line: Callable[[str], None]
    ) -> RunOutcome:
        """Run the script in `slot`; cancelling kills it at once. The slot is not closed here."""
        tap = LogTap(run.limits.log_bytes)
        await asyncio.to_thread(stage_input, run.script, run.input_dir, slot.input_dir)
        started = time.monotonic()
        pump = asyncio.create_task(tap.pump(on_line))
        execution = asyncio.create_task(asyncio.to_thread(self._execute, slot, tap))
        is_timeout, ended, lost = False, _Ended(None, False), False
        try:
            done, _ = await asyncio.wait({execution}, timeout=run.limits.wall_s)
            if not done:
                is_timeout = True
                await asyncio.to_thread(self.kill, slot)
            ended = await execution
        except _EngineLostError:
            lost = not is_timeout
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.to_thread(self.kill, slot))
            with contextlib.suppress(_EngineLostError):
                await asyncio.shield(execution)
            raise
        finally:
            pump.cancel()
        wall_s = time.monotonic() - started
        tap.end()
        await tap.flush(on_line)
        collected, status = Collected(), _status(ended, is_timeout, lost)
        if status in ("ok", "failed"):
            try:
                collected = await asyncio.to_thread(self._collect, slot, run)
            except _EngineLostError:
                status = "engine_lost"
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

    def _execute(self, slot: Slot, tap: LogTap) -> _Ended:
        """Start the script and wait for its end. Raises _EngineLostError."""
        limits = {"filter": slot.spec.extra_filter, "oom_first": True}
        command = [*_PYTHON, "run", launch_word(limits), "--", *_SCRIPT]
        stream_over = threading.Event()
        try:
            with self._client() as control, self._client(None) as stream:
                job = str(control.exec_create(slot.container, command, workdir="/output")["Id"])
                log = _Output(stream, job)

                def read() -> None:
                    with contextlib.suppress(*EngineTrouble, ValueError):
                        for chunk in log.chunks():
                            tap.feed(chunk)
                    stream_over.set()

                reader = threading.Thread(target=read, name=f"log-{slot.container}", daemon=True)
                reader.start()
                pause_s = 0.05
                while not stream_over.wait(pause_s) and control.exec_inspect(job)["Running"] is not False:
                    pause_s = min(0.5, pause_s * 1.5)
                stream_over.wait(0.3)  # a child that holds the log open does not hold the run open
                log.end()
                reader.join(2)
                log.close()
                exit_code = self._exit_code(control, job)
                is_oom = exit_code not in (0, None) and self._oom_kills(control, slot) > 0
                return _Ended(exit_code, is_oom)
        except EngineTrouble as error:
            raise _EngineLostError from error

    def _exit_code(self, client: docker.APIClient, job: str) -> int | None:
        for _ in range(40):  # the stream may end a moment before the engine has noted the exit
            state = client.exec_inspect(job)
            if state["Running"] is False:
                return None if state["ExitCode"] is None else int(state["ExitCode"])
            time.sleep(0.05)
        return None

    def _oom_kills(self, client: docker.APIClient, slot: Slot) -> int:
        state = client.inspect_container(slot.container)["State"]
        if not state["Running"]:
            return int(bool(state["OOMKilled"]))
        job = str(client.exec_create(slot.container, [*_PYTHON, "oom"])["Id"])
        output = _Output(client, job)
        for _ in output.chunks():
            pass
        output.close()
        return self._exit_code(client, job) or 0

    def _collect(self, slot: Slot, run: RunSpec) -> Collected:
        """Freeze what still runs, then take the outputs out through the engine."""
        try:
            with self._client() as client:
                try:
                    client.pause(slot.container)
                except docker.errors.APIError as error:
                    if error.status_code != 409:  # it has ended, and its memory file system with it
                        raise
                    return Collected(dropped=(("…", "the container ended before its outputs were collected"),))
                address = f"{client.base_url}/v{self.engine.api}/containers/{slot.container}/archive"
                # as a plain request: the SDK's own get_archive cannot be ended before its end
                with client.get(address, params={"path": "/output"}, stream=True, timeout=30) as answer:
                    answer.raise_for_status()
                    return collect_tar(_Stream(answer.iter_content(1 << 20)), run.output_dir, run.limits)
        except _Lost as error:
            raise _EngineLostError from error

    # ---- what a crash left ---------------------------------------------------------------------------------------

    def leftovers(self) -> list[str]:
        """Names of this data folder's containers and volumes whose run is over or whose owner is gone."""
        filters = {"label": [f"{LABEL}.home={self._labels[f'{LABEL}.home']}"]}
        owners: dict[str, str] = {}  # a container and its volume have the same name
        with self._client() as client:
            for volume in client.volumes(filters=filters)["Volumes"] or []:
                owners[volume["Name"]] = (volume["Labels"] or {}).get(f"{LABEL}.owner", "")
            for container in client.containers(all=True, filters=filters):
                owners[container["Names"][0].lstrip("/")] = container["Labels"].get(f"{LABEL}.owner", "")
        mine = self._labels[f"{LABEL}.owner"]
        return sorted(n for n, o in owners.items() if (n not in _in_use if o == mine else not is_alive(o)))

    def reconcile(self) -> list[str]:
        """Remove what a crash of this application or of the engine left; returns the names."""
        left = self.leftovers()
        with self._client() as client:
            for name in left:
                _remove(client, name, name)
        return left


class _Output:
    """What a program started in a container writes. `end` wakes a reader in another thread; `close` frees."""

    def __init__(self, client: docker.APIClient, job: str) -> None:
        self._stream: Any = client.exec_start(job, socket=True)
        self._socket: Any = getattr(self._stream, "_sock", self._stream)

    def chunks(self) -> Iterator[bytes]:
        for _, data in frames_iter(self._stream, tty=False):  # type: ignore[no-untyped-call]
            yield data

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.end()
        self._stream._response.close()  # closes the stream and gives the connection up


class _Stream:
    """Chunks as a file to read from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def read(self, size: int, /) -> bytes:
        if not self._rest:
            self._rest = next(self._chunks, b"")
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


def _status(ended: _Ended, is_timeout: bool, is_lost: bool) -> RunStatus:
    if is_timeout:
        return "timeout"
    if is_lost or (ended.exit_code is None and not ended.is_oom):
        return "engine_lost"
    if ended.is_oom:
        return "out_of_memory"
    return "ok" if ended.exit_code == 0 else "failed"


def _remove(client: docker.APIClient, container: str, volume: str) -> None:
    with contextlib.suppress(docker.errors.NotFound):
        client.remove_container(container, force=True, v=True)
    with contextlib.suppress(docker.errors.NotFound):
        client.remove_volume(volume, force=True)


def _explain(error: BaseException) -> str:
    return str(getattr(error, "explanation", None) or error)[:300]
