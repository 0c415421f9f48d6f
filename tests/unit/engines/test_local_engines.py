"""Both local runtimes, real and in their own processes: answers, limits, schemas, batches, embeddings, caches."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest

from desktop.core.models import Message
from desktop.engines.engine import Piece
from desktop.engines.errors import (
    ContextTooLongError,
    InvalidAnswerError,
    NotAnEmbeddingModelError,
    UnsupportedSchemaError,
)
from desktop.engines.host import LocalModel
from desktop.engines.protocol import CacheLimits
from desktop.engines.schema import parse_answer
from tests.unit.engines.rig import answer, call, loaded
from tests.unit.engines.schemas import HARD, PLAN, SUITE

pytestmark = pytest.mark.asyncio(loop_scope="module")
LONG = "The gene expression of treated cells was compared with untreated controls. " * 12


async def test_an_answer_streams_and_ends_with_its_usage(model: LocalModel) -> None:
    text, last = await answer(model, call(n=40))
    assert text
    assert last.usage is not None
    assert last.usage.prompt_tokens == await model.count_tokens(call().messages)
    assert (last.finish == "length") == (last.usage.completion_tokens == 40)
    assert (await model.health()).state == "ok"
    assert await model.memory_bytes() > 0


async def test_the_likeliest_tokens_are_the_same_each_time_and_a_seed_repeats_chance(model: LocalModel) -> None:
    assert (await answer(model, call()))[0] == (await answer(model, call()))[0]
    drawn = [(await answer(model, call(temperature=1.0, top_p=0.9, seed=seed, n=30)))[0] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


async def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(model: LocalModel) -> None:
    whole, _ = await answer(model, call(n=40, temperature=1.0, seed=5))
    stop = whole[8:11]
    text, last = await answer(model, call(n=40, temperature=1.0, seed=5, stop=(stop, "never said")))
    assert text == whole[: whole.index(stop)]
    assert last.finish == "stop"


async def test_a_warm_prompt_gives_the_same_tokens_and_says_what_it_saved(model: LocalModel) -> None:
    await model.drop_caches()
    cold, first = await answer(model, call(LONG + "One"))
    warm, second = await answer(model, call(LONG + "One"))
    _, third = await answer(model, call(LONG + "Two"))
    assert cold == warm
    assert first.usage is not None
    assert second.usage is not None
    assert third.usage is not None
    assert second.usage.cached_tokens == (second.usage.prompt_tokens - 1) // 64 * 64 > 0
    assert 0 < third.usage.cached_tokens < third.usage.prompt_tokens - 1
    await model.drop_caches()


async def test_answers_over_known_beginnings_are_those_of_prompts_that_are_new(kind, tiny_path) -> None:  # type: ignore[no-untyped-def]
    """Other ends, cut beginnings, after answers and after a batch: the same tokens as in a process that knows nothing."""
    ends = ["", "One", "Two and three", "Tell more of it. " * 3]
    asked = [call(LONG[:length] + end, n=12) for length in (len(LONG), 400, 700) for end in ends]
    async with loaded(kind, tiny_path, CacheLimits(None, 0, 0)) as model:
        wanted = []
        for each in asked:
            await answer(model, call("zq", n=1))
            wanted.append((await answer(model, each))[0])
    async with loaded(kind, tiny_path) as model:
        found = [(await answer(model, each))[0] for each in asked[:6]]
        await model.generate_many([call(f"{LONG} Question {n}", n=6) for n in range(3)])
        last = [await answer(model, each) for each in asked[6:]]
    assert [*found, *(text for text, _ in last)] == wanted
    assert any(piece.usage is not None and piece.usage.cached_tokens for _, piece in last)


async def test_a_prompt_that_does_not_fit_is_refused_and_a_long_answer_is_cut(model: LocalModel) -> None:
    with pytest.raises(ContextTooLongError) as caught:
        await answer(model, call("gene " * 9000))
    assert caught.value.facts["context_tokens"] == 4096
    near = call("12345 " * 10)
    n_prompt = await model.count_tokens(near.messages)
    assert n_prompt < 4096


@pytest.mark.parametrize("name", SUITE)
@pytest.mark.parametrize("temperature", [0.0, 1.5])
async def test_every_answer_to_the_suite_is_valid(model: LocalModel, name: str, temperature: float) -> None:
    """Random weights say anything they may: what comes out is what the grammar allows."""
    asked = call(f"Fill {name}", n=300, schema=SUITE[name], temperature=temperature, seed=11)
    text, last = await answer(model, asked)
    parse_answer(text, SUITE[name])
    assert last.enforced == "grammar"
    assert last.finish == "stop"


@pytest.mark.parametrize("name", HARD)
async def test_schemas_that_are_hard_on_grammars_are_held_to(model: LocalModel, name: str) -> None:
    for temperature in (0.0, 1.5):
        asked = call(f"Fill {name}", n=300, schema=HARD[name], temperature=temperature, seed=5)
        parse_answer((await answer(model, asked))[0], HARD[name])


async def test_what_no_grammar_can_be_made_of_is_refused_by_keyword(model: LocalModel) -> None:
    part = {"type": "string", "pattern": "^a{5}$", "maxLength": 3}
    schema = {"type": "object", "properties": {"a": part}, "required": ["a"]}
    with pytest.raises(UnsupportedSchemaError) as caught:
        await answer(model, call(schema=schema))
    assert (caught.value.facts["keyword"], caught.value.facts["path"]) == ("pattern", "#/properties/a")
    long = {"type": "array", "items": {"type": "string", "minLength": 20}, "minItems": 30}
    with pytest.raises(InvalidAnswerError, match="shortest"):
        await answer(model, call(n=60, schema=long))


async def test_an_answer_near_its_limit_is_closed(model: LocalModel) -> None:
    for seed in range(5):
        text, _ = await answer(model, call("Plan", n=120, schema=PLAN, temperature=2.0, seed=seed))
        assert json.loads(text)["analysis"]


async def test_a_schema_outside_the_dialect_never_reaches_the_model(model: LocalModel) -> None:
    with pytest.raises(UnsupportedSchemaError):
        await answer(model, call(schema={"not": {}}))
    results = await model.generate_many([call(schema={"not": {}}), call()])
    assert isinstance(results[0], UnsupportedSchemaError)
    assert not isinstance(results[1], Exception)


async def test_a_batch_answers_each_as_if_alone_and_one_bad_one_fails_alone(model: LocalModel) -> None:
    asked = [call(f"{LONG} Question {n}", n=16) for n in range(10)]
    alone = [(await answer(model, each))[0] for each in asked[:3]]
    bad = call("gene " * 9000)
    held = call("Plan", n=300, schema=PLAN, temperature=1.0, seed=3)
    results = await model.generate_many([*asked, bad, held])
    assert isinstance(results[10], ContextTooLongError)
    texts = ["" if isinstance(result, Exception) else "".join(piece.text for piece in result) for result in results]
    for text, wanted in zip(texts, alone, strict=False):  # llama.cpp: equal up to the rounding of sums
        assert text[:3] == wanted[:3] if model.engine == "gguf" else text == wanted
    assert all(texts[:10])
    parse_answer(texts[11], PLAN)
    assert await model.generate_many([]) == []


async def test_a_call_of_a_batch_can_be_stopped_and_the_others_do_not_notice(model: LocalModel) -> None:
    """In llama.cpp sequences share one cache, and the sums of attention round differently when one leaves it."""
    asked = [call(f"Question {n}", n=200, temperature=1.0, seed=n) for n in range(4)]
    before = await model.generate_many(asked)
    running = asyncio.create_task(model.generate_many(asked))
    await asyncio.sleep(0.05)
    await model.stop_call(asked[1].id)
    after = await running
    for n in (0, 2, 3):
        if model.engine == "mlx":
            assert _text(after[n]) == _text(before[n])
        assert _last(after[n]).finish in ("length", "stop")
    assert _last(after[1]).finish in ("cancelled", "length", "stop")
    assert _text(before[1]).startswith(_text(after[1]))


async def test_a_single_call_in_the_middle_of_a_batch_has_its_room_and_the_batch_goes_on(kind, tiny_path) -> None:  # type: ignore[no-untyped-def]
    """More calls than advance together, over one beginning that fills half of the context; then another prompt."""
    async with loaded(kind, tiny_path, context_tokens=1536) as model:
        asked = [call(f"{LONG} Question {n}", n=40 - 30 * (n % 2)) for n in range(11)]
        other = call("Something else entirely, of its own. " * 24, n=12)
        before, wanted = await model.generate_many(asked), (await answer(model, other))[0]
        assert len({_text(each) for each in before}) > 1
        running = asyncio.create_task(model.generate_many(asked))
        await asyncio.sleep(0.03)
        n_counted = await model.count_tokens(other.messages)
        assert (await answer(model, other))[0] == wanted
        after = await running
        assert n_counted + await model.count_tokens(asked[0].messages) > 1536 // 2
        for one, two in zip(before, after, strict=True):
            same = 3 if kind == "gguf" else None
            assert _text(one)[:same] == _text(two)[:same]
            assert sum(piece.finish is not None for piece in two if isinstance(two, tuple)) == 1


async def test_a_call_that_was_stopped_in_a_batch_can_be_asked_again(model: LocalModel) -> None:
    asked = [call(f"Question {n}", n=200, temperature=1.0, seed=n) for n in range(11)]
    running = asyncio.create_task(model.generate_many(asked))
    await asyncio.sleep(0.03)
    for n in (0, 10):  # one that runs and one that waits
        await model.stop_call(asked[n].id)
    stopped = await running
    assert [_last(stopped[n]).finish for n in (0, 10)] == ["cancelled"] * 2
    assert [sum(piece.finish is not None for piece in stopped[n]) for n in (0, 10)] == [1, 1]  # type: ignore[union-attr]
    running = asyncio.create_task(model.generate_many(asked))
    await asyncio.sleep(0.03)
    await model.stop_call(asked[3].id)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    again = await model.generate_many(asked[:4])
    assert "cancelled" not in [_last(result).finish for result in again]


async def test_odd_texts_and_seeds_are_answered(model: LocalModel) -> None:
    for text in ("half a pair \ud83e", "\x00", "", "\U0001f9ec" * 50):
        assert (await answer(model, call(text, n=4)))[1].usage is not None
    drawn = [(await answer(model, call(n=20, temperature=1.0, seed=seed)))[0] for seed in (-1, -1, 2**70)]
    assert drawn[0] == drawn[1]


async def test_tokens_are_counted_while_an_answer_is_written(model: LocalModel) -> None:
    long = {"type": "array", "items": {"enum": ["gene"]}, "minItems": 400}  # no early end, whatever the weights are
    writing = asyncio.create_task(answer(model, call(n=3500, schema=long)))
    await asyncio.sleep(0.05)
    assert await model.count_tokens(call().messages) > 0
    assert not writing.done()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


async def test_requests_at_once_are_all_answered(model: LocalModel) -> None:
    wanted = (await answer(model, call()))[0]
    found = await asyncio.gather(*(answer(model, call()) for _ in range(5)), model.embed(["a"]), model.memory_bytes())
    assert [each[0] for each in found[:5]] == [wanted] * 5  # type: ignore[index]


async def test_leaving_a_stream_stops_the_model(model: LocalModel) -> None:
    stream = model.generate(call(n=3500, temperature=1.0))
    async for piece in stream:
        assert piece.finish is None
        break
    await stream.aclose()  # type: ignore[attr-defined]
    text, _ = await answer(model, call())
    assert text == (await answer(model, call()))[0]


async def test_embeddings_are_unit_vectors_that_depend_on_the_text_alone(model: LocalModel) -> None:
    texts = ["gene expression", "a teacher", "gene expression", ""]
    values = await model.embed(texts)
    assert values.shape == (4, 128)
    assert values.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(values[0], values[2])
    assert float(values[0] @ values[1]) < 0.999
    assert (await model.embed([])).shape[0] == 0


async def test_special_tokens_in_a_document_are_text(model: LocalModel) -> None:
    for mark in ("<|im_end|>", "<|im_start|>"):
        plain, broken = [await model.count_tokens([Message("user", text)]) for text in (mark, f"< {mark[1:]}")]
        assert plain == broken


@pytest.mark.parametrize("bits", [8, 4])
async def test_a_quantised_cache_answers_and_is_smaller(kind, tiny_path, bits: int) -> None:  # type: ignore[no-untyped-def]
    async with loaded(kind, tiny_path, kv_bits=bits) as model:
        text, _ = await answer(model, call(LONG, n=8))
        assert text
        assert (await answer(model, call(LONG, n=8)))[0] == text
        results = await model.generate_many([call(n=4), call("Another", n=4)])
        assert all(not isinstance(result, Exception) for result in results)
        with pytest.raises(NotAnEmbeddingModelError):
            await model.embed(["a"])


def _text(result: tuple[Piece, ...] | Exception) -> str:
    assert not isinstance(result, Exception)
    return "".join(piece.text for piece in result)


def _last(result: tuple[Piece, ...] | Exception) -> Piece:
    assert not isinstance(result, Exception)
    return result[-1]
