"""What a chat template written by strangers may do to the process that renders it: nothing that lasts."""

from __future__ import annotations

import signal
import sys
import time

import pytest

from desktop.core.models import Message
from desktop.engines import prompting
from desktop.engines.errors import BadModelError
from desktop.engines.gguf_template import compile_template

TALK = (Message("system", "Be brief."), Message("user", "Hello"))


def rendered(source: str, messages: tuple[Message, ...] = TALK) -> str:
    return prompting.render(compile_template(source, "<s>", "</s>"), messages)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", id="for ever"),
        pytest.param("{% for a in range(50000) %}{{ 'x' * 99 }}{% endfor %}", id="far too much text"),
        pytest.param("{{ messages.__class__.__mro__[1].__subclasses__() }}", id="out of the sandbox"),
        pytest.param("{{ ''.__class__.__base__.__subclasses__()[0]() }}", id="out by a text"),
        pytest.param("{% include '/etc/passwd' %}", id="a file"),
        pytest.param("{{ messages.append(messages) }}", id="changing its input"),
        pytest.param("{{ raise_exception('no') }}", id="refusing"),
        pytest.param("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", id="endless recursion"),
        pytest.param(
            "{{ 'x' * 99999999999 }}",
            id="memory at once",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux only"),
        ),
    ],
)
def test_a_template_that_means_harm_is_a_typed_error(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompting, "_TEMPLATE_S", 0.3)
    handler, began_s = signal.getsignal(signal.SIGALRM), time.monotonic()
    with pytest.raises(BadModelError):
        rendered(source)
    assert time.monotonic() - began_s < 60
    assert signal.getsignal(signal.SIGALRM) is handler
    assert bytearray(1 << 20)


def test_a_template_without_a_system_turn_gets_its_text_in_the_users() -> None:
    source = (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "[{{ m.role }}] {{ m.content }}{% endfor %}"
    )
    assert rendered(source) == "[user] Be brief.\n\nHello"
    assert rendered(source, TALK[:1]) == "[user] Be brief."
