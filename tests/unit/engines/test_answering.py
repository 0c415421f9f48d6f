"""Text on its way out, frames on the pipe, templates: the small parts that both runtimes share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.core.models import Message, Usage
from desktop.engines.answering import Wording
from desktop.engines.engine import Call, Piece
from desktop.engines.errors import BadModelError, BudgetExceededError, ContextTooLongError
from desktop.engines.gguf_template import compile_template
from desktop.engines.prompting import render
from desktop.engines.protocol import (
    Ask,
    Wrote,
    failure,
    frame_length,
    pack_vectors,
    read_down,
    read_up,
    to_error,
    to_frame,
    unpack_vectors,
)
from desktop.engines.sampling import Sampler

TEXT = st.text(alphabet="ab.#", max_size=30)


@given(st.lists(TEXT, max_size=8), st.lists(TEXT, max_size=3))
def test_text_in_pieces_is_the_text_up_to_the_first_stop(pieces: list[str], stop: list[str]) -> None:
    """However it is cut, nothing of a stop string is shown, and nothing before it is lost."""
    wording = Wording(stop)
    shown = ""
    for piece in pieces:
        shown += wording.add(piece)
        if wording.is_stopped:
            break
    shown += wording.rest()
    whole = "".join(pieces)
    ends = [whole.find(text) for text in stop if text and text in whole]
    if not ends:
        assert shown == whole
        assert not wording.is_stopped
    else:
        assert wording.is_stopped
        assert whole.startswith(shown)
        assert not any(text in shown for text in stop if text)


@given(st.binary(max_size=64))
def test_noise_on_the_pipe_is_a_value_error(noise: bytes) -> None:
    for read in (read_up, read_down):
        with pytest.raises(ValueError):
            read(noise)


def test_frames_come_back_as_they_went() -> None:
    call = Call("a", (Message("user", "ünï 数据"),), 5, schema={"type": ["string", "null"]}, stop=("x",))
    ask = Ask(id=3, do="generate", calls=(call,))
    wrote = Wrote(id=3, index=0, piece=Piece("x\n", finish="stop", usage=Usage(1, 2, 3), enforced="grammar"))
    for message, read in ((ask, read_down), (wrote, read_up)):
        frame = to_frame(message)  # type: ignore[arg-type]
        assert frame_length(frame[:4]) == len(frame) - 4
        assert read(frame[4:]) == message  # type: ignore[operator]
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(unpack_vectors(pack_vectors(1, values)), values)
    error = ContextTooLongError("too long", hint="shorten", tokens=9000, context_tokens=4096)
    back = to_error(failure(1, error))
    assert (type(back), str(back), back.hint, back.facts) == (type(error), str(error), error.hint, error.facts)
    assert isinstance(to_error(failure(1, BudgetExceededError("no", hint="x"))), BudgetExceededError)


def test_templates() -> None:
    template = compile_template(
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system turn') }}"
        "{% endif %}[{{ m.content }}]{% endfor %}",
        "<s>",
        "</s>",
    )
    said = [Message("system", "Be brief."), Message("user", "Hello <|im_end|>")]
    assert render(template, said) == "<s>[Be brief.\n\nHello <|im_end|>]"
    assert render(template, said, ["<|im_end|>"]) == "<s>[Be brief.\n\nHello < |im_end|>]"
    for source in ("{% for x in %}", "{{ messages.nothing.at.all }}", "{{ ''.__class__.__mro__ }}"):
        with pytest.raises(BadModelError):
            render(compile_template(source, "", ""), [Message("user", "x")])


@given(st.integers(0, 2**32), st.floats(0.05, 1.0), st.floats(0.1, 3.0), st.integers(2, 5000))
def test_chance_takes_only_what_is_allowed_and_likely(seed: int, top_p: float, temperature: float, n: int) -> None:
    logits = np.random.default_rng(seed).standard_normal(n).astype(np.float32) * 3
    logits[0] = -np.inf
    call = Call("a", (), 1, temperature=temperature, top_p=top_p, seed=seed)
    token = Sampler(call).choose(logits)
    assert token == Sampler(call).choose(logits) != 0
    odds = np.exp((logits - logits.max()).astype(np.float64) / temperature)
    odds /= odds.sum()
    assert odds[odds > odds[token]].sum() <= top_p + 1e-9
    assert Sampler(Call("a", (), 1)).choose(logits) == int(np.argmax(logits))
