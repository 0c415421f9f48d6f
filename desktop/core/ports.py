"""What a job is given, as protocols: the store, the net, the sandbox, and the context that carries them.

Studios see these types only. The objects behind them are built in `app.py` and handed down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from desktop.core.clock import Clock
from desktop.core.models import Models
from desktop.core.paths import Paths

if TYPE_CHECKING:
    import sqlite_utils

T = TypeVar("T")

# ---- sandbox -----------------------------------------------------------------------------------------------------

Isolation = Literal["docker", "os", "process"]
IsolationWish = Literal["auto", "docker", "os", "process"]
Origin = Literal["template", "person", "model"]  # who wrote the script: only "template" may run as a plain process
RunStatus = Literal["ok", "failed", "timeout", "out_of_memory", "refused", "engine_lost", "cancelled"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One refusal of the policy: which rule, where (1-based line, 0-based column), what to write instead."""

    rule: str
    line: int
    column: int
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says about a script's bytes. `sha256` names the bytes it was given for."""

    allowed: bool
    findings: tuple[Finding, ...] = ()
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one sandboxed run may use."""

    wall_s: float = 1800.0
    memory_mb: int = 4096
    cpus: float = 2.0
    pids: int = 128
    output_bytes: int = 256 * 1024 * 1024
    output_entries: int = 2000
    log_bytes: int = 1024 * 1024


@dataclass(frozen=True, slots=True)
class IsolationChoice:
    """Which isolation a run gets and why. `is_reduced` is shown in the window, the report and the manifest."""

    kind: Isolation
    is_reduced: bool
    detail: str  # "Docker 28.2 at unix:///…, image benchtop-sandbox:1", "bubblewrap 0.8", "child process with limits"
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One script to run in isolation.

    script      the validated bytes; placed as `analysis.py` beside a read-only copy of `input_dir`'s files
    input_dir   regular files only; seen read-only by the script in the folder of its own `__file__`
    output_dir  where collected outputs land (made by one rename); must not exist yet.
                The script writes to its current working directory.
    origin      who wrote it; decides which isolation may be used
    verdict     the policy's answer, when it was asked for before; one about other bytes is not taken
    """

    run_id: str
    script: bytes
    input_dir: Path
    output_dir: Path
    origin: Origin
    isolation: IsolationWish = "auto"
    limits: Limits = Limits()
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A collected output: its path relative to the output folder, size and hash."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How a run ended: decided by exit code, memory flag, clock and outputs, never by what was printed."""

    status: RunStatus
    exit_code: int | None
    wall_s: float
    isolation: IsolationChoice
    outputs: tuple[OutputFile, ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()  # (name, reason)
    log: str = ""
    log_truncated: bool = False


@dataclass(frozen=True, slots=True)
class ProofStep:
    """One thing that was tried on the sandbox and must not have worked."""

    name: str
    passed: bool
    detail: str = ""


class Sandbox(Protocol):
    """Checks and runs scripts nobody has to trust."""

    @property
    def check(self) -> Callable[[bytes], Verdict]:
        """What the policy says of bytes; never raises. A module-level function: `ctx.cpu` can take it."""

    async def choose(self, wish: IsolationWish, origin: Origin) -> IsolationChoice:
        """The isolation a run would get now. Raises NoSandboxError when there is none this origin may use."""

    async def run(self, spec: RunSpec, *, on_line: Callable[[str], None]) -> RunOutcome:
        """Run to the end; `on_line` gets each log line as it comes. Cancel the task to kill the run at once."""

    def stay_warm(self) -> None:
        """Keep something ready between runs, so that the next starts at once: for a window, not for one command."""

    async def aclose(self) -> None:
        """Release what was kept ready, and wait until what past runs used is gone."""

    async def status(self) -> dict[str, Any]:
        """What is in force and what is missing, as JSON values; see `benchtop sandbox status --json`."""

    async def build_image(self, *, base: str = "", on_line: Callable[[str], None]) -> str:
        """Build the image scripts run in; returns its id. Raises NoSandboxError, RunFailedError."""

    async def self_test(
        self, wish: IsolationWish = "auto", *, on_step: Callable[[ProofStep], None] | None = None
    ) -> tuple[IsolationChoice, list[ProofStep]]:
        """Try on this machine what must not work; every step must have passed. Raises NoSandboxError."""


# ---- net ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file from the net or the cache. `path` is inside the content cache and must not be changed."""

    url: str
    path: Path
    sha256: str
    bytes: int
    fetched_s: float
    from_cache: bool
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave for a library to make its own connections to one destination.

    base_url  of the destination's service      domains  the hosts it may be sent on to
    secret    the person's key, if there is one; never to be logged
    """

    base_url: str
    domains: tuple[str, ...]
    secret: str | None = field(default=None, repr=False)


class Net(Protocol):
    """The only way out. Every destination needs the person's consent; everything fetched is cached by content."""

    async def fetch(
        self,
        url: str,
        *,
        destination: str,
        max_bytes: int = 2**31,
        refresh: bool = False,
        on_progress: Callable[[int, int | None], None] | None = None,
        allow: bool = False,
        page: bool = False,
    ) -> Fetched:
        """Fetch a file (or answer from the cache). Raises typed AppErrors of `desktop.net.errors`.

        allow    the person's consent for this one call
        refresh  ask the server whether the cached copy is still good; without it the cache answers at once
        page     a web page is what is wanted; otherwise HTML where data was expected is an error
        """

    async def permit(self, paths: Sequence[str], *, destination: str, allow: bool = False) -> Permit:
        """Leave for a library that makes its own connections, to fetch `paths` below the destination's base address.

        One row of the audit trail for each path is written before this returns. Raises ConsentNeededError.
        """


# ---- secrets -----------------------------------------------------------------------------------------------------


class Secrets(Protocol):
    """Secrets by name; values live in the operating system's keychain and nowhere else."""

    def get(self, name: str) -> str | None:
        """The value, or None when there is none or no keychain."""

    def set(self, name: str, value: str) -> None:
        """Store a value; raises an AppError where there is no keychain."""

    def delete(self, name: str) -> None:
        """Forget a value; harmless when there is none."""


# ---- store -------------------------------------------------------------------------------------------------------


class Store(Protocol):
    """One writer, many readers. SQL belongs in `store` and in a studio's `repo`."""

    async def write(self, change: Callable[[sqlite_utils.Database], T]) -> T:
        """Run `change` in one transaction on the writer's thread; returns once it is durable."""

    def read(self, sql: str, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
        """Rows of a query on this thread's own read-only connection."""


# ---- a job's context ---------------------------------------------------------------------------------------------


class JobContext(Protocol):
    """What `async def run_x(ctx, params)` is given. Cancel arrives as asyncio.CancelledError; there are no flags."""

    job_id: str
    project: str
    paths: Paths
    clock: Clock
    store: Store
    net: Net
    sandbox: Sandbox
    models: Models

    def settings(self, studio: str) -> Any:
        """The validated settings of a studio, as they are now (an instance of its settings schema)."""

    def step(self, name: str, *, upto: float) -> AbstractContextManager[None]:
        """A named step; while it runs progress moves to `upto` (0..1) of the whole. A span in the trace."""

    def progress(self, done_frac: float, note: str = "") -> None:
        """Progress within the current step, 0..1. Cheap; published at most ten times a second."""

    def log(self, line: str) -> None:
        """A line for the job's log."""

    def warn(self, text: str) -> None:
        """Something the person must see beside the result; kept with the job."""

    async def decide(self, what: str, *, by: str, because: str, inputs: Mapping[str, str] | None = None) -> None:
        """One row of the audit trail: what was decided, by which rule, model or person, on which input hashes."""

    async def cpu(self, fn: Callable[..., T], /, *args: Any) -> T:
        """Run a module-level function in a child process. Cancelling kills the child."""

    async def aside(self, fn: Callable[..., T], /, *args: Any) -> T:
        """`cpu` for what takes long and mostly waits, such as a download: it takes nobody's place in the cpu lane."""

    async def io(self, fn: Callable[..., T], /, *args: Any) -> T:
        """Run a short blocking function in a thread."""

    def part(self, name: str, on_progress: Callable[[float, str], None]) -> JobContext:
        """The same ports for one of several runs inside this job; its `job_id` is this one's with `name` added.

        Its steps and progress go to `on_progress` (0..1 of the part, what it does now), its log lines bear its name,
        and its warnings are log lines too.
        """
