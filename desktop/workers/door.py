"""The door of a running Benchtop for the command line beside it: what is in memory, load, unload, would it fit.

A line of JSON each way over loopback. The address and a token that opens it for this life only are in a file of the
data folder that nobody else may read; who holds the store's lock writes it and removes it. It is not the local API
(`desktop.api`): it runs no prompt, and nothing that goes through it leaves the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from desktop.core.errors import AppError, InputError
from desktop.core.jobs import JobError
from desktop.core.models import ModelRoom
from desktop.core.paths import Paths

_LOOPBACK = "127.0.0.1"
_LINE_BYTES = 64 * 1024
_GREETING_S = 5.0
_ANSWER_BYTES = 16 * 1024 * 1024
_log = logging.getLogger(__name__)


class NobodyHomeError(AppError):
    """No Benchtop runs with this data folder."""

    code = "models.nobody_home"


class NotAnsweringError(AppError):
    """A Benchtop runs with this data folder, and does not answer."""

    code = "models.not_answering"
    retryable = True


class BadQuestionError(InputError):
    """What was asked through the door is nothing it knows: another version asked."""

    code = "models.bad_question"


class TurnedDownError(Exception):
    """The running Benchtop could not do it; carries what it said."""

    def __init__(self, error: JobError) -> None:
        super().__init__(error.message)
        self.error = error


class Door:
    """Answers until `run` is cancelled, on the loop where models live."""

    def __init__(self, models: ModelRoom, paths: Paths) -> None:
        self._models, self._file = models, paths.running
        self._token = secrets.token_urlsafe(24)
        self._guests: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Open, answer, and leave no file behind."""
        try:
            server = await asyncio.start_server(self._on_guest, _LOOPBACK, 0, limit=_LINE_BYTES)
            port = server.sockets[0].getsockname()[1]
            _write_private(self._file, {"port": port, "pid": os.getpid(), "token": self._token})
        except OSError as fault:
            _log.warning("other commands cannot ask this Benchtop: %s", fault)
            return
        try:
            await asyncio.Event().wait()
        finally:
            self._file.unlink(missing_ok=True)
            server.close()
            for guest in self._guests:
                guest.cancel()
            await asyncio.gather(*self._guests, return_exceptions=True)

    async def _on_guest(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        guest = asyncio.ensure_future(self._serve(reader, writer))
        self._guests.add(guest)
        guest.add_done_callback(self._guests.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One question, one answer. Who hangs up stops what was asked for."""
        try:
            line = await asyncio.wait_for(reader.readline(), _GREETING_S)
            asked = _parsed(line)
            if not hmac.compare_digest(str(asked.get("token", "")).encode(), self._token.encode()):
                return
            work = asyncio.ensure_future(self._answer(asked))
            gone = asyncio.ensure_future(reader.read(1))
            try:
                await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    writer.write(json.dumps(work.result(), default=str).encode() + b"\n")
                    await writer.drain()
            finally:
                for task in (work, gone):
                    task.cancel()
                await asyncio.gather(work, gone, return_exceptions=True)
        except (TimeoutError, ValueError, OSError):
            pass  # no question, or nobody there any more
        finally:
            writer.close()

    async def _answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return {"value": await self._do(str(asked.get("do")), str(asked.get("model", "")), asked.get("context"))}
        except AppError as error:
            return {"error": error.to_json()}
        except Exception as error:
            _log.exception("a question of another command failed")
            words = f"The running Benchtop made a mistake ({type(error).__name__})."
            return {"error": {"code": "app.bug", "message": words, "hint": "Its log has the details."}}

    async def _do(self, what: str, model: str, context: Any) -> Any:
        match what:
            case "ps":
                return {"pid": os.getpid(), **self._models.status()["memory"]}
            case "fit":
                tokens = context if isinstance(context, int) else None
                return asdict(self._models.fit(model, context_tokens=tokens))
            case "load":
                await self._models.load(model)
                return None
            case "unload":
                return await self._models.unload(model)
        raise BadQuestionError("The running Benchtop does not know this.", hint="Quit it, and start the newer one.")


def ask(paths: Paths, do: str, model: str = "", *, timeout_s: float | None = 10.0, **more: Any) -> Any:
    """Ask the Benchtop that runs with this data folder; blocks. `timeout_s` None waits for as long as it takes.

    do       "ps" → what is in memory · "fit" → a `FitAnswer` as JSON values · "load" · "unload" → bytes
    raises   NobodyHomeError, NotAnsweringError, TurnedDownError
    """
    try:
        known = _parsed(paths.running.read_bytes())
        port, token = int(known["port"]), str(known["token"])
    except (OSError, ValueError, KeyError, TypeError):
        raise _nobody() from None
    question = json.dumps({"token": token, "do": do, "model": model, **more}).encode() + b"\n"
    try:
        with socket.create_connection((_LOOPBACK, port), timeout=2.0) as line:
            line.settimeout(timeout_s)
            line.sendall(question)
            with line.makefile("rb") as answers:
                said = answers.readline(_ANSWER_BYTES)
    except TimeoutError:
        raise NotAnsweringError(
            f"Benchtop (process {known.get('pid')}) does not answer.",
            hint="Try again in a moment; if it stays so, quit it and start it again.",
        ) from None
    except OSError:  # the file of one that was killed: nobody listens there, or somebody else
        raise _nobody() from None
    answer = _parsed(said, {})
    if "error" in answer:
        raise TurnedDownError(JobError(**answer["error"]))
    if "value" not in answer:
        raise _nobody()
    return answer["value"]


def _nobody() -> NobodyHomeError:
    return NobodyHomeError(
        "No Benchtop is running that could keep a model in memory.",
        hint="Open the window, or run `benchtop serve`. `generate` and `analyze` load what they need by themselves.",
    )


def _parsed(line: bytes, otherwise: dict[str, Any] | None = None) -> dict[str, Any]:
    """A JSON object. Raises ValueError where there is none, unless there is something else to take."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value
    if otherwise is None:
        raise ValueError("not a JSON object")
    return otherwise


def _write_private(path: Path, value: Mapping[str, Any]) -> None:
    """Whole or not at all, for the owner's eyes only."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump(value, file)
    draft.replace(path)
