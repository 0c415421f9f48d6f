"""The studios there are, in the sidebar's order. Adding one touches its folder and this tuple."""

from __future__ import annotations

import importlib

from desktop.core.jobs import Job, Studio
from desktop.studios import machine

STUDIOS = ("omics",)


def studios() -> tuple[Studio, ...]:
    """Every studio's manifest; imports nothing heavy."""
    return tuple(importlib.import_module(f"desktop.studios.{key}").STUDIO for key in STUDIOS)


def jobs() -> dict[str, tuple[Studio, Job]]:
    """Every kind of job by id, those about this machine included."""
    return {job.id: (studio, job) for studio in (*studios(), machine.STUDIO) for job in studio.jobs}
