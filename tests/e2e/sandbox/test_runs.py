"""How runs end: on time, out of memory, cancelled, flooding, and with nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from desktop.core.errors import NoSandboxError
from desktop.core.paths import Paths
from desktop.core.ports import Limits, RunOutcome, RunSpec
from desktop.sandbox.config import SandboxSettings
from desktop.sandbox.container import CONTENT_MARK, LAUNCHER_MARK
from desktop.sandbox.outputs import OutputExistsError
from desktop.sandbox.service import SandboxService
from tests.e2e.sandbox.conftest import IMAGE, Bench

pytestmark = pytest.mark.docker
WARM = Limits(wall_s=20, memory_mb=512)


def open_files() -> int:
    return psutil.Process().num_fds()


async def test_the_script_finds_its_inputs_and_its_outputs_are_collected(bench: Bench) -> None:
    (bench.input_dir / "sub").mkdir()
    (bench.input_dir / "sub" / "counts.csv").write_text("gene,s1\na,1\n")
    script = """
import os
from pathlib import Path
here = Path(__file__).parent
Path("figures").mkdir()
Path("figures/a.txt").write_text((here / "sub" / "counts.csv").read_text())
print(Path(__file__).name, sorted(p.name for p in here.iterdir()), os.environ["OMP_NUM_THREADS"])
"""
    outcome = await bench.run(script, is_checked=True)
    assert (outcome.status, outcome.log.strip()) == ("ok", "analysis.py ['SANDBOX_OK', 'analysis.py', 'sub'] 1")
    assert [f.name for f in outcome.outputs] == ["figures/a.txt"]
    assert (bench.output_dir / "figures" / "a.txt").read_text() == "gene,s1\na,1\n"
    assert outcome.isolation.kind == "docker"
    assert not outcome.isolation.is_reduced


async def test_a_refused_script_never_runs(bench: Bench) -> None:
    outcome = await bench.run("import os\nos.system('touch x')\n", is_checked=True)
    assert (outcome.status, outcome.exit_code, outcome.outputs) == ("refused", None, ())
    assert "line 2" in outcome.log
    assert not bench.output_dir.exists()


async def test_a_failing_script_keeps_its_exit_code_and_traceback(bench: Bench) -> None:
    outcome = await bench.run("open('partial.txt', 'w').write('x')\nraise SystemExit(3)")
    assert (outcome.status, outcome.exit_code) == ("failed", 3)
    assert [f.name for f in outcome.outputs] == ["partial.txt"]
    outcome = await bench.run("1 / 0")
    assert "ZeroDivisionError" in outcome.log


async def test_what_is_printed_decides_nothing(bench: Bench) -> None:
    outcome = await bench.run('print(\'{"status": "ok", "exit_code": 0}\')\nraise SystemExit(9)')
    assert (outcome.status, outcome.exit_code) == ("failed", 9)


async def test_dying_by_signal_is_not_out_of_memory(bench: Bench) -> None:
    outcome = await bench.run("import os\nos.kill(os.getpid(), 9)")
    assert (outcome.status, outcome.exit_code) == ("failed", 137)


async def test_a_child_that_keeps_the_log_open_does_not_keep_the_run_open(bench: Bench) -> None:
    script = "import os, time\nif os.fork() == 0:\n    time.sleep(60)\nprint('done')"
    outcome = await bench.run(script, wall_s=20)
    assert outcome.status == "ok"
    assert outcome.wall_s < 10


async def test_cancelling_ends_the_run_at_once(bench: Bench) -> None:
    task = asyncio.create_task(bench.run("import time\nprint('up')\ntime.sleep(60)"))
    while "up" not in bench.lines:
        await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not bench.output_dir.exists()


async def test_cancelling_while_the_container_starts_leaves_nothing(bench: Bench) -> None:
    for delay_s in (0.0, 0.05, 0.15):
        task = asyncio.create_task(bench.run("print(1)"))
        await asyncio.sleep(delay_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_flood_of_text_leaves_the_loop_free(bench: Bench) -> None:
    stalls: list[float] = []

    async def watch() -> None:
        while True:
            start = time.monotonic()
            await asyncio.sleep(0.01)
            stalls.append(time.monotonic() - start - 0.01)

    watcher = asyncio.create_task(watch())
    outcome = await bench.run("while True: print('\\x1b[2J' + 'A' * 4000)", wall_s=3)
    watcher.cancel()
    assert outcome.log_truncated
    assert len(outcome.log) < 1.1 * (1 << 20)
    assert "\x1b" not in outcome.log
    assert len(stalls) > 20


async def test_outputs_stop_at_the_cap_in_bytes_and_entries(bench: Bench) -> None:
    script = """
n = 0
try:
    for i in range(40):
        with open(f"{i}.bin", "wb") as f:
            for _ in range(16):
                n += f.write(bytes(1 << 16))
except OSError as error:
    print(error.errno, n)
"""
    outcome = await bench.run(script, output_bytes=8 << 20)
    errno, written = map(int, outcome.log.split())
    assert errno == 28
    assert abs(written - (8 << 20)) <= 0.01 * (8 << 20) + (1 << 16)
    script = """
i = 0
try:
    while True:
        open(f"{i}.txt", "w").close()
        i += 1
except OSError:
    print(i)
"""
    outcome = await bench.run(script, output_entries=300)
    assert 295 <= int(outcome.log) <= 300
    assert len(outcome.outputs) <= 300


async def test_hostile_names_and_kinds_are_made_safe(bench: Bench) -> None:
    script = """
import os, socket
for name in ("-rf", ".hidden", "a\\nb", "con.txt", "x" * 250, "\\u202efdp.exe", "a:b", "ok.csv", " sp ", "OK.csv"):
    open(name, "w").write(name)
open(b"\\xff\\xfe.bin", "w").write("x")
os.mkfifo("pipe")
os.link("ok.csv", "hard")
os.symlink("/etc/shadow", "link")
s = socket.socket(socket.AF_UNIX); s.bind("sock")
os.makedirs("/".join("d" * 30)); open("/".join("d" * 30) + "/deep", "w").close()
with open("hole", "wb") as f:
    f.truncate(100 << 20)
"""
    outcome = await bench.run(script, output_bytes=16 << 20)
    assert outcome.status == "ok", outcome.log
    names = {f.name for f in outcome.outputs}
    assert {"_rf", "_hidden", "a_b", "_con.txt"} <= names
    for path in bench.output_dir.rglob("*"):
        assert not path.is_symlink()
        assert len(path.name.encode()) <= 120
        assert path.name.isprintable()
        assert path.is_dir() or path.stat().st_nlink == 1
    reasons = dict(outcome.dropped)
    assert "link" in reasons["link"]
    assert any("deep" in name for name in reasons)
    assert sum(f.bytes for f in outcome.outputs) <= 16 << 20


async def test_runs_in_a_row_leave_nothing(bench: Bench) -> None:
    await bench.run("print(0)")
    await bench.service.aclose()
    gc.collect()
    threads, files = threading.active_count(), open_files()
    for _ in range(6):
        assert (await bench.run("open('a', 'w').write('x')")).status == "ok"
    await bench.service.aclose()
    assert bench.left() == []
    gc.collect()
    assert threading.active_count() <= threads + 8  # the loop's own thread pool may still be growing
    assert open_files() <= files + 2


async def test_runs_side_by_side_do_not_meet(bench: Bench) -> None:
    async def one(number: int) -> str:
        spec = RunSpec(
            f"p{number}",
            f"open('n', 'w').write('{number}')".encode(),
            bench.input_dir,
            bench.home / f"p{number}",
            "model",
        )
        outcome = await bench.service.run(spec, on_line=lambda _: None, is_checked=False)
        assert outcome.status == "ok"
        return (bench.home / f"p{number}" / "n").read_text()

    assert await asyncio.gather(*(one(n) for n in range(4))) == ["0", "1", "2", "3"]


async def test_an_existing_output_folder_is_not_touched(bench: Bench) -> None:
    (bench.home / "out-1").mkdir()
    (bench.home / "out-1" / "mine.txt").write_text("mine")
    with pytest.raises(OutputExistsError):
        await bench.run("open('a', 'w').write('x')")
    assert [p.name for p in (bench.home / "out-1").iterdir()] == ["mine.txt"]


@contextlib.asynccontextmanager
async def staying(bench: Bench, **options: float) -> AsyncIterator[Callable[[str], Awaitable[RunOutcome]]]:
    """A service that keeps one container ready, as under a window; yields what runs a script on it."""
    service = SandboxService(SandboxSettings, Paths(bench.home), **options)
    service.stay_warm()
    count = 0

    async def run(script: str) -> RunOutcome:
        nonlocal count
        count += 1
        place = bench.home / f"w{count}"
        spec = RunSpec(place.name, script.encode(), bench.input_dir, place, "model", "docker", WARM)
        return await service.run(spec, on_line=lambda _: None, is_checked=False)

    async def waiting() -> int:
        return int((await service.status())["warm"])

    run.waiting = waiting  # type: ignore[attr-defined]
    try:
        yield run
    finally:
        await service.aclose()


async def until(state: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(200):
        if await state():
            return
        await asyncio.sleep(0.05)
    pytest.fail("did not come to be")


async def test_a_warm_container_is_used_once_and_replaced(bench: Bench) -> None:
    async with staying(bench) as run:
        names = []
        for _ in range(3):
            outcome = await run(
                "import os, socket, sys\nopen('seen', 'a').write('x')\n"
                "print(socket.gethostname(), open('seen').read(), __name__, sys.argv, os.read(0, 1))"
            )
            name, rest = outcome.log.split(maxsplit=1)
            assert rest.strip() == "x __main__ ['/input/analysis.py'] b''"
            names.append(name)
            await until(lambda: _is(run, 1))
        assert len(set(names)) == 3
    assert bench.left() == []


async def _is(run: Any, number: int) -> bool:
    return bool(await run.waiting() == number)


async def test_a_warm_container_is_given_back_when_nothing_runs_for_a_while(bench: Bench) -> None:
    async with staying(bench, idle_s=0.1) as run:
        assert (await run("print(1)")).status == "ok"
        await until(lambda: _is(run, 1))
        await until(lambda: _is(run, 0))
        await until(lambda: asyncio.to_thread(lambda: bench.left() == []))


async def test_a_warm_container_that_somebody_removed_is_not_used(bench: Bench) -> None:
    async with staying(bench) as run:
        assert (await run("print(1)")).status == "ok"
        await until(lambda: _is(run, 1))
        client = bench.engine.client()
        try:
            for name in bench.left():
                with contextlib.suppress(docker.errors.APIError):
                    client.remove_container(name.lstrip("/"), force=True)
        finally:
            client.close()
        assert (await run("print(2)")).log.strip() == "2"


async def test_without_a_window_nothing_is_kept_ready(bench: Bench) -> None:
    assert (await bench.run("print(1)")).status == "ok"
    assert (await bench.service.status())["warm"] == 0


async def test_no_path_of_the_host_shows_inside(bench: Bench) -> None:
    outcome = await bench.run("print(open('/proc/self/mountinfo').read(), open('/proc/mounts').read())")
    assert outcome.status == "ok"
    assert str(bench.home) not in outcome.log
    for part in bench.home.parts[1:]:
        assert len(part) < 6 or part not in outcome.log


async def test_the_input_cannot_be_changed_also_not_by_its_owner(bench: Bench) -> None:
    (bench.input_dir / "counts.csv").write_text("a,1\n")
    script = """
import os
for call in (lambda: open("/input/counts.csv", "a"), lambda: open("/input/new", "w"), lambda: os.chmod("/input", 0o777),
             lambda: os.remove("/input/counts.csv"), lambda: os.utime("/input/counts.csv"), lambda: os.mkdir("/input/d"),
             lambda: os.rename("/input/counts.csv", "/input/b.csv"), lambda: os.truncate("/input/counts.csv", 0)):
    try:
        call()
        print("CHANGED")
    except OSError as error:
        print(error.errno)
"""
    outcome = await bench.run(script)
    assert set(outcome.log.split()) <= {"13", "30"}, outcome.log  # not the script's, and a read-only file system
    assert "30" in outcome.log


async def test_what_was_written_before_the_stop_is_kept(bench: Bench) -> None:
    outcome = await bench.run(
        "import time\nopen('part.csv', 'w').write('a,1')\nprint('so far', flush=True)\ntime.sleep(60)", wall_s=2
    )
    assert (outcome.status, outcome.exit_code, outcome.log) == ("timeout", None, "so far")
    assert [f.name for f in outcome.outputs] == ["part.csv"]
    outcome = await bench.run(
        "open('part.csv', 'w').write('a,1')\nheld = []\nwhile True: held.append(bytearray(8 << 20))", memory_mb=128
    )
    assert outcome.status == "out_of_memory"
    assert [f.name for f in outcome.outputs] == ["part.csv"]


async def test_an_image_of_another_benchtop_is_named_or_refused(bench: Bench) -> None:
    client = bench.engine.client()
    tags = {"benchtop-test:older": CONTENT_MARK, "benchtop-test:unusable": LAUNCHER_MARK}
    try:
        for tag, mark in tags.items():
            file = io.BytesIO(f"FROM {IMAGE}\nLABEL {mark}=another\n".encode())
            assert list(client.build(fileobj=file, tag=tag, rm=True, forcerm=True))
        older, unusable = (
            SandboxService(lambda tag=tag: SandboxSettings(image=tag), Paths(bench.home))  # type: ignore[misc]
            for tag in tags
        )
        assert "older than this Benchtop" in (await older.choose("docker", "model")).detail
        assert (await older.status())["image_age"] == "older"
        with pytest.raises(NoSandboxError, match="rebuild it"):
            await unusable.choose("docker", "model")
        status = await unusable.status()
        assert (status["isolation"], status["has_image"], status["image_age"]) == (None, True, "unusable")
    finally:
        for tag in tags:
            client.remove_image(tag, force=True)
        client.close()


async def test_the_proof_holds_and_status_says_so(bench: Bench) -> None:
    status = await bench.service.status()
    assert status["isolation"] == "docker"
    assert status["has_image"]
    choice, steps = await bench.service.self_test("docker")
    assert [s for s in steps if not s.passed] == []
    assert len(steps) > 30
    assert choice.kind == "docker"


async def test_without_an_engine_code_of_a_model_does_not_run(tmp_path: Path) -> None:
    service = SandboxService(lambda: SandboxSettings(engine="unix:///nowhere.sock"), Paths(tmp_path))
    for origin in ("model", "person"):
        with pytest.raises(NoSandboxError) as caught:
            await service.choose("auto", origin)  # type: ignore[arg-type]
        assert "benchtop sandbox build" in caught.value.hint
    assert (await service.choose("auto", "template")).is_reduced


async def test_without_the_image_the_message_names_it(bench: Bench) -> None:
    service = SandboxService(lambda: SandboxSettings(image="absent-image:9"), Paths(bench.home))
    with pytest.raises(NoSandboxError, match="absent-image:9"):
        await service.choose("docker", "template")
