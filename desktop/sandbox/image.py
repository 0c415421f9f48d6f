"""Builds the sandbox image from resources/sandbox: pinned packages on an official slim Python, or on a given base."""

from __future__ import annotations

import json
from collections.abc import Callable

import docker

from desktop.core.errors import RunFailedError
from desktop.core.paths import resources_dir
from desktop.sandbox.container import image_marks
from desktop.sandbox.engine import Engine
from desktop.sandbox.execution import EngineTrouble

OFFICIAL_BASE = "python:3.11-slim-bookworm"  # by version tag: the digest of no official image is known here


class ImageBuildError(RunFailedError):
    """The engine could not build the image; facts hold the end of its log."""

    code = "sandbox.image_build"


class BuildStoppedError(Exception):
    """Raised by `on_line` to end a build; the connection is then closed, and the engine stops."""


def build_image(engine: Engine, tag: str, base: str, on_line: Callable[[str], None]) -> str:
    """Build `tag` on `base` ("" is the official one); returns the image id. Blocks for minutes when it downloads.

    Raises ImageBuildError.
    """
    client = engine.client(timeout_s=3600)
    tail: list[str] = []
    try:
        answer = client.build(
            path=str(resources_dir() / "sandbox"),
            tag=tag,
            buildargs={"BASE": base or OFFICIAL_BASE},
            rm=True,
            forcerm=True,
            pull=not base,
            decode=True,
            labels=image_marks(),
            network_mode="none" if base else None,
        )
        for part in answer:
            line = str(part.get("stream") or part.get("status") or "").rstrip()
            if line:
                on_line(line)
                tail = [*tail[-30:], line]
            if "error" in part:
                message = f"The sandbox image could not be built: {str(part['error'])[:300]}"
                raise ImageBuildError(message, hint=_hint(base), log="\n".join(tail))
        return str(client.inspect_image(tag)["Id"])  # type: ignore[no-untyped-call]
    except (*EngineTrouble, json.JSONDecodeError, docker.errors.DockerException) as error:
        message = f"The sandbox image could not be built: {str(error)[:300]}"
        raise ImageBuildError(message, hint=_hint(base), log="\n".join(tail)) from error
    finally:
        client.close()


def _hint(base: str) -> str:
    if base:
        return f"Check that the engine has the image {base} and that it holds Python 3.11."
    return "The official Python image must be reachable. Without a registry make a base image and give it with --base."
