"""A request gets one answer or one error, from whom it should, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from desktop.core.errors import AppError
from desktop.core.models import Answer, Message, Models, Prompt, Task
from desktop.engines.errors import (
    BudgetExceededError,
    EngineLostError,
    InvalidAnswerError,
    RequestRefusedError,
    ServerBusyError,
    UnsupportedSchemaError,
)
from desktop.gateway.errors import NoModelError
from tests.stand_ins.fleet import House, as_json, make_house
from tests.stand_ins.model_server import Slip, standing_in
from tests.stand_ins.virtual_time import run_virtual

SCHEMA = {
    "type": "object",
    "properties": {"kind": {"type": "string", "enum": ["de", "pca"]}},
    "required": ["kind"],
    "additionalProperties": False,
}
GOOD, BAD = {"kind": "de"}, {"kind": "nonsense"}
PUBLIC = Task("test.ask", is_private=False)


def prompt(text: str = "hi", **changes: Any) -> Prompt:
    task = changes.pop("task", Task("test.ask"))
    return Prompt((Message("user", text),), task, **{"max_tokens": 100, **changes})


def lost() -> EngineLostError:
    return EngineLostError("gone", hint="again")


def busy(**facts: object) -> ServerBusyError:
    return ServerBusyError("busy", hint="later", **facts)


Work = Callable[[House], Coroutine[Any, Any, Any]]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    """run(work, small="…"): `work(house)` in virtual time, over a small, a medium and a large local model."""

    def run_it(work: Work, **settings: Any) -> Any:
        async def main() -> Any:
            house = make_house(tmp_path, **settings)
            for tier in ("small", "medium", "large"):
                house.fleet.add(tier, tier, is_loaded=True)  # type: ignore[arg-type]
            return await work(house)

        return run_virtual(main())

    return run_it


def test_the_gateway_is_what_studios_are_promised(run: Callable[..., Any]) -> None:
    async def work(house: House) -> Answer:
        models: Models = house.gateway
        return await models.generate(prompt("hello"))

    answer = run(work)
    assert (answer.text, answer.model, answer.engine, answer.tier) == ("echo hello", "small", "gguf", "small")
    assert (answer.finish, answer.attempts, answer.degraded) == ("stop", 1, "")
    assert answer.usage.completion_tokens == 2
    assert answer.timing.total_s >= answer.timing.first_token_s > 0
    assert answer.why


def test_text_comes_piece_by_piece(run: Callable[..., Any]) -> None:
    async def work(house: House) -> list[str]:
        pieces: list[str] = []
        answer = await house.gateway.generate(prompt("a b c"), on_text=pieces.append)
        assert "".join(pieces) == answer.text
        return pieces

    assert run(work) == ["echo", " a", " b", " c"]


def test_an_invalid_answer_is_repaired_once_then_a_larger_model_is_asked(run: Callable[..., Any]) -> None:
    async def work(house: House) -> Answer:
        house.fleet.models["small"].says = as_json(BAD)
        house.fleet.models["medium"].says = as_json(GOOD)
        pieces: list[str] = []
        answer = await house.gateway.generate(prompt(schema=SCHEMA), on_text=pieces.append)
        repair = house.fleet.models["small"].calls[1].messages
        assert [m.role for m in repair] == ["user", "assistant", "user"]
        assert "nonsense" in repair[1].content
        assert "de" in repair[2].content or "enum" in repair[2].content or "one of" in repair[2].content
        assert pieces == [answer.text]
        return answer

    answer = run(work)
    assert (answer.value, answer.model, answer.attempts, answer.enforced) == (GOOD, "medium", 3, "grammar")


def test_a_repaired_answer_is_taken(run: Callable[..., Any]) -> None:
    async def work(house: House) -> Answer:
        house.fleet.models["small"].says = lambda call: json.dumps(BAD if len(call.messages) == 1 else GOOD)
        return await house.gateway.generate(prompt(schema=SCHEMA))

    answer = run(work)
    assert (answer.value, answer.model, answer.attempts) == (GOOD, "small", 2)


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"kind": "de"}\n```',
        '<think>hm {"kind": "pca"}</think>\n{"kind": "de"}',
        'hm</think>{"kind": "de"}',
    ],
)
def test_wrapping_around_json_is_taken_off(run: Callable[..., Any], text: str) -> None:
    async def work(house: House) -> Answer:
        house.fleet.models["small"].says = lambda call: text
        return await house.gateway.generate(prompt(schema=SCHEMA))

    answer = run(work)
    assert (answer.value, answer.attempts) == (GOOD, 1)


def test_nobody_valid_is_an_error_and_no_answer(run: Callable[..., Any]) -> None:
    async def work(house: House) -> None:
        for model in house.fleet.models.values():
            model.says = as_json(BAD)
        pieces: list[str] = []
        with pytest.raises(InvalidAnswerError):
            await house.gateway.generate(prompt(schema=SCHEMA), on_text=pieces.append)
        assert pieces == []
        assert [len(house.fleet.models[tier].calls) for tier in ("small", "medium", "large")] == [2, 2, 2]

    run(work)


def test_a_prompts_own_check_counts_like_the_schema(run: Callable[..., Any]) -> None:
    def check(text: str) -> str | None:
        return None if text.startswith("medium") else "there is no such column"

    async def work(house: House) -> Answer:
        house.fleet.models["medium"].says = lambda call: "medium says"
        return await house.gateway.generate(prompt(check=check))

    answer = run(work)
    assert (answer.text, answer.attempts) == ("medium says", 3)


def test_a_schema_outside_the_dialect_is_refused_before_anyone_is_asked(run: Callable[..., Any]) -> None:
    async def work(house: House) -> None:
        with pytest.raises(UnsupportedSchemaError):
            await house.gateway.generate(prompt(schema={"type": "object", "patternProperties": {}}))
        assert not any(model.calls for model in house.fleet.models.values())

    run(work)


def test_a_failing_model_is_left_for_the_next_and_that_is_said(run: Callable[..., Any]) -> None:
    async def work(house: House) -> Answer:
        house.fleet.models["medium"].faults = [BudgetExceededError("does not fit", hint="x")]
        house.fleet.models["large"].faults = [lost()]
        return await house.gateway.generate(prompt(task=Task("test.ask", has_code=True)))

    answer = run(work)
    assert (answer.model, answer.attempts) == ("small", 3)
    assert "does not fit" in answer.degraded
    assert any("gone" in reason for reason in answer.why)


def test_a_crash_is_not_replayed_on_the_model_that_crashed(run: Callable[..., Any]) -> None:
    async def work(house: House) -> None:
        house.fleet.models["small"].faults = [lost()] * 9
        await house.gateway.generate(prompt())
        assert len(house.fleet.models["small"].calls) == 1

    run(work)


def test_text_that_was_shown_is_never_begun_again(run: Callable[..., Any]) -> None:
    async def work(house: House) -> None:
        for code_path in (lost(), busy()):
            small = house.fleet.models["small"]
            small.faults, small.fault_after, small.calls = [code_path], 2, []
            pieces: list[str] = []
            with pytest.raises(type(code_path)):
                await house.gateway.generate(prompt("a b c"), on_text=pieces.append)
            assert "".join(pieces) == "echo a"
            assert len(small.calls) == 1
        small.faults, small.fault_after = [lost()], 2
        answer = await house.gateway.generate(prompt("unseen"))  # nobody saw half of it
        assert answer.text == "echo unseen"

    run(work)


def test_a_busy_model_is_tried_again_after_as_long_as_it_asks(run: Callable[..., Any]) -> None:
    async def work(house: House) -> tuple[Answer, float]:
        house.fleet.models["small"].faults = [busy(retry_after_s=4)]
        began_s = asyncio.get_running_loop().time()
        answer = await house.gateway.generate(prompt())
        return answer, asyncio.get_running_loop().time() - began_s

    answer, took_s = run(work)
    assert answer.model == "small"
    assert 4 <= took_s < 5


def test_a_hanging_model_is_given_up(run: Callable[..., Any]) -> None:
    async def work(house: House) -> Answer:
        house.fleet.models["small"].hang = 0
        house.fleet.models["medium"].hang = 1
        return await house.gateway.generate(prompt("x y"))

    answer = run(work)
    assert answer.model == "large"
    assert [code for reason in answer.why for code in ("did not begin", "stopped in the middle") if code in reason]


def test_the_breaker_opens_after_three_failures_probes_once_and_closes(run: Callable[..., Any]) -> None:
    async def work(house: House) -> None:
        small = house.fleet.models["small"]
        small.faults = [lost()] * 3
        for number in range(6):
            await house.gateway.generate(prompt(str(number)))
        assert len(small.calls) == 3
        await asyncio.sleep(31)
        small.piece_s = 1
        answers = await asyncio.gather(*(house.gateway.generate(prompt(f"again {n}")) for n in range(5)))
        assert sorted(answer.model for answer in answers) == ["medium"] * 4 + ["small"]
        assert (await house.gateway.generate(prompt("after"))).model == "small"

    run(work)


def test_cancels_and_refusals_leave_the_breaker_alone(run: Callable[..., Any]) -> None:
    async def work(house: House) -> None:
        small = house.fleet.models["small"]
        small.faults = [RequestRefusedError("no", hint="x") for _ in range(5)]
        for number in range(5):
            await house.gateway.generate(prompt(str(number)))
        small.piece_s = 10
        for number in range(5):
            task = asyncio.ensure_future(house.gateway.generate(prompt(f"cancelled {number}")))
            await asyncio.sleep(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        small.piece_s = 0.01
        assert (await house.gateway.generate(prompt("after"))).model == "small"
        assert small.running == 0
        assert house.fleet.leases["small"] == 0

    run(work)


def rule_of_test(asked: Prompt) -> Any:
    return {"kind": "pca"} if asked.schema else "by the book"


def test_the_rule_is_the_floor_and_says_so(run: Callable[..., Any]) -> None:
    async def work(house: House) -> None:
        for model in house.fleet.models.values():
            model.faults = [lost() for _ in range(99)]
        pieces: list[str] = []
        answer = await house.gateway.generate(prompt(), on_text=pieces.append)
        assert (answer.text, answer.engine, pieces) == ("by the book", "rules", ["by the book"])
        assert "gone" in answer.degraded
        assert (await house.gateway.generate(prompt(schema=SCHEMA))).value == {"kind": "pca"}
        with pytest.raises(AppError):
            await house.gateway.generate(prompt(task=Task("test.other")))

    run(work, rules={"test.ask": f"{__name__}:rule_of_test"})


def test_without_any_model_the_error_says_what_to_do(tmp_path: Path) -> None:
    async def work() -> None:
        house = make_house(tmp_path)
        with pytest.raises(NoModelError) as caught:
            await house.gateway.generate(prompt())
        assert "Models page" in caught.value.hint
        with pytest.raises(NoModelError):
            await house.gateway.embed(["x"])

    run_virtual(work())


def test_a_persons_choice_is_kept_to(run: Callable[..., Any]) -> None:
    async def work(house: House) -> None:
        assert (await house.gateway.generate(prompt(tier="medium"))).model == "medium"
        house.fleet.models["large"].faults = [lost()]
        with pytest.raises(EngineLostError):
            await house.gateway.generate(prompt("other", tier="large"))

    run(work)


def test_the_model_named_in_the_settings_comes_first(run: Callable[..., Any]) -> None:
    async def work(house: House) -> list[str]:
        house.fleet.add("other-small", "small", is_loaded=True)
        first = await house.gateway.generate(prompt())
        house.fleet.models["other-small"].faults = [lost()]
        return [first.model, (await house.gateway.generate(prompt("again"))).model]

    assert run(work, small="other-small") == ["other-small", "small"]


def test_two_runtimes_of_one_model_share_the_load(tmp_path: Path) -> None:
    async def work() -> tuple[int, int]:
        house = make_house(tmp_path)
        mlx = house.fleet.add("q-mlx", "small", engine="mlx", family="q", is_loaded=True, piece_s=0.1)
        gguf = house.fleet.add("q-gguf", "small", engine="gguf", family="q", is_loaded=True, piece_s=0.1)
        await asyncio.gather(*(house.gateway.generate(prompt(f"text {n}")) for n in range(200)))
        assert mlx.most_running == gguf.most_running == 1
        return len(mlx.calls), len(gguf.calls)

    one, two = run_virtual(work())
    assert one + two == 200
    assert abs(one - two) <= 6


def test_a_second_runtime_is_loaded_only_when_the_first_is_busy(tmp_path: Path) -> None:
    async def work() -> None:
        house = make_house(tmp_path)
        house.fleet.add("q-mlx", "small", engine="mlx", family="q", is_loaded=True, piece_s=0.1)
        gguf = house.fleet.add("q-gguf", "small", engine="gguf", family="q", piece_s=0.1)
        for number in range(5):
            await house.gateway.generate(prompt(str(number)))
        assert gguf.calls == []
        await asyncio.gather(*(house.gateway.generate(prompt(f"more {n}")) for n in range(20)))
        assert gguf.calls

    run_virtual(work())


def test_interactive_requests_go_before_bulk_work_and_are_not_delayed(tmp_path: Path) -> None:
    async def work() -> None:
        house = make_house(tmp_path)
        small = house.fleet.add("small", "small", is_loaded=True)
        now_s = asyncio.get_running_loop().time
        began_s = now_s()
        await house.gateway.generate(prompt("alone"))
        assert now_s() - began_s < 0.05
        bulk = asyncio.ensure_future(house.gateway.generate_many([prompt(f"bulk {n}") for n in range(40)]))
        await asyncio.sleep(0.1)
        began_s = now_s()
        await house.gateway.generate(prompt("now please"))
        assert now_s() - began_s < 0.5  # the batch under way, no other
        assert not bulk.done()
        answers = await bulk
        assert [answer.text for answer in answers if isinstance(answer, Answer)] == [
            f"echo bulk {n}" for n in range(40)
        ]
        assert small.batches == [16, 16, 8]

    run_virtual(work())


def test_one_bad_item_does_not_fail_the_batch(tmp_path: Path) -> None:
    async def work() -> list[Answer | AppError]:
        house = make_house(tmp_path)
        small = house.fleet.add("small", "small", is_loaded=True)
        small.faults = [RequestRefusedError("not this one", hint="x")]
        return await house.gateway.generate_many([prompt(f"item {n}") for n in range(5)])

    first, *rest = run_virtual(work())
    assert isinstance(first, RequestRefusedError)
    assert [answer.text for answer in rest if isinstance(answer, Answer)] == [f"echo item {n}" for n in range(1, 5)]


def test_the_model_is_told_who_left_a_batch(tmp_path: Path) -> None:
    async def work() -> None:
        house = make_house(tmp_path)
        small = house.fleet.add("small", "small", is_loaded=True, piece_s=1)
        task = Task("test.ask", is_bulk=True)
        asked = [asyncio.ensure_future(house.gateway.generate(prompt(str(n), task=task))) for n in range(3)]
        await asyncio.sleep(0.5)
        asked[1].cancel()
        done = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(one) for one in done] == [Answer, asyncio.CancelledError, Answer]
        assert len(small.stopped) == 1

    run_virtual(work())


def test_repeated_requests_are_answered_from_memory_until_told_otherwise(run: Callable[..., Any]) -> None:
    async def work(house: House) -> None:
        small = house.fleet.models["small"]
        first, pieces = await house.gateway.generate(prompt()), []
        again = await house.gateway.generate(prompt(), on_text=pieces.append)
        assert (first.is_from_cache, again.is_from_cache, again.text) == (False, True, first.text)
        assert pieces == [first.text]
        assert house.gateway.cache.invalidate("medium") == 0
        assert house.gateway.cache.invalidate("small") == 1
        await house.gateway.generate(prompt())
        assert len(small.calls) == 2
        for changed in (prompt(max_tokens=5), prompt(task=PUBLIC), prompt(temperature=0.5), prompt(temperature=0.5)):
            await house.gateway.generate(changed)
        assert len(small.calls) == 6
        house.flags_file.write_text("answer_cache: {enabled: false}\n")
        await house.gateway.generate(prompt())
        assert len(small.calls) == 7

    run(work)


def test_the_same_request_at_the_same_time_is_asked_once(run: Callable[..., Any]) -> None:
    async def work(house: House) -> None:
        small = house.fleet.models["small"]
        seen: list[list[str]] = [[] for _ in range(5)]
        tasks = [asyncio.ensure_future(house.gateway.generate(prompt("a b c d"), on_text=s.append)) for s in seen[:4]]
        await asyncio.sleep(0.025)
        tasks.append(asyncio.ensure_future(house.gateway.generate(prompt("a b c d"), on_text=seen[4].append)))
        tasks[0].cancel()  # who began it
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(done[0], asyncio.CancelledError)
        assert {answer.text for answer in done[1:] if isinstance(answer, Answer)} == {"echo a b c d"}
        assert all("".join(pieces) == "echo a b c d" for pieces in seen[1:])
        assert len(small.calls) == 1

        tasks = [asyncio.ensure_future(house.gateway.generate(prompt("e f g h"))) for _ in range(3)]
        await asyncio.sleep(0.015)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert small.running == 0  # nobody wants it any more
        assert (await house.gateway.generate(prompt("e f g h"))).text == "echo e f g h"

    run(work)


def test_a_degraded_answer_is_not_remembered(run: Callable[..., Any]) -> None:
    async def work(house: House) -> None:
        task = Task("test.ask", has_code=True)
        for model in ("medium", "large"):
            house.fleet.models[model].faults = [lost()]
        assert (await house.gateway.generate(prompt(task=task))).degraded
        assert not (await house.gateway.generate(prompt(task=task))).degraded

    run(work)


def test_a_model_that_took_another_one_s_name_answers_for_itself(run: Callable[..., Any]) -> None:
    async def work(house: House) -> list[str]:
        texts = [(await house.gateway.generate(prompt())).text]
        house.fleet.add("small", "small", is_loaded=True, says=lambda call: "another", version="2")
        texts += [(await house.gateway.generate(prompt())).text for _ in range(2)]
        return [*texts, str(house.gateway.metrics.counters["cache_hits"])]

    assert run(work) == ["echo hi", "another", "another", "1"]


def test_escalation_can_be_switched_off(run: Callable[..., Any]) -> None:
    async def work(house: House) -> None:
        house.flags_file.write_text("escalation: {enabled: false}\n")
        house.fleet.models["small"].says = as_json(BAD)
        with pytest.raises(InvalidAnswerError):
            await house.gateway.generate(prompt(schema=SCHEMA))
        assert house.fleet.models["medium"].calls == []

    run(work)


def test_figures_and_decisions_are_kept(run: Callable[..., Any]) -> None:
    async def work(house: House) -> None:
        house.fleet.models["medium"].faults = [lost()]
        for number in range(3):
            await house.gateway.generate(prompt(str(number), task=Task("test.ask", has_code=number == 2)))
        figures = {f.model: f for f in house.gateway.metrics.figures()}
        assert figures["small"].requests == 2
        assert figures["medium"].failures == {"engines.lost": 1}
        assert figures["small"].completion_tokens == 4
        assert 0 < figures["small"].first_token_s.p50 <= figures["small"].total_s.p99
        assert figures["small"].tokens_per_s == pytest.approx(100, rel=0.1)
        last = house.gateway.routed[-1]
        assert (last.kind, last.decision.tier, last.answered_by) == ("test.ask", "medium", "large")
        assert last.tried == ("medium: gone",)
        text = house.gateway.to_prometheus()
        assert 'benchtop_request_failures_total{model="medium",code="engines.lost"} 1' in text
        assert 'benchtop_first_token_seconds{model="small",quantile="0.95"}' in text

    run(work)


def test_the_state_of_everything_is_json_and_models_are_loaded_by_name(run: Callable[..., Any]) -> None:
    async def work(house: House) -> None:
        await house.gateway.generate(prompt())
        status = json.loads(json.dumps(house.gateway.status(), allow_nan=False))
        row = next(row for row in status["models"] if row["id"] == "small")
        assert (row["tier"], row["is_loaded"], row["breaker"], row["figures"]["requests"]) == (
            "small",
            True,
            "closed",
            1,
        )
        assert status["decisions"][-1]["answered_by"] == "small"
        assert set(status["flags"]) == {"answer_cache", "batching", "escalation"}
        await house.gateway.unload("small")
        assert not house.fleet.status()[0].is_loaded
        await house.gateway.load("small")
        assert house.fleet.status()[0].is_loaded
        for name in ("nobody", "far"):
            with pytest.raises(NoModelError):
                await house.gateway.load(name)

    run(work)


def test_embeddings_come_from_the_embedding_model(tmp_path: Path) -> None:
    async def work() -> None:
        house = make_house(tmp_path)
        house.fleet.add("small", "small")
        model = house.fleet.add("e5", None, pooling="mean", query_prefix="query: ")
        vectors = await house.gateway.embed([str(n) for n in range(130)])
        assert (vectors.values.shape, vectors.model, vectors.pooling) == ((130, 2), "e5", "mean")
        assert model.batches == [64, 64, 2]
        asked = await house.gateway.embed(["x"], is_query=True)
        assert asked.values[0, 0] == len("query: x")
        assert (await house.gateway.embed([])).values.shape[0] == 0
        assert np.isfinite(vectors.values).all()

    run_virtual(work())


# ---- with a server ---------------------------------------------------------------------------------------------------


def server_house(folder: Path, url: str, *, allowed: bool = True, **settings: Any) -> House:
    server = {"id": "far", "url": url, "model": "m-1", "first_token_s": 5, "stall_s": 5, "total_s": 20}
    return make_house(folder, servers=[server], allowed=["far"] if allowed else [], **settings)


async def test_private_tasks_never_leave_whatever_the_settings_say(tmp_path: Path) -> None:
    with standing_in() as server:
        house = server_house(tmp_path, server.base)
        for changed in (prompt(), prompt(tier="large"), prompt("x" * 900_000), prompt(task=Task("t", lowest="large"))):
            with pytest.raises(AppError):
                await house.gateway.generate(changed)
        await house.gateway.generate_many([prompt(str(n)) for n in range(3)])
        assert server.asked == []
        assert house.outside.departed == []


async def test_a_public_task_goes_to_the_server_when_that_is_allowed_and_only_then(tmp_path: Path) -> None:
    with standing_in() as server:
        with pytest.raises(NoModelError):
            await server_house(tmp_path, server.base, allowed=False).gateway.generate(prompt(task=PUBLIC))
        assert server.asked == []
        house = server_house(tmp_path, server.base)
        answer = await house.gateway.generate(prompt("hi", task=PUBLIC))
        assert (answer.text, answer.engine, answer.model, answer.degraded) == ("You said hi", "openai", "far", "")
        assert house.outside.departed == ["far"]


async def test_local_first_then_the_server_then_the_rule(tmp_path: Path) -> None:
    with standing_in() as server:
        house = server_house(tmp_path, server.base, rules={"test.ask": f"{__name__}:rule_of_test"})
        small = house.fleet.add("small", "small", is_loaded=True, piece_s=0)
        engines = [(await house.gateway.generate(prompt("1", task=PUBLIC))).engine]
        small.faults = [lost(), lost()]
        engines.append((await house.gateway.generate(prompt("2", task=PUBLIC))).engine)
        server.slip(Slip(status=401))
        engines.append((await house.gateway.generate(prompt("3", task=PUBLIC))).engine)
    assert engines == ["gguf", "openai", "rules"]


async def test_no_more_tokens_leave_than_the_settings_allow(tmp_path: Path) -> None:
    with standing_in() as server:
        house = server_house(tmp_path, server.base, remote_tokens=20)
        for number in range(2):
            await house.gateway.generate(prompt(str(number), task=PUBLIC))
        with pytest.raises(NoModelError):
            await house.gateway.generate(prompt("3", task=PUBLIC))
        assert len(server.asked) == 2
