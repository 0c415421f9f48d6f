"""Local engines against the bare runtimes, on the same model in the same run: decoding, warm starts, schemas, ends.

The models are made here with random weights, so the figures are ratios. Prints a table in Markdown.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import psutil

from desktop.core.models import EngineName, Message
from desktop.engines.engine import Call
from desktop.engines.errors import EngineLostError
from desktop.engines.host import LocalEngine, LocalModel
from desktop.engines.protocol import CacheLimits
from tests.unit.engines.rig import files
from tests.unit.engines.schemas import PLAN
from tests.unit.engines.tiny_models import Shape, make, why_not

# MLX's processor build multiplies slowly (it is made for a GPU): a smaller model there, so that 4k tokens take seconds
SHAPES = {
    "mlx": Shape(hidden=128, layers=3, ffn=256, bits=32, context=8192),
    "gguf": Shape(hidden=512, layers=6, heads=8, kv_heads=2, ffn=1536, bits=8, context=8192),
}
ROUNDS, N_TOKENS = 5, 160
PROMPT = "The gene expression of treated cells was compared with untreated controls."

RAW = {
    "mlx": """
import mlx.core as mx
from mlx_lm import load
from mlx_lm.generate import generate_step
model, tok = load(path)
turns = [{"role": "user", "content": prompt}]
ids = mx.array(tok.encode(tok.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)))
def run():
    words = tok.detokenizer
    for token, _ in generate_step(ids, model, max_tokens=n):
        words.add_token(token)
        words.last_segment
        yield
""",
    "gguf": """
from llama_cpp import Llama
llm = Llama(path, n_ctx=8192, n_batch=512, verbose=False)
text = "<|im_start|>user\\n" + prompt + "<|im_end|>\\n<|im_start|>assistant\\n"
ids = llm.tokenize(text.encode(), add_bos=False, special=True)
def run():
    llm.reset()
    for count, token in enumerate(llm.generate(ids, temp=0.0)):
        llm.detokenize([token])
        yield
        if count == n - 1:
            return
""",
}
TIMED = """
import json, sys, time
path, prompt, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
{raw}
for _ in sys.stdin:
    times = []
    for _ in run():
        times.append(time.perf_counter())
    print(json.dumps((len(times) - 1) / (times[-1] - times[0])), flush=True)
"""


def main() -> int:
    """Measure both runtimes where they are installed."""
    print("| what | bar | mlx | gguf |\n| --- | --- | --- | --- |")
    columns = {}
    for kind in sys.argv[1:] or ("mlx", "gguf"):
        if reason := why_not(kind):
            print(f"{kind}: {reason}", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as folder:
            columns[kind] = asyncio.run(_measure(cast("EngineName", kind), Path(folder)))
    for row in next(iter(columns.values())):
        print(
            f"| {row[0]} | {row[1]} | "
            + " | ".join(dict(_cells(columns.get(kind, [])))[row[0]] for kind in columns)
            + " |"
        )
    return 0


def _cells(rows: list[tuple[str, str, str]]) -> Iterator[tuple[str, str]]:
    for what, _, value in rows:
        yield what, value


async def _measure(kind: EngineName, folder: Path) -> list[tuple[str, str, str]]:
    path = make(kind, folder / f"model.{kind}", SHAPES[kind])
    rows = []
    engine = LocalEngine(kind, CacheLimits(folder / "caches"))
    load_s, model = await _timed(lambda: engine.load(files(kind, path, context_tokens=8192)))
    ratio, raw, ours = await _decode(kind, path, model)
    print(f"{kind}: decode {ratio:.3f}", file=sys.stderr, flush=True)
    rows.append(("decode against the bare runtime", "≥ 0.95", f"{ratio:.3f} ({ours:.0f} of {raw:.0f} tokens/s)"))
    free, held = [], []
    for seed in range(ROUNDS):
        free.append(await _rate(model, _call(N_TOKENS, seed=seed, temperature=1.0)))
        held.append(await _rate(model, _call(N_TOKENS, seed=seed, temperature=1.0, schema=PLAN)))
    rows.append(("the same, held to a schema", "–", f"{max(held) / max(free):.2f} of free text"))
    one = max([await _rate(model, _call(64, seed=1, temperature=1.0)) for _ in range(3)])
    calls = [_call(64, seed=n, temperature=1.0, id=str(n)) for n in range(5)]
    batch_s, _ = await _timed(lambda: model.generate_many(calls))
    rows.append(("five together against one after another", "≥ 1.5 (Mac)", f"{5 * 64 / batch_s / one:.2f}"))
    cold, warm = await _first_tokens(model)
    rows.append(
        ("first token, 4k tokens known / new", "≤ 0.15", f"{warm / cold:.3f} ({warm * 1e3:.0f} / {cold * 1e3:.0f} ms)")
    )
    rows.append(("load", "–", f"{load_s:.2f} s"))
    rows += await _ends(engine, kind, path, model)
    return rows


async def _timed(work: Callable[[], object]) -> tuple[float, object]:
    begun_s = time.perf_counter()
    value = await work()  # type: ignore[misc]
    return time.perf_counter() - begun_s, value


def _call(n: int, text: str = PROMPT, **more: object) -> Call:
    return Call(**({"id": "one", "messages": (Message("user", text),), "max_tokens": n} | more))  # type: ignore[arg-type]


async def _rate(model: LocalModel, call: Call) -> float:
    """Tokens a second between the first piece and the last."""
    first_s = last_s = 0.0
    n_tokens = 0
    async for piece in model.generate(call):
        last_s = time.perf_counter()
        first_s = first_s or last_s
        if piece.usage is not None:
            n_tokens = piece.usage.completion_tokens
    return (n_tokens - 1) / max(1e-9, last_s - first_s)


async def _decode(kind: EngineName, path: Path, model: LocalModel) -> tuple[float, float, float]:
    """Best of interleaved rounds, each side in a process of its own."""
    raw = subprocess.Popen(
        [sys.executable, "-c", TIMED.format(raw=RAW[kind]), str(path), PROMPT, str(N_TOKENS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert raw.stdin is not None
    assert raw.stdout is not None
    theirs, ours = [], []
    for _ in range(ROUNDS):
        raw.stdin.write("go\n")
        raw.stdin.flush()
        theirs.append(json.loads(await asyncio.to_thread(raw.stdout.readline)))
        ours.append(await _rate(model, _call(N_TOKENS)))
    raw.stdin.close()
    raw.wait()
    return max(ours) / max(theirs), max(theirs), max(ours)


async def _first_tokens(model: LocalModel) -> tuple[float, float]:
    """Seconds to the first piece of a 4k-token prompt, new and known; the answers must be equal."""
    cold, warm = [], []
    for n in range(3):
        text = f"{n} " + PROMPT * 1000
        while await model.count_tokens([Message("user", text)]) > 4096:
            text = text[: int(len(text) * 0.97)]
        answers = []
        for times in (cold, warm):
            begun_s = time.perf_counter()
            pieces = []
            async for piece in model.generate(_call(12, text)):
                if not pieces:
                    times.append(time.perf_counter() - begun_s)
                pieces.append(piece.text)
            answers.append("".join(pieces))
        assert answers[0] == answers[1]
    return statistics.median(cold), statistics.median(warm)


async def _ends(engine: LocalEngine, kind: EngineName, path: Path, model: LocalModel) -> list[tuple[str, str, str]]:
    """kill -9 in the middle of an answer; memory and time of an unload."""
    machine = psutil.Process()
    held = psutil.Process(model.pid).memory_info().rss
    before = machine.memory_info().rss
    close_s, _ = await _timed(model.aclose)
    left = [each for each in machine.children(recursive=True) if each.pid == model.pid]
    grown = machine.memory_info().rss - before
    lost = []
    for _ in range(3):
        again = await engine.load(files(kind, path, context_tokens=8192))
        stream = again.generate(_call(4000, seed=1, temperature=1.0))
        await anext(stream)
        os.kill(again.pid, signal.SIGKILL)
        begun_s = time.perf_counter()
        try:
            async for _piece in stream:
                pass
        except EngineLostError:
            lost.append(time.perf_counter() - begun_s)
        await again.aclose()
    return [
        (
            "kill -9 to the typed error, longest of 3",
            "< 1 s",
            f"{max(lost) * 1e3:.0f} ms" if len(lost) == 3 else "none",
        ),
        ("unload", "< 2 s", f"{close_s * 1e3:.0f} ms"),
        (
            "memory given back",
            "within 5 % or 64 MB",
            f"all {held >> 20} MB of the process; Benchtop's own grew by {max(0, grown) >> 10} KiB"
            if not left
            else "not",
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
