"""What `app.py` hands to the command line, so that it can open the house without knowing how it is built."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from desktop.core.models import ModelRoom
    from desktop.core.paths import Paths
    from desktop.workers.workbench import Workbench


class OpenBench(Protocol):
    """Opens the workbench for one command and closes it on leaving."""

    def __call__(self, *, may_stand_beside: bool = False, start: bool = True) -> AbstractContextManager[Bench]:
        """may_stand_beside: with another Benchtop open, use a throw-away store instead of raising StoreInUseError."""


class MakeApi(Protocol):
    """Serves the local API until cancelled."""

    def __call__(
        self, models: ModelRoom, *, port: int, token: str, on_ready: Callable[[str], None]
    ) -> Coroutine[Any, Any, None]:
        """on_ready gets the address. Raises BusyPortError."""


@dataclass(frozen=True, slots=True)
class Bench:
    """An open workbench. `is_beside`: its store is thrown away afterwards, since another Benchtop has the real one."""

    workbench: Workbench
    is_beside: bool


@dataclass(frozen=True, slots=True)
class House:
    """The doors of the house.

    open_bench    the workbench, for commands that run jobs
    open_reader   the same with its store read only and its runtime at rest; None when there is no store yet
    open_sandbox  the sandbox alone, without a store
    open_window   the window, on results or data; returns its exit code
    make_api      the local API over the models, to be run on the runtime's loop
    """

    paths: Paths
    open_bench: OpenBench
    open_reader: Callable[[], AbstractContextManager[Workbench | None]]
    open_sandbox: Callable[[], Any]
    open_window: Callable[[Sequence[str]], int]
    make_api: MakeApi
