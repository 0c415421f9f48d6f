"""The root of every expected failure, and the five families the front ends tell apart.

Anything that is not an `AppError` is a bug: it is logged with its traceback and shown to a person as
"Benchtop made a mistake" with a way to copy the details, never as a traceback.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar


class AppError(Exception):
    """An expected failure: str(e) says what happened, e.hint what to try. Anything else is a bug."""

    code: ClassVar[str] = "app.error"  # stable: tests, logs and help pages key on it
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str, **facts: object) -> None:
        super().__init__(message)
        self.hint, self.facts = hint, facts  # facts are shown under "Details"; never secrets

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive the trip out of a child process with hint and facts."""
        return _revive, (type(self), str(self), self.hint, self.facts)

    def to_json(self) -> dict[str, object]:
        """{"code", "message", "hint"}: what the command line and the API print."""
        return {"code": self.code, "message": str(self), "hint": self.hint}

    def details(self) -> dict[str, str]:
        """The facts as text: what is a list or a mapping as JSON, so that it can be read back."""
        return {
            name: json.dumps(value, ensure_ascii=False, default=str)
            if isinstance(value, list | tuple | dict)
            else str(value)
            for name, value in self.facts.items()
        }


def _revive(cls: type[AppError], message: str, hint: str, facts: dict[str, object]) -> AppError:
    error = cls.__new__(cls)
    AppError.__init__(error, message, hint=hint, **facts)
    return error


class InputError(AppError):
    """What the person gave cannot be used as it is (exit code 2)."""

    code = "app.bad_input"


class NothingToAnalyseError(AppError):
    """The input is readable but holds nothing this analysis can use (exit code 3)."""

    code = "app.nothing_to_analyse"


class RunFailedError(AppError):
    """The analysis itself did not finish (exit code 4)."""

    code = "app.run_failed"


class NoSandboxError(AppError):
    """No isolation that this code may run in is available (exit code 5)."""

    code = "app.no_sandbox"


class CancelledByUserError(AppError):
    """The person stopped it (exit code 130)."""

    code = "app.cancelled"


class OfflineError(AppError):
    """The answer is not in the cache and this destination is not allowed or not reachable (exit code 2)."""

    code = "net.offline"
    retryable = True
