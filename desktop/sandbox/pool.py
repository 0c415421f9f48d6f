"""Keeps containers started and empty, so that a run finds one ready. Each is used once and then removed."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace

from desktop.core.errors import NoSandboxError
from desktop.sandbox.container import ContainerSpec
from desktop.sandbox.docker import DockerSandbox, Slot


def _kind(spec: ContainerSpec) -> ContainerSpec:
    return replace(spec, input_volume="", output_volume="")


class WarmPool:
    """At most `size` waiting containers, all of the kind asked for last. Thread-safe; every method may block."""

    def __init__(self, sandbox: DockerSandbox, size: int) -> None:
        self._sandbox = sandbox
        self._size = size
        self._ready: list[Slot] = []
        self._lock = threading.Lock()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._ready)

    def take(self, spec: ContainerSpec) -> Slot:
        """A started container of this kind: a waiting one that still runs, or a new one."""
        while True:
            with self._lock:
                slot = next((s for s in self._ready if _kind(s.spec) == _kind(spec)), None)
                if slot is not None:
                    self._ready.remove(slot)
            if slot is None:
                return self._sandbox.open_slot(spec)
            if self._sandbox.is_ready(slot):
                return slot
            self._sandbox.close_slot(slot)

    def fill(self, spec: ContainerSpec | None) -> None:
        """Bring the number of waiting containers of this kind to `size`; those of other kinds go, for None all."""
        with self._lock:
            others = [s for s in self._ready if spec is None or _kind(s.spec) != _kind(spec)]
            self._ready = [s for s in self._ready if s not in others]
            missing = 0 if self._is_closed else self._size - len(self._ready)
        for slot in others:
            self._sandbox.close_slot(slot)
        if spec is None:
            return
        for _ in range(missing):
            with contextlib.suppress(NoSandboxError):
                slot = self._sandbox.open_slot(spec, is_ahead=True)
                with self._lock:
                    if not self._is_closed and len(self._ready) < self._size:
                        self._ready.append(slot)
                        continue
                self._sandbox.close_slot(slot)

    def close(self) -> None:
        """Remove every waiting container; none is kept from now on."""
        with self._lock:
            self._is_closed = True
            slots, self._ready = self._ready, []
        for slot in slots:
            self._sandbox.close_slot(slot)
