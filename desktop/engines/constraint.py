"""Holds an answer to a schema while it is written: which tokens may come next, for both runtimes alike.

The grammar is llguidance's; whitespace is not free, and an answer ends where the grammar ends. On top of it stand three
rules that a grammar cannot say: numbers end (no hundred digits, no exponent beyond two), text holds no \\u escapes (no
lone surrogates, no control characters), and an answer that nears its token limit is closed, so that it is whole JSON.
Runs in a model's process only. Source: https://github.com/guidance-ai/llguidance.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import llguidance
import numpy as np

from desktop.engines.errors import InvalidAnswerError, UnsupportedSchemaError
from desktop.engines.schema import narrowed
from desktop.engines.schema_parts import NOTES, walk
from desktop.engines.schema_shortest import shortest_texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LONGEST_NUMBER, _LONGEST_EXPONENT = 15, 2  # no two numbers of 15 digits are one in binary
_SLACK = 8
_LONG_EXPONENT = re.compile(rb"[eE][+-]?[0-9]{3,}")
_DIGITS = b"0123456789"


class Vocabulary:
    """A model's tokens as bytes, and what the rules here need to know of each. Made once a model: about a second.

    n_logits  width of the model's output, at least the number of tokens
    """

    def __init__(self, tokenizer: llguidance.LLTokenizer, n_logits: int) -> None:
        self.tokenizer, self.n_logits = tokenizer, n_logits
        self.bytes = [tokenizer.decode_bytes([token]) for token in range(tokenizer.vocab_size)]
        self.eos = list(tokenizer.eos_tokens)
        self.leading_digits = np.zeros(n_logits, np.int32)
        self.leading_digits[: len(self.bytes)] = [len(text) - len(text.lstrip(_DIGITS)) for text in self.bytes]
        self.goes_on_number = self._flags(lambda text: text[:1] in (b".", b"e", b"E", b"+", b"-"))
        self.has_long_exponent = self._flags(lambda text: _LONG_EXPONENT.search(text) is not None)
        self.has_u_escape = self._flags(lambda text: b"\\u" in text)
        self.starts_with_u = self._flags(lambda text: text[:1] == b"u")
        self.opens = self._flags(lambda text: b"{" in text or b"[" in text)
        self.is_plain = self._flags(lambda text: len(text) == 1 and 32 <= text[0] < 127)
        self.one = {text: token for token, text in reversed(list(enumerate(self.bytes))) if len(text) == 1}

    def _flags(self, ask: Callable[[bytes], bool]) -> NDArray[np.bool_]:
        """(V,) the answer for each token; False beyond the last."""
        out = np.zeros(self.n_logits, np.bool_)
        out[: len(self.bytes)] = [ask(text) for text in self.bytes]
        return out

    def n_tokens(self, text: str) -> int:
        """Tokens this text takes."""
        return len(self.tokenizer.tokenize_str(text))


class Constraint:
    """What may come next in one answer. `allowed` and `take` alternate until `is_over`."""

    def __init__(self, vocabulary: Vocabulary, schema: Mapping[str, Any], max_tokens: int) -> None:
        """Raises UnsupportedSchemaError where the grammar cannot be made."""
        self._matcher = _matcher(vocabulary, schema, max_tokens // 2)
        if self._matcher.is_error():
            self._matcher = _matcher(vocabulary, schema)
        if self._matcher.is_error():
            raise _refused(self._matcher.get_error(), vocabulary, schema)
        self._vocabulary = vocabulary
        self._max_tokens = max_tokens
        self._place = _Place()
        whole, inner = shortest_texts(schema)
        self._whole_tokens = vocabulary.n_tokens(whole)
        if self._whole_tokens > max_tokens * 5 // 4 + _SLACK:
            raise InvalidAnswerError(
                f"The shortest answer of this form takes about {self._whole_tokens:,} tokens.",
                hint="Allow a longer answer, or ask for less at once.",
                problem=f"{max_tokens:,} tokens are too few",
            )
        self._level_tokens = max([vocabulary.n_tokens(text) for text in inner], default=0)
        self.n_taken = 0
        self.is_over = False

    def allowed(self) -> NDArray[np.bool_]:
        """(V,) which tokens may come next; never all False. Raises InvalidAnswerError at the limits of the grammar."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        if self._matcher.is_error():
            raise InvalidAnswerError(
                "The answer could not be held to its schema.",
                hint="Simplify the schema: fewer alternatives, shorter patterns.",
                problem=self._matcher.get_error()[:200],
            )
        mask = np.zeros(self._vocabulary.n_logits, np.bool_)
        flags = np.unpackbits(bits, bitorder="little")[: len(mask)]
        mask[: len(flags)] = flags
        ruled = self._ruled(mask)
        if ruled.any():
            mask = ruled
        if self._max_tokens - self.n_taken <= self._reserve():
            mask = self._closing(mask)
        return mask

    def take(self, token: int) -> None:
        """The token that was chosen; it must have been allowed."""
        self.n_taken += 1
        if token in self._vocabulary.eos or not self._matcher.consume_token(token):
            self.is_over = True
            return
        self._place.read(self._vocabulary.bytes[token])
        self.is_over = self._matcher.is_stopped()

    def _reserve(self) -> int:
        """Tokens to keep for closing what is open: at most one shortest answer a level, and what is being written."""
        levels = max(self._place.depth - 1, 0)
        # a quarter more: what is not forced is closed mark by mark, not in the tokenizer's own longest pieces
        return (self._whole_tokens + self._level_tokens * levels) * 5 // 4 + self._place.depth + _SLACK

    def _ruled(self, allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The mask without endless numbers and \\u escapes."""
        words, place = self._vocabulary, self._place
        mask: NDArray[np.bool_] = allowed.copy()
        if place.in_text:
            mask &= ~(words.starts_with_u if place.is_escaped else words.has_u_escape)
            return mask
        mask &= ~(words.has_long_exponent | words.has_u_escape)
        if place.number or place.exponent is not None:
            room = _LONGEST_NUMBER - place.number if place.exponent is None else _LONGEST_EXPONENT - place.exponent
            mask &= words.leading_digits <= max(room, 0)
            if place.exponent is None and room <= 0:
                mask &= ~words.goes_on_number
        return mask

    def _closing(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Only what brings the answer to its end: the end itself, closing brackets and quotes, forced text."""
        words = self._vocabulary
        ends = np.zeros_like(mask)
        ends[words.eos] = True
        if (mask & ends).any():
            return mask & ends
        for mark in (b'"',) if self._place.in_text else (b"}", b"]", b","):
            if (token := words.one.get(mark)) is not None and mask[token]:
                return _only(token, len(mask))
        forced = self._matcher.compute_ff_tokens()
        if forced and mask[forced[0]]:
            return _only(forced[0], len(mask))
        for narrower in (mask & words.is_plain & ~words.opens, mask & ~words.opens, mask & words.is_plain):
            if narrower.any():
                return narrower
        return mask


class _Place:
    """Where in a JSON text the answer stands, read byte by byte."""

    def __init__(self) -> None:
        self.in_text = self.is_escaped = False
        self.depth = 0
        self.number = 0  # characters of the number being written
        self.exponent: int | None = None  # digits of its exponent; None before it

    def read(self, text: bytes) -> None:
        for byte in text:
            if self.in_text:
                if self.is_escaped:
                    self.is_escaped = False
                elif byte == 0x5C:
                    self.is_escaped = True
                elif byte == 0x22:
                    self.in_text = False
                continue
            if byte in b"0123456789":
                if self.exponent is None:
                    self.number += 1
                else:
                    self.exponent += 1
                continue
            if byte in b"eE" and self.number:
                self.exponent = 0
            elif byte in b".+-" and (self.number or self.exponent == 0):
                pass
            else:
                self.number, self.exponent = 0, None
            if byte == 0x22:
                self.in_text = True
            elif byte in b"{[":
                self.depth += 1
            elif byte in b"}]":
                self.depth -= 1


def _only(token: int, n_logits: int) -> NDArray[np.bool_]:
    mask = np.zeros(n_logits, np.bool_)
    mask[token] = True
    return mask


def _matcher(
    vocabulary: Vocabulary, schema: Mapping[str, Any], most_characters: int | None = None
) -> llguidance.LLMatcher:
    options = {"whitespace_flexible": False}
    text = json.dumps(narrowed(schema, most_characters))
    grammar = llguidance.LLMatcher.grammar_from_json_schema(text, defaults=options)
    return llguidance.LLMatcher(vocabulary.tokenizer, grammar, log_level=0)


def _refused(error: str, vocabulary: Vocabulary, schema: Mapping[str, Any]) -> UnsupportedSchemaError:
    """llguidance's refusal as ours: its first line, and the keyword without which it would not refuse."""
    definitions = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    keyword, place = "schema", "#"
    for path, part in sorted(walk(schema), key=lambda found: -found[0].count("/")):
        if isinstance(part, Mapping) and _matcher(vocabulary, {**definitions, **part}).is_error():
            restricts = [key for key in part if key not in NOTES and key not in ("type", "properties", *definitions)]
            without = ({key: part[key] for key in part if key != left_out} for left_out in restricts)
            is_cause = (not _matcher(vocabulary, {**definitions, **rest}).is_error() for rest in without)
            found = [key for key, causes in zip(restricts, is_cause, strict=True) if causes]
            keyword, place = (found or restricts or [keyword])[0], path
            break
    first = error.strip().splitlines()[0] if error.strip() else "unknown"
    return UnsupportedSchemaError(
        f"The schema cannot be made into a grammar, by {keyword} at {place}: {first}"[:300],
        hint="Simplify it: fewer or smaller bounds, simpler patterns.",
        keyword=keyword,
        path=place,
    )
