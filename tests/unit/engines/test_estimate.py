"""Estimates of memory: the arithmetic, and real models of two runtimes held against it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from desktop.core.models import EngineName
from desktop.engines.estimate import Shape, kv_bytes, need
from desktop.engines.headers import read_facts
from tests.unit.engines.rig import answer, call, loaded

QWEN_7B = Shape(28, 4, 128, 3584, 18944, 152064)


@pytest.mark.parametrize(("bits", "kib"), [(16, 56), (8, 29.75), (4, 15.75)])
def test_keys_and_values_a_token(bits: int, kib: float) -> None:
    assert kv_bytes(QWEN_7B, 1000, bits) == int(kib * 1024 * 1000)


def test_hybrids_count_their_attention_layers_alone() -> None:
    hybrid = Shape(7, 4, 128, 3584, 18944, 152064)
    assert kv_bytes(hybrid, 1000) * 4 == kv_bytes(QWEN_7B, 1000)


def test_more_context_needs_more_and_a_smaller_cache_less() -> None:
    for upfront in (False, True):
        needs = [need(QWEN_7B, 4 * 10**9, n, has_kv_upfront=upfront).total_bytes for n in (1024, 4096, 32768)]
        assert needs == sorted(needs)
        small = need(QWEN_7B, 4 * 10**9, 32768, kv_bits=8, has_kv_upfront=upfront).total_bytes
        assert 4 * 10**9 < small < needs[-1]


async def test_a_real_model_stays_within_its_estimate(kind: EngineName, tiny_path: Path) -> None:
    """Of a model this small the runtime itself is most; `benchmarks.model_memory` holds larger ones to a tenth."""
    facts = read_facts(tiny_path)
    estimate = need(facts.shape, facts.weights_bytes, 1024, has_kv_upfront=kind == "gguf")
    async with loaded(kind, tiny_path, context_tokens=1024) as model:
        at_load = await model.memory_bytes()
        await answer(model, call("gene " * 300, n=8))
        held = await asyncio.wait_for(model.memory_bytes(), 10)
    assert at_load >= 0.9 * facts.weights_bytes
    assert held <= 1.25 * estimate.total_bytes
