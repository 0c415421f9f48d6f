"""What can go wrong between a studio's request and an answer, beyond what engines say themselves."""

from __future__ import annotations

from desktop.core.errors import AppError


class NoModelError(AppError):
    """No model may or can answer: none is on this disk, none on a server is allowed, and no rule covers the task."""

    code = "models.none"


class AllFailedError(AppError):
    """Every model that could answer was asked and failed (facts: `tried`, one "model: code" an entry)."""

    code = "models.all_failed"
    retryable = True


class FlagsError(AppError):
    """The file of feature flags has a fault; the last good flags stay in force."""

    code = "models.bad_flags"
