"""What both runtimes do with a request before a model sees it: the chat template, the limits, the cache key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from desktop.core.models import Message
from desktop.engines.errors import BadModelError, ContextTooLongError

Turns = list[dict[str, str]]
PROBE = (Message("user", "?"),)


def render(template: Callable[[Turns], str], messages: Sequence[Message], specials: Iterable[str] = ()) -> str:
    """The prompt in the model's own template. Raises BadModelError when the template fails.

    A template that knows no system turn gets the system text at the head of the first user turn.

    specials  texts of the model's control tokens: where a message holds one, it is broken with a space, so that no
              document can end its own turn and begin another
    """
    marks = [mark for mark in specials if any(mark in message.content for message in messages)]
    turns: Turns = [{"role": message.role, "content": _broken(message.content, marks)} for message in messages]
    try:
        return template(turns)
    except Exception as error:
        if len(turns) > 1 and turns[0]["role"] == "system" and turns[1]["role"] == "user":
            first = {"role": "user", "content": f"{turns[0]['content']}\n\n{turns[1]['content']}"}
            return render(template, [Message("user", first["content"]), *messages[2:]])
        raise BadModelError(
            f"The model's chat template fails: {error}"[:300],
            hint="Import the model again with a template that fits it.",
        ) from error


def _broken(text: str, marks: Sequence[str]) -> str:
    for mark in marks:
        text = text.replace(mark, f"{mark[0]} {mark[1:]}")
    return text


def plain(turns: Turns) -> str:
    """For a model without a template: the texts, a line between them."""
    return "\n".join(turn["content"] for turn in turns) + "\n"


def room(n_prompt: int, max_tokens: int, context_tokens: int) -> int:
    """Tokens the answer may take: at least one. Raises ContextTooLongError when the prompt leaves none."""
    if n_prompt >= context_tokens:
        raise ContextTooLongError(
            f"The prompt has {n_prompt:,} tokens and this model was loaded for {context_tokens:,}.",
            hint="Shorten it, or load the model with a longer context.",
            tokens=n_prompt,
            context_tokens=context_tokens,
        )
    return max(1, min(max_tokens, context_tokens - n_prompt))


def check_context(asked: int, longest: int | None) -> None:
    """Raises ContextTooLongError when a load asks for more than the model was made for."""
    if asked < 1 or (longest and asked > longest):
        raise ContextTooLongError(
            f"A context of {asked:,} tokens was asked for; this model has at most {longest or 0:,}.",
            hint="Load it with a shorter context.",
            tokens=asked,
            context_tokens=longest or 0,
        )


def fingerprint(files: Sequence[Path], *parts: str) -> str:
    """Stands for weights and settings: names, sizes, times and ends of the files, and the parts."""
    digest = hashlib.sha256()
    for path in sorted(files):
        facts = path.stat()
        digest.update(f"{path.name} {facts.st_size} {facts.st_mtime_ns}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(1 << 16))
            file.seek(max(0, facts.st_size - (1 << 16)))
            digest.update(file.read())
    for part in parts:
        digest.update(f"{part}\0".encode())
    return digest.hexdigest()[:32]
