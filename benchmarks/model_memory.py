"""Estimated against measured memory of models of several shapes, with both local runtimes, at load and at full context.

python -m benchmarks.model_memory [mlx|gguf]

The factors of `engines.estimate` were fitted to the first four shapes. Of the held-out ones the 4-bit one then showed
that llama.cpp keeps such weights twice on a processor, which was added; nothing else was changed for them.
Random weights in float32 or quantised, made here. "Peak" is the highest of what the engine reports while it reads a
prompt that nearly fills the context and writes an answer; the bar is an estimate within 10 % of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path

from desktop.core.models import EngineName, Message
from desktop.engines.engine import Call, ModelFiles
from desktop.engines.estimate import need
from desktop.engines.headers import read_facts
from desktop.engines.host import LocalEngine, LocalModel
from tests.unit.engines.tiny_models import Shape, make, why_not

MIB = 1024**2
SHAPES = {  # 40 to 100 MB of weights: enough to tell, and a processor still reads the prompt within a minute
    "wide": Shape(hidden=768, layers=2, heads=12, kv_heads=4, ffn=2048, bits=32),
    "deep": Shape(hidden=384, layers=10, heads=6, kv_heads=6, ffn=1024, bits=32),
    "vocabulary": Shape(hidden=384, layers=3, heads=6, kv_heads=2, ffn=1024, bits=32, n_tokens=24000),
    "quantised": Shape(hidden=512, layers=4, heads=8, kv_heads=4, ffn=1408, bits=8, n_tokens=16000),
    "held out": Shape(hidden=640, layers=5, heads=10, kv_heads=2, ffn=1792, bits=32, n_tokens=8000),
    "held out, 4 bit": Shape(hidden=448, layers=8, heads=7, kv_heads=7, ffn=1280, bits=4, n_tokens=12000),
}
CONTEXT = 704


async def _measure(kind: EngineName, path: Path) -> tuple[int, int]:
    """(bytes right after the load, highest bytes while the context fills)."""
    model = await LocalEngine(kind).load(ModelFiles("m", kind, path, CONTEXT))
    try:
        loaded = await model.memory_bytes()
        peak = [loaded]
        sampling = asyncio.ensure_future(_sample(model, peak))
        await _fill(model)
        await asyncio.sleep(2)  # prompt caches are put away once the model is idle
        peak.append(await model.memory_bytes())
        sampling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sampling
        return loaded, max(peak)
    finally:
        await model.aclose()


async def _sample(model: LocalModel, peak: list[int]) -> None:
    while True:
        peak.append(await model.memory_bytes())
        await asyncio.sleep(0.02)


async def _fill(model: LocalModel) -> None:
    word = "gene "
    per_word = (await model.count_tokens([Message("user", word * 20)])) // 20
    text = word * ((CONTEXT - 80) // max(1, per_word))
    call = Call("fill", (Message("user", text),), max_tokens=16)
    async for _ in model.generate(call):
        pass


def main() -> int:
    print("| engine | shape | weights MiB | estimate MiB | at load MiB | peak MiB | estimate / peak |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    worst = 0.0
    for kind in sys.argv[1:] or ("mlx", "gguf"):
        if reason := why_not(kind):
            print(f"| {kind} | {reason} |")
            continue
        for name, shape in SHAPES.items():
            with tempfile.TemporaryDirectory() as folder:
                path = make(kind, Path(folder) / ("model.gguf" if kind == "gguf" else "model"), shape)
                facts = read_facts(path)
                is_repacked = kind == "gguf" and facts.bits == 4 and sys.platform != "darwin"
                estimate = need(
                    facts.shape,
                    facts.weights_bytes,
                    CONTEXT,
                    has_kv_upfront=kind == "gguf",
                    is_repacked=is_repacked,
                )
                loaded, peak = asyncio.run(_measure(kind, path))  # type: ignore[arg-type]
            ratio = estimate.total_bytes / peak
            worst = max(worst, abs(ratio - 1))
            cells = (facts.weights_bytes, estimate.total_bytes, loaded, peak)
            print(
                f"| {kind} | {name} | " + " | ".join(f"{n / MIB:.1f}" for n in cells) + f" | {ratio:.3f} |", flush=True
            )
    print(f"\nfarthest from measured: {worst:.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
