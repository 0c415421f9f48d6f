"""What can go wrong between asking for a job and its end."""

from __future__ import annotations

from desktop.core.errors import AppError, InputError, RunFailedError


class UnknownJobError(InputError):
    """There is no such kind of job, or no job with this id."""

    code = "jobs.unknown"


class BadParamsError(InputError):
    """The parameters do not fit the job's schema."""

    code = "jobs.bad_params"


class JobStateError(InputError):
    """The job is not in a state that allows this."""

    code = "jobs.wrong_state"


class ChildDiedError(RunFailedError):
    """A child process ended without an answer."""

    code = "workers.child_died"
    retryable = True


class StillRunningError(AppError):
    """The job had not ended when the caller stopped waiting."""

    code = "jobs.still_running"
    retryable = True
