"""generate and embed: a prompt from the terminal through the gateway; serve: the local API until Ctrl-C.

Each command is a home of its own: it loads the model it needs and unloads it on leaving. `serve` keeps them.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import secrets as chance
import sys
from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from desktop.cli.follow import cancelled
from desktop.cli.output import DONE, CommandError, print_json, stderr_console, stdout_console
from desktop.core.errors import CancelledByUserError
from desktop.core.models import Answer, Message, Prompt, Task, Tier

if TYPE_CHECKING:
    from desktop.cli.house import Bench, House
    from desktop.workers.runtime import JobRuntime

T = TypeVar("T")
TOKEN_NAME = "local_api_token"
_MOST_BYTES = 16 * 1024 * 1024
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Wish:
    """What `generate` was asked for. `prompt` "-" reads standard input."""

    prompt: str
    tier: Tier | None
    model: str
    schema: Path | None
    system: str
    max_tokens: int
    temperature: float
    may_leave: bool


def generate(house: House, wish: Wish, *, as_json: bool) -> int:
    """Answer a prompt; the text comes on stdout as it is written."""
    text = _stdin() if wish.prompt == "-" else wish.prompt
    if not text.strip():
        raise CommandError("There is no prompt.", hint="Type one in quotes, or - to read it from standard input.")
    if wish.tier and wish.model:
        raise CommandError("--tier and --model cannot go together.", hint="--model names one; leave --tier out.")
    system = (Message("system", wish.system),) if wish.system else ()
    prompt = Prompt(
        (*system, Message("user", text)),
        Task("cli.generate", is_private=not wish.may_leave),
        schema=_schema(wish.schema),
        max_tokens=wish.max_tokens,
        temperature=wish.temperature,
        tier=wish.tier,
        model=wish.model,
    )

    def show(piece: str) -> None:
        sys.stdout.write(piece)
        sys.stdout.flush()

    with house.open_bench(may_stand_beside=True) as bench:
        _check_trail(bench, wish)
        models = bench.workbench.models
        answer = _wait(bench.workbench.runtime, models.generate(prompt, on_text=None if as_json else show))
    if as_json:
        print_json(asdict(answer))
    else:
        show("\n")
        _print_note(answer)
    return DONE


def embed(house: House, texts: list[str], *, is_query: bool, as_json: bool) -> int:
    """Vectors of texts, one a line; with --json also the model and how it pools."""
    given = _stdin().splitlines() if texts == ["-"] else texts
    if not any(text.strip() for text in given):
        raise CommandError("There is no text.", hint="Give texts, or - to read one a line from standard input.")
    with house.open_bench(may_stand_beside=True) as bench:
        models = bench.workbench.models
        vectors = _wait(bench.workbench.runtime, models.embed(given, is_query=is_query))
    rows = [[round(float(x), 6) for x in row] for row in vectors.values]
    if as_json:
        print_json({"model": vectors.model, "pooling": vectors.pooling, "vectors": rows})
    else:
        for row in rows:
            stdout_console().print(json.dumps(row), markup=False)
    return DONE


def serve(house: House, port: int, *, as_json: bool) -> int:
    """Serve the local API until Ctrl-C."""
    with house.open_bench() as bench:
        token = bench.workbench.secrets.get(TOKEN_NAME)
        is_kept = token is not None
        token = token or chance.token_urlsafe(24)

        def say(url: str) -> None:
            if as_json:
                print_json({"url": f"{url}/v1", "token": token})
                return
            out = stderr_console()
            out.print(f"Local API: {url}/v1 (this machine only; Ctrl-C stops it)", markup=False)
            out.print(f"Token: {'the one in the keychain' if is_kept else token}", markup=False)

        serving = house.make_api(bench.workbench.models, port=port, token=token, on_ready=say)
        with contextlib.suppress(CancelledByUserError):  # Ctrl-C is how it ends
            _wait(bench.workbench.runtime, serving)
    return DONE


def _wait(runtime: JobRuntime, work: Coroutine[Any, Any, T]) -> T:
    """The result of work on the runtime's loop; Ctrl-C cancels it there first."""
    future = runtime.host(work)
    try:
        while True:
            with contextlib.suppress(concurrent.futures.TimeoutError):
                return future.result(_POLL_S)  # in slices: a blocked wait hears no signal on some systems
            if future.done():
                return future.result()
    except KeyboardInterrupt:
        future.cancel()
        raise cancelled() from None


def _check_trail(bench: Bench, wish: Wish) -> None:
    """What leaves must be in the real audit trail, which another Benchtop holds now."""
    if bench.is_beside and wish.may_leave:
        raise CommandError(
            "Another Benchtop is open and holds the audit trail, so nothing may be sent away from here.",
            hint="Close it first, or leave out --may-leave to use local models.",
        )


def _schema(file: Path | None) -> dict[str, Any] | None:
    if file is None:
        return None
    try:
        value = json.loads(file.read_bytes()[:_MOST_BYTES])
    except OSError as fault:
        raise CommandError(f"{file} cannot be read: {fault.strerror}.", hint="Give a JSON Schema.") from None
    except (ValueError, RecursionError) as fault:
        raise CommandError(f"{file} is not JSON: {fault}.", hint="Give a JSON Schema.") from None
    if not isinstance(value, dict):
        raise CommandError(f"{file} is not a JSON Schema.", hint='It must be an object such as {"type": "object", …}.')
    return value


def _stdin() -> str:
    data = sys.stdin.buffer.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise CommandError("The input is larger than 16 MiB.", hint="Give a shorter text.")
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise CommandError("The input is not UTF-8 text.", hint="Convert it first, such as with iconv.") from None


def _print_note(answer: Answer) -> None:
    """Who answered, on stderr; and why it is less than was asked for, when it is."""
    if answer.degraded:
        stderr_console().print(f"Note: {answer.degraded}", style="yellow", markup=False)
    rate = answer.usage.completion_tokens / max(answer.timing.total_s - answer.timing.first_token_s, 1e-3)
    words = f"{answer.model} ({answer.engine}), {answer.usage.completion_tokens} tokens, {rate:.0f} a second"
    stderr_console().print(words, style="dim", markup=False)
