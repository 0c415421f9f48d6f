"""What clients send, as OpenAI's clients send it. Fields that only tune or log are ignored; those that would change the
meaning of an answer and are not supported here are refused.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from desktop.core.models import Message, Role

_SYSTEM = ("system", "developer")
MOST_TOKENS = 131_072


class TextPart(BaseModel):
    """One part of a message's content; only text is understood."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["text", "input_text"]
    text: str


class ChatMessage(BaseModel):
    """One turn."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart] = ""

    def to_message(self) -> Message:
        """As models take it."""
        role: Role = "system" if self.role in _SYSTEM else self.role  # type: ignore[assignment]
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Message(role, text)


class JsonSchema(BaseModel):
    """The schema of a json_schema response format."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    name: str = "answer"
    body: dict[str, Any] = Field(alias="schema")


class ResponseFormat(BaseModel):
    """How the answer must look."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: JsonSchema | None = None


class StreamOptions(BaseModel):
    """What a stream carries beside the text."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class _Sampling(BaseModel):
    """What chat and plain completions have in common."""

    model_config = ConfigDict(extra="ignore")

    model: str = "auto"
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = None
    tools: list[Any] | None = Field(None, max_length=0)

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop texts."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with the count of tokens."""
        return self.stream_options is not None and self.stream_options.include_usage


class ChatRequest(_Sampling):
    """POST /v1/chat/completions."""

    messages: list[ChatMessage] = Field(min_length=1)
    max_tokens: int | None = Field(None, ge=1, le=MOST_TOKENS)
    max_completion_tokens: int | None = Field(None, ge=1, le=MOST_TOKENS)
    response_format: ResponseFormat = ResponseFormat()

    @field_validator("response_format")
    @classmethod
    def _has_schema(cls, value: ResponseFormat) -> ResponseFormat:
        if value.type == "json_schema" and value.json_schema is None:
            raise ValueError("json_schema needs a schema")
        return value


class CompletionRequest(_Sampling):
    """POST /v1/completions. The prompt goes to the model as a message, in its own template."""

    prompt: str | list[str] = Field(max_length=2**24)
    max_tokens: int | None = Field(None, ge=1, le=MOST_TOKENS)

    @field_validator("prompt")
    @classmethod
    def _is_one(cls, value: str | list[str]) -> str:
        if isinstance(value, list):
            if len(value) != 1:
                raise ValueError("one prompt at a time")
            return value[0]
        return value


class EmbeddingsRequest(BaseModel):
    """POST /v1/embeddings."""

    model_config = ConfigDict(extra="ignore")

    model: str = "auto"
    input: str | list[str] = Field(max_length=2**24)
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: None = None
