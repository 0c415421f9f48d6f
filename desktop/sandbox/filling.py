"""Copies a run's script and inputs into the input volume, by way of a second container; the script's sees it read-only.

That container is never started where a run waits for it already: the engine unpacks then, which takes it 0.06 s. Kept
ready, it is started, and a few lines of ours wait in it for the archive; nothing else ever runs there.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import docker

from desktop.sandbox.container import ContainerSpec
from desktop.sandbox.engine import Engine
from desktop.sandbox.execution import PYTHON, Connection, EngineLostError, EngineTrouble
from desktop.sandbox.staging import input_tar

_IN_MEMORY = 8 << 20  # bytes of input that are sent without a file in between
_PATIENCE_S = 60


class Filling:
    """One container through which one input volume is filled once."""

    def __init__(self, engine: Engine, name: str, connection: Connection | None) -> None:
        self._engine, self._name, self._connection = engine, name, connection

    @classmethod
    def make(
        cls,
        engine: Engine,
        client: docker.APIClient,
        spec: ContainerSpec,
        name: str,
        labels: dict[str, str],
        ahead: bool,
    ) -> Filling:
        """Make the container; started when it is made `ahead` of a run. Raises what `EngineTrouble` names."""
        client.create_container(
            spec.image,
            [*PYTHON, "unpack", "/input"],
            name=name,
            user="0:0",  # so that what it writes is not the script's
            stdin_open=True,
            labels=labels,
            entrypoint=[],
            network_disabled=True,
            host_config=client.create_host_config(**spec.filler_config()),
        )
        if not ahead:
            return cls(engine, name, None)
        connection = Connection(engine, lambda c: c.attach_socket(name, {"stdin": 1, "stdout": 1, "stream": 1}))
        try:
            client.start(name)
        except BaseException:
            connection.close()
            raise
        return cls(engine, name, connection)

    def fill(self, script: bytes, input_dir: Path, scratch: Path) -> None:
        """Send script and inputs; they lie in the volume afterwards. Raises UnusableInputError, EngineLostError."""
        scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(scratch)) as file:
            input_tar(script, input_dir, file)
            if self._connection is not None and self._is_unpacked(self._connection, file):
                return
            file.seek(0)
            client = self._engine.client(_PATIENCE_S)
            try:
                client.put_archive(self._name, "/input", _chunks(file))
            except EngineTrouble as error:
                raise EngineLostError from error
            finally:
                client.close()

    def _is_unpacked(self, connection: Connection, file: IO[bytes]) -> bool:
        """Whether the waiting program took it; it may not have outlived a sleep."""
        file.seek(0)
        with contextlib.suppress(*EngineTrouble, ValueError):
            connection.settimeout(_PATIENCE_S)
            for chunk in _chunks(file):
                connection.send(chunk)
            return next(connection.chunks(), b"") == b"filled"
        return False

    def close(self) -> None:
        """Give the connection up."""
        if self._connection is not None:
            self._connection.close()


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(1 << 20):
        yield chunk
