"""Models on the command line and through the local API, with a real runtime and a tiny model of random weights."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import openai
import pytest

from tests.e2e.command import Command

SCHEMA = {
    "type": "object",
    "properties": {"kind": {"type": "string", "enum": ["de", "pca"]}},
    "required": ["kind"],
    "additionalProperties": False,
}


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
def with_model(command: Command, tiny_gguf: Path) -> Command:
    assert command("models", "import", tiny_gguf, "--name", "tiny", "--json").exit_code == 0
    return command


def test_without_a_model_it_says_what_to_do(command: Command) -> None:
    for words in (("generate", "hi"), ("embed", "hi")):
        answer = command(*words, "--json")
        assert answer.exit_code == 4
        assert answer.stdout == ""
        assert answer.error["code"] == "models.none"
        assert "benchtop models" in answer.error["hint"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param(("--tier", "huge"), "cli.usage", id="tier"),
        pytest.param(("--schema", "missing.json"), "cli.usage", id="no schema"),
        pytest.param(("--schema", "broken.json"), "cli.usage", id="broken schema"),
        pytest.param(("--schema", "odd.json"), "engines.unsupported_schema", id="schema outside the dialect"),
        pytest.param(("--model", "../../etc/passwd"), "models.none", id="a path as a model"),
    ],
)
def test_what_cannot_be_understood_is_said(command: Command, words: tuple[str, ...], code: str) -> None:
    (command.folder / "broken.json").write_text("{")
    (command.folder / "odd.json").write_text('{"type": "object", "patternProperties": {}}')
    answer = command("generate", "hi", *words, "--json")
    assert answer.exit_code in (2, 4)
    assert answer.error["code"] == code


def test_a_prompt_is_answered_held_to_a_schema_and_leaves_its_trace(with_model: Command) -> None:
    text = with_model("generate", "Which genes change?", "--max-tokens", "8")
    assert text.exit_code == 0
    assert text.stdout.strip()
    assert "tiny (gguf), 8 tokens" in text.stderr
    (with_model.folder / "schema.json").write_text(json.dumps(SCHEMA))
    answer = with_model("generate", "Which kind?", "--schema", "schema.json", "--json").json
    assert answer["value"]["kind"] in ("de", "pca")
    assert json.loads(answer["text"]) == answer["value"]
    assert (answer["model"], answer["engine"], answer["enforced"]) == ("tiny", "gguf", "grammar")


def test_the_local_api_serves_it_until_it_is_stopped(with_model: Command) -> None:
    process = with_model.start("serve", "--port", "0", "--json")
    try:
        assert process.stdout is not None
        lines = ""
        while not lines.rstrip().endswith("}"):
            lines += process.stdout.readline()
        door = json.loads(lines)
        with openai.OpenAI(base_url=door["url"], api_key=door["token"], timeout=60) as client:
            assert "tiny" in [model.id for model in client.models.list()]
            answer = client.chat.completions.create(
                model="tiny",
                messages=[{"role": "user", "content": "Which kind?"}],
                response_format={"type": "json_schema", "json_schema": {"name": "kind", "schema": SCHEMA}},
            )
            assert json.loads(answer.choices[0].message.content or "")["kind"] in ("de", "pca")
            stream = client.chat.completions.create(
                model="auto", messages=[{"role": "user", "content": "x"}], max_tokens=5, stream=True
            )
            assert [chunk for chunk in stream if chunk.choices and chunk.choices[0].finish_reason]
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
