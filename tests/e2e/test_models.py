"""Models on the command line and through the local API, with a real runtime and a tiny model of random weights."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import openai
import psutil
import pytest

from desktop.core.paths import Paths
from tests.e2e.command import Command
from tests.stand_ins.model_server import standing_in

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
        pytest.param(("--tier", "large", "--model", "tiny"), "cli.usage", id="a tier and a model"),
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
    assert answer.exit_code == (4 if code == "models.none" else 2)
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


def test_a_prompt_goes_to_a_server_only_when_all_agree_and_is_in_the_trail(tmp_path: Path) -> None:
    with standing_in(token="s3cret") as server:
        known = f"[{{id: gpu-box, url: '{server.base}', model: m-1}}]"
        command = Command(tmp_path, {"BENCHTOP_SERVERS__KNOWN": known})
        asked = ("generate", "hello", "--json")
        assert command(*asked).error["code"] == "models.none"
        assert command(*asked, "--may-leave").error["code"] == "models.none"
        command.environ["BENCHTOP_NET__ALLOWED"] = "[gpu-box]"
        assert command(*asked).error["code"] == "models.none"  # private, as everything is without --may-leave
        assert server.asked == []
        refused = command(*asked, "--may-leave")
        assert refused.error["code"] == "engines.not_authorised"
        assert "keychain" in refused.error["hint"]
        server.token = ""
        answer = command(*asked, "--may-leave").json
        assert (answer["text"], answer["engine"]) == ("You said hello", "openai")
    with contextlib.closing(sqlite3.connect(Paths(command.home).store)) as store:
        rows = [what for (what,) in store.execute("SELECT what FROM audit WHERE by = 'rule:net_consent' ORDER BY seq")]
    assert rows == [f"asked gpu-box: POST {server.base}/v1/chat/completions"] * 2


def test_stopping_leaves_no_model_behind(with_model: Command) -> None:
    process = with_model.start("generate", "Write for ever.", "--max-tokens", "3900", "--temperature", "1")
    assert process.stdout is not None
    assert process.stdout.read(1)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive


def until(is_so: Callable[[], bool], what: str) -> None:
    ends_s = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < ends_s, what
        time.sleep(0.02)


def test_other_commands_load_show_and_unload_in_the_running_one(with_model: Command, tiny_gguf: Path) -> None:
    assert with_model("models", "import", tiny_gguf, "--name", "second", "--json").exit_code == 0
    need = with_model("models", "fit", "second", "--json").json["need_bytes"]
    with_model.environ["BENCHTOP_MEMORY__BUDGET_GIB"] = str((need + 5_000_000) / 1024**3)
    process, door = with_model.start("serve", "--port", "0"), with_model.home / "running.json"
    try:
        until(door.exists, "the door")
        assert with_model("models", "load", "tiny").stdout == "tiny is loaded.\n"
        shown = with_model("models", "ps", "--json").json
        (slot,) = shown["slots"]
        assert (slot["id"], slot["state"], slot["leases"], shown["is_running"]) == ("tiny", "loaded", 0, True)
        fit = with_model("models", "fit", "second", "--json").json
        assert (fit["verdict"], fit["unload"]) == ("after", ["tiny"])
        assert "fits after unloading tiny" in fit["words"]
        away = with_model("models", "load", "qwen3-8b", "--json")
        assert (away.exit_code, away.error["code"]) == (4, "models.none")
        assert with_model("models", "unload", "tiny", "--json").json["freed_bytes"] == slot["bytes"]
        assert "Nothing is loaded: no model is in use" in with_model("models", "ps").stdout
        # a home of its own, beside: the same models, nothing in the running one
        assert with_model("generate", "hi", "--max-tokens", "4", "--json").json["engine"] == "gguf"
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert not door.exists()


def test_a_benchtop_that_was_killed_is_not_taken_for_a_running_one(with_model: Command) -> None:
    process, door = with_model.start("serve", "--port", "0"), with_model.home / "running.json"
    until(door.exists, "the door")
    assert door.stat().st_mode & 0o777 == 0o600
    process.kill()
    process.communicate(timeout=30)
    assert door.exists()
    assert with_model("models", "ps", "--json").json == {"is_running": False, "slots": []}
    refused = with_model("models", "load", "tiny", "--json")
    assert (refused.exit_code, refused.error["code"]) == (4, "models.nobody_home")
    assert "benchtop serve" in refused.error["hint"]


def test_a_reader_that_goes_away_ends_it_quietly(command: Command) -> None:
    process = command.start("models", "list", "--json")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert (process.wait(60), process.stderr.read()) == (0, "")
    process.stderr.close()
