"""The process around a model: what is told when it dies, what is left when it ends, what a broken file does."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from desktop.core.models import EngineName
from desktop.engines.child import to_app_error
from desktop.engines.engine import Piece
from desktop.engines.errors import (
    BadModelError,
    ContextTooLongError,
    EngineLostError,
    EngineMissingError,
    OutOfMemoryError,
)
from desktop.engines.host import LocalEngine, LocalModel
from tests.unit.engines.rig import answer, call, files, loaded
from tests.unit.engines.tiny_models import Shape, make

ROOT = Path(__file__).resolve().parents[3]
ENDLESS = call(n=3900, temperature=1.0, seed=1)


@pytest.fixture(autouse=True)
def _no_process_is_left() -> AsyncIterator[None]:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    deadline = time.monotonic() + 5
    while left := [child for child in psutil.Process().children(recursive=True) if child.pid not in before]:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


async def _first(model: LocalModel) -> tuple[asyncio.Task[list[Piece]], asyncio.Event]:
    """A request that writes for long, and when its first piece came."""
    begun = asyncio.Event()

    async def read() -> list[Piece]:
        pieces = []
        async for piece in model.generate(ENDLESS):
            pieces.append(piece)
            begun.set()
        return pieces

    task = asyncio.create_task(read())
    await asyncio.wait_for(begun.wait(), 30)
    return task, begun


async def test_a_killed_process_is_a_typed_error_for_all_who_wait(kind: EngineName, tiny_path: Path) -> None:
    async with loaded(kind, tiny_path) as model:
        writing, _ = await _first(model)
        waiting = asyncio.create_task(answer(model, call()))
        os.kill(model.pid, signal.SIGKILL)
        for task in (writing, waiting):
            with pytest.raises(EngineLostError) as caught:
                await asyncio.wait_for(task, 5)
            assert caught.value.facts["exit"] == "signal 9"
        assert (await model.health()).state == "down"
        with pytest.raises(EngineLostError):
            await model.count_tokens(call().messages)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("[metal::malloc] Unable to allocate 123 bytes."), RuntimeError("std::bad_alloc")],
)
def test_what_a_runtime_says_of_memory_is_understood(error: Exception) -> None:
    assert isinstance(to_app_error(error), OutOfMemoryError)
    assert isinstance(to_app_error(ValueError("shape")), EngineLostError)


async def test_memory_that_runs_out_is_a_typed_error(tiny_path: Path, kind: EngineName) -> None:
    if kind != "mlx" or sys.platform != "linux":
        pytest.skip("only MLX on Linux can be made to run out of memory without harm to the machine")
    async with loaded(kind, tiny_path, context_tokens=8192) as model:
        await answer(model, call("One", n=4, schema={"type": "integer"}))
        held = psutil.Process(model.pid).memory_info().vms
        psutil.Process(model.pid).rlimit(psutil.RLIMIT_AS, (held + (1 << 20), held + (1 << 20)))
        with pytest.raises((OutOfMemoryError, EngineLostError)):  # MLX's processor build does not check its allocations
            await answer(model, call("gene " * 1500, n=8))


async def test_stopping_a_prompt_takes_at_most_a_chunk(kind: EngineName, tiny_path: Path) -> None:
    async with loaded(kind, tiny_path, context_tokens=8192) as model:
        task = asyncio.create_task(answer(model, call("gene " * 1800, n=4000)))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        text, _ = await asyncio.wait_for(answer(model, call(n=4)), 30)
        assert text


async def test_closing_ends_the_process_and_may_be_repeated(kind: EngineName, tiny_path: Path) -> None:
    async with loaded(kind, tiny_path) as model:
        pid = model.pid
        task, _ = await _first(model)
        await model.aclose()
        assert not psutil.pid_exists(pid)
        with pytest.raises(EngineLostError):
            await task
        await model.aclose()
        with pytest.raises(EngineLostError, match="unloaded"):
            await answer(model, call())
        assert (await model.health()).state == "down"


async def test_a_load_that_is_cancelled_leaves_nothing(kind: EngineName, tiny_path: Path) -> None:
    task = asyncio.create_task(LocalEngine(kind).load(files(kind, tiny_path)))
    await asyncio.sleep(0.15)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_no_orphan_when_the_parent_is_killed(kind: EngineName, tiny_path: Path, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"""
import asyncio, pathlib
from tests.unit.engines.rig import write_for_ever
asyncio.run(write_for_ever({kind!r}, {str(tiny_path)!r}, {str(note)!r}))
"""
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    try:
        deadline = time.monotonic() + 60
        while not (note.exists() and note.read_text()):
            assert time.monotonic() < deadline
            assert parent.poll() is None
            time.sleep(0.05)
        child = psutil.Process(int(note.read_text()))
        family = [child, *child.children(recursive=True)]
        assert len(family) > 1
    finally:
        parent.kill()
        parent.wait()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []


def test_the_process_that_loads_a_model_imports_no_runtime(kind: EngineName, tiny_path: Path) -> None:
    script = f"""
import asyncio, sys
from pathlib import Path
from tests.unit.engines.rig import answer, call, loaded
async def main():
    async with loaded({kind!r}, Path({str(tiny_path)!r})) as model:
        await answer(model, call(schema={{"type": "integer"}}))
asyncio.run(main())
heavy = ["mlx", "mlx_lm", "llama_cpp", "llguidance", "transformers", "tokenizers", "coremltools", "torch"]
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


# ---- files that are not what they should be


def _cut(source: Path, target: Path, frac: float) -> None:
    data = source.read_bytes()
    target.write_bytes(data[: int(len(data) * frac)])


@pytest.mark.parametrize(
    "damage", ["missing", "empty", "noise", "half", "nearly whole", "other format", "a folder", "layers"]
)
async def test_a_broken_gguf_is_a_typed_error(tiny_gguf: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "model.gguf"
    match damage:
        case "empty":
            path.touch()
        case "noise":
            path.write_bytes(b"GGUF" + os.urandom(5000))
        case "half":
            _cut(tiny_gguf, path, 0.5)
        case "nearly whole":
            _cut(tiny_gguf, path, 0.99)
        case "other format":
            path.write_bytes(b"PK\x03\x04" + bytes(1000))
        case "a folder":
            path.mkdir()
        case "layers":
            data, name = tiny_gguf.read_bytes(), b"llama.block_count"
            at = data.index(name) + len(name) + 4
            path.write_bytes(data[:at] + (1_000_000).to_bytes(4, "little") + data[at + 4 :])
    with pytest.raises(BadModelError) as caught:
        await LocalEngine("gguf").load(files("gguf", path))
    assert caught.value.hint


@pytest.mark.parametrize(
    "damage",
    [
        "missing",
        "cut weights",
        "no weights",
        "no config",
        "wrong config",
        "layers",
        "code",
        "no numbers",
        "unknown type",
        "no tokenizer",
        "template",
    ],
)
async def test_a_broken_mlx_folder_is_a_typed_error(tiny_mlx: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "model"
    if damage != "missing":
        shutil.copytree(tiny_mlx, folder)
    match damage:
        case "cut weights":
            _cut(tiny_mlx / "model.safetensors", folder / "model.safetensors", 0.7)
        case "no weights":
            (folder / "model.safetensors").unlink()
        case "no config":
            (folder / "config.json").unlink()
        case "wrong config":
            text = (folder / "config.json").read_text()
            (folder / "config.json").write_text(text.replace('"hidden_size": 128', '"hidden_size": 192'))
        case "layers":
            config = (
                (folder / "config.json").read_text().replace('"num_hidden_layers": 2', '"num_hidden_layers": 99999')
            )
            (folder / "config.json").write_text(config)
        case "code":
            text = (folder / "config.json").read_text()
            (folder / "config.json").write_text(text.replace("{", '{"model_file": "own.py",', 1))
            (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
        case "no numbers":
            data = (folder / "model.safetensors").read_bytes()
            begin = 8 + int.from_bytes(data[:8], "little")
            (folder / "model.safetensors").write_bytes(data[:begin] + b"\xff" * (len(data) - begin))
        case "unknown type":
            text = (folder / "config.json").read_text()
            (folder / "config.json").write_text(text.replace("qwen2", "qwen99"))
        case "no tokenizer":
            (folder / "tokenizer.json").unlink()
        case "template":
            (folder / "chat_template.jinja").write_text("{% for x in %}")
    with pytest.raises(BadModelError) as caught:
        await LocalEngine("mlx").load(files("mlx", folder))
    assert caught.value.hint
    assert not (tmp_path / "ran").exists()


async def test_an_absurd_context_is_a_typed_error(kind: EngineName, tiny_path: Path) -> None:
    for tokens in (0, -1, 1 << 40):
        with pytest.raises(ContextTooLongError):
            await LocalEngine(kind).load(files(kind, tiny_path, context_tokens=tokens))


async def test_a_runtime_that_is_not_installed_is_said_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not LocalEngine("mlx").is_available()
    with pytest.raises(EngineMissingError):
        await LocalEngine("mlx").load(files("mlx", tmp_path))


# ---- prompt caches on disk


async def test_prompt_caches_survive_a_restart_with_equal_tokens(kind: EngineName, tmp_path: Path) -> None:
    from desktop.engines.protocol import CacheLimits
    from tests.unit.engines.tiny_models import why_not

    if reason := why_not(kind):
        pytest.skip(reason)
    path = make(kind, tmp_path / "one", Shape(bits=32))
    other = make(kind, tmp_path / "two", Shape(bits=32, seed=8))
    limits = CacheLimits(tmp_path / "caches", ram_bytes=64 << 20, disk_bytes=64 << 20)
    asked = call("The gene expression of treated cells was compared. " * 20, n=12)
    async with loaded(kind, path, limits) as model:
        cold, first = await answer(model, asked)
    assert len(list((tmp_path / "caches").glob("*/*.tokens"))) == 1
    async with loaded(kind, path, limits) as model:
        warm, second = await answer(model, asked)
    assert warm == cold
    assert first.usage is not None
    assert second.usage is not None
    assert first.usage.cached_tokens == 0
    assert second.usage.cached_tokens == (second.usage.prompt_tokens - 1) // 64 * 64 > 0
    async with loaded(kind, other, limits) as model:
        _, third = await answer(model, asked)
    assert third.usage is not None
    assert third.usage.cached_tokens == 0
    for path_kv in (tmp_path / "caches").glob("*/*.kv"):
        data = bytearray(path_kv.read_bytes())
        data[len(data) // 2] ^= 0xFF  # still a file of its kind, of another content
        path_kv.write_bytes(data)
    async with loaded(kind, path, limits) as model:
        again, fourth = await answer(model, asked)
    assert again == cold
    assert fourth.usage is not None
    assert fourth.usage.cached_tokens == 0


async def test_the_packaged_application_is_the_python_of_its_engines(
    kind: EngineName, tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There `sys.executable` is Benchtop itself, which does what Python does with -I -c."""
    code = "import sys; sys.frozen = True; from desktop.__main__ import main; sys.exit(main())"
    packaged = tmp_path / "Benchtop"
    packaged.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c \'{code}\' "$@"\n')
    packaged.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(packaged))
    async with loaded(kind, tiny_path) as model:
        text, _ = await answer(model, call(n=4))
        assert text
