"""What can go wrong between a request and a model, each with what to try. Raised by engines, budget and gateway."""

from __future__ import annotations

from desktop.core.errors import AppError, InputError


class EngineMissingError(AppError):
    """The runtime this model needs is not installed, or cannot run on this machine."""

    code = "engines.missing"


class BadModelError(InputError):
    """The files of a model are broken, incomplete or of a kind the runtime does not know."""

    code = "engines.bad_model"


class EngineLostError(AppError):
    """The process or server that held the model went away in the middle of a request. The request is not replayed."""

    code = "engines.lost"
    retryable = True


class OutOfMemoryError(AppError):
    """The runtime ran out of memory while loading or answering."""

    code = "engines.out_of_memory"


class ContextTooLongError(InputError):
    """Prompt and answer together are longer than the model's context (facts: `tokens`, `context_tokens`)."""

    code = "engines.context_too_long"


class UnsupportedSchemaError(InputError):
    """The schema uses a keyword outside the dialect that is enforced (facts: `keyword`, `path`)."""

    code = "engines.unsupported_schema"


class InvalidAnswerError(AppError):
    """The answer did not satisfy its schema, also after a repair (facts: `problem`)."""

    code = "engines.invalid_answer"


class NotAnEmbeddingModelError(AppError):
    """This model gives no embeddings."""

    code = "engines.no_embeddings"


class BudgetExceededError(AppError):
    """The model does not fit beside what is in use (facts: `needs_bytes`, `free_bytes`, `evictable_bytes`)."""

    code = "engines.budget_exceeded"
    retryable = True


class ServerUnreachableError(AppError):
    """No connection to the model server: no network, no such name, connection refused. Nothing was computed."""

    code = "engines.unreachable"
    retryable = True


class ServerBusyError(AppError):
    """The model server is overloaded or still starting (facts: `status`, and `retry_after_s` when it said so)."""

    code = "engines.busy"
    retryable = True


class RequestRefusedError(AppError):
    """The model server understood the request and declined it (facts: `status`)."""

    code = "engines.refused"


class NotAuthorisedError(AppError):
    """The model server does not take the token, or wants one (facts: `status`)."""

    code = "engines.not_authorised"


class BadReplyError(AppError):
    """The reply is not what a model server says: a web page, broken JSON, missing fields (facts: `status`)."""

    code = "engines.bad_reply"


class EngineTimeoutError(AppError):
    """The model did not begin, did not go on, or did not end in time (facts: `phase`, `waited_s`)."""

    code = "engines.timeout"


class ModelInUseError(AppError):
    """The model is answering a request, or somebody waits for it (facts: `model`)."""

    code = "engines.in_use"
    retryable = True


class PinRefusedError(AppError):
    """Pinned models together would take more than their share of the budget (facts: `pinned_bytes`, `most_bytes`)."""

    code = "engines.pin_refused"


class MemoryPressureError(AppError):
    """The machine is short of memory and takes no new work until that is over."""

    code = "engines.memory_pressure"
    retryable = True


class UnknownModelError(InputError):
    """No model of this name in the catalogue or among the imported ones. Paths and addresses are not names."""

    code = "engines.unknown_model"


class NotInstalledError(InputError):
    """The catalogue knows this model, but it is not on this machine yet."""

    code = "engines.not_installed"


class ModelExistsError(InputError):
    """There is a model of this name on this machine already."""

    code = "engines.model_exists"


class CatalogueError(AppError):
    """A file of the catalogue, or the note kept with a model, cannot be understood (facts: `file`)."""

    code = "engines.bad_catalogue"


class ModelGatedError(AppError):
    """The publisher gives this model only to people who accepted its terms, or the token is not taken."""

    code = "engines.gated"


class DamagedDownloadError(AppError):
    """What came is not what was announced: another hash, another size (facts: `file`, `expected`, `got`)."""

    code = "engines.damaged_download"
    retryable = True


class NoDiskSpaceError(AppError):
    """No room on the disk for a model (facts: `needs_bytes`, `free_bytes`)."""

    code = "engines.no_disk_space"
