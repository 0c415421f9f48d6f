"""Without a container: the plain child for templates, bubblewrap on Linux, the profile for macOS."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from desktop.core.errors import NoSandboxError
from desktop.core.paths import Paths, resources_dir
from desktop.core.ports import IsolationWish, Limits, Origin, RunOutcome, RunSpec
from desktop.sandbox import bubblewrap, seatbelt
from desktop.sandbox.cgroup import Cgroup
from desktop.sandbox.child import Work
from desktop.sandbox.config import SandboxSettings
from desktop.sandbox.interpreter import Interpreter
from desktop.sandbox.proof import write_expectation
from desktop.sandbox.service import SandboxService

NO_ENGINE = SandboxSettings(engine="unix:///nowhere.sock")
needs_bubblewrap = pytest.mark.skipif(bubblewrap.version() is None, reason="no working bubblewrap here")
BOTH = pytest.mark.parametrize("isolation", ["process", pytest.param("os", marks=needs_bubblewrap)])


class Local:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.service = SandboxService(lambda: NO_ENGINE, Paths(home))
        self.given = home / "given"
        self.given.mkdir()
        self.lines: list[str] = []

    async def run(
        self, script: str, isolation: IsolationWish, origin: Origin = "template", **limits: float
    ) -> RunOutcome:
        wanted = Limits(**{"wall_s": 30, "memory_mb": 1024, "cpus": 1, **limits})  # type: ignore[arg-type]
        spec = RunSpec("r", script.encode(), self.given, self.home / "out", origin, isolation, wanted)
        return await self.service.run(spec, on_line=self.lines.append, is_checked=False)


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[Local]:
    local = Local(tmp_path)
    yield local
    scratch = tmp_path / "scratch"
    assert not scratch.exists() or list(scratch.iterdir()) == []
    left = [p for p in psutil.Process().children(recursive=True) if "analysis.py" in " ".join(p.cmdline())]
    assert left == []


@BOTH
async def test_inputs_beside_the_script_outputs_in_the_current_folder(local: Local, isolation: IsolationWish) -> None:
    (local.given / "counts.csv").write_text("gene\nA\n")
    script = """
from pathlib import Path
import os, sys
text = (Path(__file__).parent / "counts.csv").read_text()
Path("results.csv").write_text(text * 2)
print(os.environ["OPENBLAS_NUM_THREADS"], os.environ["PYTHONHASHSEED"], sys.flags.isolated, "SECRET" in os.environ)
"""
    outcome = await local.run(script, isolation)
    assert (outcome.status, outcome.log) == ("ok", "1 0 1 False")
    assert [f.name for f in outcome.outputs] == ["results.csv"]
    assert outcome.isolation.is_reduced
    assert local.lines == ["1 0 1 False"]


@BOTH
async def test_a_file_can_be_moved_to_another_folder(local: Local, isolation: IsolationWish) -> None:
    script = "import os\nos.mkdir('a')\nopen('a/b.txt', 'w').write('x')\nos.rename('a/b.txt', 'c.txt')\nos.rmdir('a')"
    outcome = await local.run(script, isolation)
    assert (outcome.status, [f.name for f in outcome.outputs]) == ("ok", ["c.txt"]), outcome.log


@BOTH
async def test_exit_codes_and_tracebacks(local: Local, isolation: IsolationWish) -> None:
    outcome = await local.run("raise SystemExit(7)", isolation)
    assert (outcome.status, outcome.exit_code) == ("failed", 7)


@BOTH
async def test_the_clock_ends_everything_the_script_started(local: Local, isolation: IsolationWish) -> None:
    script = "import os, time\nos.fork()\nos.setsid() if os.fork() == 0 else None\ntime.sleep(60)"
    outcome = await local.run(script, isolation, wall_s=1.5)
    assert (outcome.status, outcome.exit_code, outcome.outputs) == ("timeout", None, ())


@BOTH
async def test_memory_has_an_end(local: Local, isolation: IsolationWish) -> None:
    script = "held = []\nwhile True:\n    held.append(bytearray(b'x') * (8 << 20))"
    outcome = await local.run(script, isolation, memory_mb=300)
    assert outcome.status == "out_of_memory"


@BOTH
async def test_outputs_have_an_end(local: Local, isolation: IsolationWish) -> None:
    script = "import time\nfor i in range(200):\n    open(f'{i}', 'wb').write(bytes(1 << 20))\n    time.sleep(0.02)"
    outcome = await local.run(script, isolation, output_bytes=4 << 20)
    assert outcome.status == "failed"
    assert sum(f.bytes for f in outcome.outputs) <= 4 << 20


@BOTH
async def test_cancelling_ends_the_run(local: Local, isolation: IsolationWish) -> None:
    task = asyncio.create_task(local.run("import time\nprint('up')\ntime.sleep(60)", isolation))
    while "up" not in local.lines:
        await asyncio.sleep(0.02)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 10
    assert not (local.home / "out").exists()


@needs_bubblewrap
async def test_bubblewrap_hides_the_host(local: Local) -> None:
    secret = local.home / "secret.txt"
    secret.write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = f"""
import os, socket
print(os.path.exists({str(secret)!r}), os.path.exists("/root/.ssh"), os.path.exists("/home"), os.getuid())
for action in ("connect", "input", "root"):
    try:
        if action == "connect":
            socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), timeout=2)
        elif action == "input":
            open("/input/x", "w")
        else:
            open("/usr/x", "w")
        print("ESCAPED", action)
    except OSError:
        print("held", action)
"""
        outcome = await local.run(script, "os", "model")
    assert outcome.log.splitlines() == ["False False False 10001", "held connect", "held input", "held root"]


@needs_bubblewrap
async def test_the_proof_holds_under_bubblewrap(local: Local) -> None:
    choice, steps = await local.service.self_test("os")
    assert choice.is_reduced
    assert [s for s in steps if not s.passed] == []
    assert len(steps) > 20


@pytest.mark.parametrize(("wish", "origin"), [
    ("auto", "model"), ("auto", "person"), ("process", "model"), ("process", "person"), ("docker", "template"),
])  # fmt: skip
async def test_it_fails_closed_and_says_how_to_get_an_isolation(
    local: Local, wish: IsolationWish, origin: Origin
) -> None:
    with pytest.raises(NoSandboxError) as caught:
        await local.run("print(1)", wish, origin)
    assert caught.value.hint
    assert not (local.home / "out").exists()


async def test_status_without_an_engine_says_what_to_do(local: Local) -> None:
    status = await local.service.status()
    assert status["isolation"] is None
    assert status["engine"] is None
    assert "benchtop sandbox build" in status["hint"]
    json.dumps(status)


async def test_an_interpreter_that_is_none_is_named(tmp_path: Path) -> None:
    settings = SandboxSettings(engine="unix:///nowhere.sock", python="/nowhere/python")
    with pytest.raises(NoSandboxError, match="/nowhere/python"):
        await SandboxService(lambda: settings, Paths(tmp_path)).choose("process", "template")


def test_the_seatbelt_profile_denies_by_default_and_quotes_paths(tmp_path: Path) -> None:
    root = tmp_path / 'a "b" \\c'
    work = Work(root)
    for folder in (work.input, work.output, work.tmp):
        folder.mkdir(parents=True)
    text = seatbelt.profile(work, Interpreter("/opt/py/bin/python", ("/opt/py",), "3.11.7"))
    lines = text.splitlines()
    assert lines[:3] == ["(version 1)", "(deny default)", "(deny network*)"]
    assert '\\"b\\"' in text
    writes = next(line for line in lines if line.startswith("(allow file-write*"))
    assert "output" in writes
    assert "input" not in writes
    assert "/opt/py" not in writes
    assert "/Users" not in text
    assert text.count("(") - text.count("\\(") == text.count(")") - text.count("\\)")
    assert not any("network" in line for line in lines[3:])


@needs_bubblewrap
async def test_what_a_script_writes_cannot_be_started(local: Local) -> None:
    script = """
import ctypes, os, subprocess, sys
print(subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, text=True).stdout.strip())
print("landlock", ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1) > 0)
for place in ("/tmp/p", "/output/p"):
    with open(place, "w") as file:
        file.write("#!/bin/sh\\necho STARTED\\n")
    os.chmod(place, 0o755)
    try:
        print(subprocess.run([place], capture_output=True, text=True).stdout.strip())
    except PermissionError:
        print("refused")
"""
    lines = (await local.run(script, "os")).log.splitlines()
    assert lines[0] == "1"
    if lines[1] == "landlock False":
        pytest.skip("this kernel has no Landlock")
    assert lines[2:] == ["refused", "refused"]


@needs_bubblewrap
async def test_memory_without_a_process_is_held_by_the_control_group(local: Local) -> None:
    """A group that is entered after the start would miss what bubblewrap starts at once."""
    if (group := Cgroup.make(Limits())) is None:
        pytest.skip("no control group can be made here")
    group.end()
    script = "import os\nfds = []\nfor _ in range(600):\n    fds.append(os.memfd_create('x'))\n    os.write(fds[-1], bytes(1 << 20))"
    assert (await local.run(script, "os", memory_mb=256)).status == "out_of_memory"


@needs_bubblewrap
async def test_the_questions_for_macos_can_be_asked(local: Local) -> None:
    """Nobody could run them on a Mac yet; that the probe gets to its end without Linux's paths is seen here."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        limits = Limits()
        write_expectation(local.given, limits, server.getsockname()[1], is_container=False)
        expected = json.loads((local.given / "sandbox-probe.json").read_text())
        (local.given / "sandbox-probe.json").write_text(json.dumps({**expected, "platform": "darwin"}))
        probe = (resources_dir() / "sandbox" / "probes" / "posture.py").read_text()
        outcome = await local.run(probe, "os")
    words = dict(reversed(line.split(" ", 1)) for line in outcome.log.splitlines())
    assert outcome.status == "ok", outcome.log
    assert len(words) >= 12
    # what this Linux shows and a Mac's profile does not
    assert {name for name, word in words.items() if word != "HELD"} <= {"system programs do not start"}, outcome.log
