"""Composition root: builds every object and hands it down; the only wiring in the program.

Its own imports are light, because the window's first paint and `benchtop --help` come through here.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desktop.core.paths import Paths

if TYPE_CHECKING:
    from desktop.cli.house import Bench
    from desktop.core.clock import Clock
    from desktop.core.config import SettingsStore
    from desktop.core.models import EngineName, ModelRoom
    from desktop.engines.engine import Engine
    from desktop.engines.fleet import LocalFleet
    from desktop.engines.slots import MemoryEvent
    from desktop.gateway.gateway import Gateway
    from desktop.net.http import Departure, HttpNet
    from desktop.net.secrets import Redactor, Secrets
    from desktop.sandbox.service import SandboxService
    from desktop.store.db import Database
    from desktop.workers.workbench import Workbench


def main(argv: Sequence[str]) -> int:
    """Without arguments, or on files and folders, the window; otherwise the command line. Returns the exit code."""
    if all(map(_is_data, argv)):
        return run_window(argv)
    if list(argv) == ["--self-test"]:
        return self_test()
    from desktop.cli import run
    from desktop.cli.house import House

    paths = Paths.default()
    with _logging(paths) as redactor:
        house = House(
            paths=paths,
            open_bench=functools.partial(_open_bench, paths, redactor),
            open_reader=functools.partial(_open_reader, paths),
            open_sandbox=functools.partial(_open_sandbox, paths),
            open_window=functools.partial(_show_window, redactor),
            make_api=_make_api,
        )
        return run(argv, house)


def _is_data(argument: str) -> bool:
    """Whether it is the path of something that is there; a bare word is a command."""
    return ("/" in argument or "." in argument) and Path(argument).expanduser().exists()


def run_window(argv: Sequence[str]) -> int:
    """Open the window on `argv` (files, folders, accessions)."""
    import os
    import sys

    from desktop.core.errors import AppError

    try:
        if sys.platform == "linux" and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))):
            raise AppError(
                "There is no display to open a window on.", hint="benchtop --help shows what the command line can do."
            )
        with contextlib.ExitStack() as stack:

            def build_with_log() -> Workbench:  # after the first paint: logging takes 10 ms to import
                return build(redactor=stack.enter_context(_logging(Paths.default())))

            from desktop.ui.main_window import open_window

            return open_window(build_with_log, list(argv))
    except OSError as fault:
        message = f"The data folder {Paths.default().home} cannot be used: {fault.strerror}."
        error = AppError(message, hint="Check its permissions, or set BENCHTOP_HOME to a folder you may write to.")
    except AppError as fault:
        error = fault
    from desktop.cli.output import print_error  # not before the first paint: it brings rich

    return print_error(error, as_json=False)


def self_test() -> int:
    """Whether this copy is whole: the window opens and fills, offscreen, in a throw-away data folder; scripts run.

    For packaged applications; prints one line and returns 0, or ends with the failure's own traceback.
    """
    import os
    import signal
    import subprocess
    import sys
    import threading

    with tempfile.TemporaryDirectory(prefix="benchtop-") as home:
        os.environ |= {"BENCHTOP_HOME": home, "QT_QPA_PLATFORM": "offscreen"}
        built: list[Workbench] = []

        def build_then_quit() -> Workbench:
            built.append(build())
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
            return built[0]

        from desktop.ui.main_window import open_window

        code = open_window(build_then_quit, [])
        stack = (
            "import numpy, scipy.stats, pandas, formulaic, matplotlib.backends.backend_svg, seaborn, statsmodels.api"
        )
        subprocess.run([sys.executable, "-I", "-c", stack], check=True, timeout=120)
        sys.stdout.write(f"self-test: window {'opened' if built else 'did not open'}, scripts have their libraries\n")
        return code if built else 1


def _show_window(redactor: Redactor, argv: Sequence[str]) -> int:
    from desktop.ui.main_window import open_window

    return open_window(functools.partial(build, redactor=redactor), list(argv))


def _make_api(
    models: ModelRoom, *, port: int, token: str, on_ready: Callable[[str], None]
) -> Coroutine[Any, Any, None]:
    from desktop.api.server import serve

    return serve(models, port=port, token=token, on_ready=on_ready)


def build(
    paths: Paths | None = None,
    *,
    settings_file: Path | None = None,
    redactor: Redactor | None = None,
    is_read_only: bool = False,
    start: bool = True,
) -> Workbench:
    """The headless half: settings, store, secrets, net, sandbox, job runtime. `close` it last.

    settings_file  read instead of the data folder's own
    is_read_only   for a second process: takes no lock, writes nothing
    start          whether the runtime begins to work off its queue
    raises         StoreInUseError, StoreNewerError, StoreForeignError, StoreUnwritableError, StoreFullError
    """
    from desktop.core.clock import SystemClock
    from desktop.core.config import SettingsStore
    from desktop.core.events import EventBus
    from desktop.core.jobs import resolve
    from desktop.engines.catalog import LOCAL_ENGINES
    from desktop.engines.host import is_runtime_here
    from desktop.net.cache import ContentCache
    from desktop.net.http import HttpNet
    from desktop.net.secrets import Redactor, Secrets
    from desktop.sandbox.service import SandboxService
    from desktop.store.db import Database
    from desktop.studios import jobs, studios
    from desktop.workers.doctor import checkups
    from desktop.workers.runtime import JobRuntime
    from desktop.workers.workbench import Workbench, settings_sections

    paths = paths or Paths.default()
    bus, clock = EventBus(), SystemClock()
    store = Database.open(
        paths.store,
        {studio.key: resolve(studio.migrations) for studio in studios()},
        backups_dir=paths.backups,
        bus=bus,
        clock=clock,
        is_read_only=is_read_only,
    )
    try:
        settings = SettingsStore(settings_file or paths.settings, settings_sections(studios()), bus)
        secrets = Secrets(redactor or Redactor())
        cache = ContentCache(paths.cache)
        net = HttpNet(
            cache,
            settings=functools.partial(settings.get, "net"),
            secrets=secrets,
            clock=clock,
            on_departure=functools.partial(_note_departure, store),
        )
        sandbox = SandboxService(functools.partial(settings.get, "sandbox"), paths)
        models = _make_models(paths, settings, store, net, secrets, clock)
        runtime = JobRuntime(
            store, jobs(), sandbox=sandbox, net=net, models=models, settings=settings, bus=bus, paths=paths, clock=clock
        )
        if start and not is_read_only:
            cache.forget_old_partials()
            runtime.start()
            _remove_leftovers(SandboxService(functools.partial(settings.get, "sandbox"), paths))
    except BaseException:
        store.close()
        raise
    return Workbench(
        paths=paths,
        bus=bus,
        settings=settings,
        store=store,
        runtime=runtime,
        sandbox=sandbox,
        net=net,
        models=models,
        secrets=secrets,
        doctor=functools.partial(
            checkups,
            paths=paths,
            store=store,
            settings=settings,
            sandbox=sandbox,
            secrets=secrets,
            cache=cache,
            runtimes=[name for name in LOCAL_ENGINES if is_runtime_here(name)],
        ),
    )


def _make_models(
    paths: Paths, settings: SettingsStore, store: Database, net: HttpNet, secrets: Secrets, clock: Clock
) -> Gateway:
    """The gateway over what can run here and the servers the person named; nothing is loaded or asked yet."""
    from desktop.core.paths import resources_dir
    from desktop.engines.power import is_on_battery
    from desktop.engines.rules import Rules
    from desktop.gateway.flags import Flags
    from desktop.gateway.gateway import Gateway
    from desktop.gateway.metrics import Metrics
    from desktop.gateway.roster import Roster
    from desktop.studios import studios

    metrics = Metrics()
    roster = Roster(
        fleet=_make_fleet(paths, settings, store, clock),
        outside=net,
        secret=secrets.get,
        settings=functools.partial(settings.get, "models"),
        servers=functools.partial(settings.get, "servers"),
        clock=clock,
        metrics=metrics,
    )
    return Gateway(
        roster,
        rules=Rules({kind: rule for studio in studios() for kind, rule in studio.rules.items()}),
        flags=Flags(resources_dir() / "config" / "gateway" / "flags.yaml", paths.flags),
        metrics=metrics,
        cache_bytes=lambda: settings.get("models").cache_mb * 1_000_000,
        is_on_battery=is_on_battery,
        clock=clock,
    )


def _make_fleet(paths: Paths, settings: SettingsStore, store: Database, clock: Clock) -> LocalFleet:
    """The models on this disk and the runtimes they need, within one budget of memory."""
    from desktop.core.paths import resources_dir
    from desktop.engines.catalog import LOCAL_ENGINES
    from desktop.engines.fleet import LocalFleet
    from desktop.engines.footprint import this_machine
    from desktop.engines.host import LocalEngine
    from desktop.engines.installed import Installed
    from desktop.engines.memory import MemoryBudget
    from desktop.engines.protocol import CacheLimits
    from desktop.store.model_sizes import ModelSizes

    caches = CacheLimits(paths.cache / "prompts")
    engines: dict[EngineName, Engine] = {name: LocalEngine(name, caches) for name in LOCAL_ENGINES}
    budget = MemoryBudget(
        engines,
        machine=this_machine(),
        settings=functools.partial(settings.get, "memory"),
        sizes=ModelSizes(store, clock),
        clock=clock,
        on_event=functools.partial(_note_memory, store),
    )
    return LocalFleet(Installed(paths.models, resources_dir() / "catalog"), budget, engines)


async def _note_memory(store: Database, event: MemoryEvent) -> None:
    """One row of the audit trail for each load, unload and step under pressure."""
    import time

    from desktop.store import audit

    names = ", ".join(event.models)
    await store.write(
        lambda db: audit.write_entry(
            db,
            at_s=time.time(),
            what=f"{event.step.replace('_', ' ')}: {names}" if names else event.step.replace("_", " "),
            by="rule:memory_budget",
            because=f"{event.because}; models held {event.before_bytes:,} bytes before and {event.after_bytes:,} after",
        )
    )


def _remove_leftovers(sandbox: SandboxService) -> None:
    """Containers that a crash left behind go away in the background; the start does not wait for Docker."""
    import asyncio
    import logging
    import threading

    def work() -> None:
        try:
            for name in asyncio.run(sandbox.reconcile()):
                logging.getLogger(__name__).info("removed %s, which a crash had left", name)
        except Exception:
            logging.getLogger(__name__).warning("leftover containers could not be looked for", exc_info=True)

    threading.Thread(target=work, name="sandbox-leftovers", daemon=True).start()


async def _note_departure(store: Database, departure: Departure) -> None:
    """One row of the audit trail before each request."""
    import time

    from desktop.store import audit

    await store.write(
        lambda db: audit.write_entry(
            db,
            at_s=time.time(),
            what=f"asked {departure.destination}: {departure.method} {departure.url}",
            by="rule:net_consent",
            because=f"{departure.bytes} bytes left this machine; {departure.consent}",
        )
    )


@contextlib.contextmanager
def _open_bench(
    paths: Paths, redactor: Redactor, *, may_stand_beside: bool = False, start: bool = True
) -> Iterator[Bench]:
    """See `desktop.cli.house.OpenBench`."""
    from desktop.cli.house import Bench
    from desktop.store.errors import StoreInUseError

    with contextlib.ExitStack() as stack:
        is_beside = False
        try:
            workbench = build(paths, redactor=redactor, start=start)
        except StoreInUseError:
            if not may_stand_beside:
                raise
            is_beside = True
            home = stack.enter_context(_home_beside(paths))
            workbench = build(home, settings_file=paths.settings, redactor=redactor, start=start)
        stack.callback(workbench.close)
        yield Bench(workbench, is_beside)


@contextlib.contextmanager
def _home_beside(paths: Paths) -> Iterator[Paths]:
    """A throw-away data folder for one command, with the real cache, models and flags in it.

    What the command leaves is its results folder and the cache; the other Benchtop's store is not touched.
    """
    with tempfile.TemporaryDirectory(prefix="benchtop-") as folder:
        home = Path(folder).resolve()
        beside = Paths(home)
        paths.cache.mkdir(parents=True, exist_ok=True)
        for real, shown in ((paths.cache, beside.cache), (paths.models, beside.models), (paths.flags, beside.flags)):
            if real.exists():
                shown.symlink_to(real.resolve())
        yield beside


@contextlib.contextmanager
def _open_reader(paths: Paths) -> Iterator[Workbench | None]:
    """The store as it is, read only; None when there is none yet."""
    if not paths.store.is_file():
        yield None
        return
    workbench = build(paths, is_read_only=True)
    try:
        yield workbench
    finally:
        workbench.close()


def _open_sandbox(paths: Paths) -> Any:
    """The sandbox without a store: policy checks and single scripts need none."""
    from desktop.core.config import SettingsStore
    from desktop.core.events import EventBus
    from desktop.sandbox.service import SandboxService
    from desktop.studios import studios
    from desktop.workers.workbench import settings_sections

    settings = SettingsStore(paths.settings, settings_sections(studios()), EventBus())
    return SandboxService(functools.partial(settings.get, "sandbox"), paths)


@contextlib.contextmanager
def _logging(paths: Paths) -> Iterator[Redactor]:
    """Log to <data folder>/logs/benchtop.log, secrets removed; a folder that cannot be written means no log."""
    import logging
    from logging.handlers import RotatingFileHandler

    from desktop.net.secrets import Redactor

    redactor, root, handler = Redactor(), logging.getLogger(), logging.Handler()
    with contextlib.suppress(OSError):
        paths.logs.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(paths.logs / "benchtop.log", maxBytes=2_000_000, backupCount=3, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        handler.addFilter(redactor)
        root.addHandler(handler)
    level, last_resort = root.level, logging.lastResort
    root.setLevel(logging.INFO)
    logging.lastResort = None  # nothing of a log belongs on a person's terminal
    try:
        yield redactor
    finally:
        root.removeHandler(handler)
        handler.close()
        root.setLevel(level)
        logging.lastResort = last_resort
