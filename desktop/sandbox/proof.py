"""The proof a person can run on their own machine: tries what must not work and says what held.

Only programs of our own (resources/sandbox/probes) and a listener of our own on the loopback; nothing is sent
anywhere else, also not from a sandbox that fails.
"""

from __future__ import annotations

import json
import shutil
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from desktop.core.paths import resources_dir
from desktop.core.ports import IsolationChoice, Limits, ProofStep, RunOutcome, RunSpec

Run = Callable[[RunSpec], Awaitable[RunOutcome]]
_LIMITS = Limits(
    wall_s=20, memory_mb=512, cpus=1, pids=64, output_bytes=32 << 20, output_entries=200, log_bytes=1 << 20
)
_SHORT = Limits(wall_s=2, memory_mb=256, cpus=1, pids=64, output_bytes=8 << 20, output_entries=50, log_bytes=64 << 10)
_PROGRAMS: tuple[tuple[str, bytes, bool, Callable[[RunOutcome], bool]], ...] = (
    ("an endless loop is stopped", b"while True: pass\n", False, lambda o: o.status == "timeout" and o.wall_s < 4),
    (
        "memory has an end",
        b"held = []\nwhile True: held.append(bytearray(16 << 20))\n",
        True,
        lambda o: o.status in ("out_of_memory", "failed"),
    ),
    (
        "outputs have an end",
        b"i = 0\nwhile i < 64:\n    open(f'{i}.bin', 'wb').write(bytes(1 << 20)); i += 1\n",
        True,
        lambda o: o.status != "ok" and sum(f.bytes for f in o.outputs) <= 8 << 20,
    ),
    (
        "links are not collected",
        b"import os\nos.symlink('/etc/passwd', 'results.csv')\nopen('a.txt', 'w').write('a')\n",
        True,
        lambda o: [f.name for f in o.outputs] == ["a.txt"] and [n for n, _ in o.dropped] == ["results.csv"],
    ),
    (
        "a flood of text is cut",
        b"while True: print('A' * 4000)\n",
        False,
        lambda o: o.log_truncated and len(o.log) <= 2 * (64 << 10),
    ),
)


async def prove(
    choice: IsolationChoice, run: Run, scratch: Path, on_step: Callable[[ProofStep], None] | None = None
) -> list[ProofStep]:
    """Run every probe in the isolation of `choice`; needs about 15 s. Folders are made below `scratch` and removed.

    on_step    told of each step as it is known
    """
    scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="proof-", dir=scratch))
    steps: list[ProofStep] = []

    def note(step: ProofStep) -> None:
        steps.append(step)
        if on_step is not None:
            on_step(step)

    try:
        (folder / "input").mkdir()
        number = 0

        async def outcome(script: bytes, limits: Limits) -> RunOutcome:
            nonlocal number
            number += 1
            spec = RunSpec(
                f"proof-{number}", script, folder / "input", folder / f"out-{number}", "person", choice.kind, limits
            )
            return await run(spec)

        with socket.create_server(("127.0.0.1", 0)) as listener:
            write_expectation(
                folder / "input", _LIMITS, listener.getsockname()[1], is_container=choice.kind == "docker"
            )
            probe = (resources_dir() / "sandbox" / "probes" / "posture.py").read_bytes()
            result = await outcome(probe, _LIMITS)
        lines = [line.partition(" ") for line in result.log.splitlines()]
        for word, _, name in lines:
            if word in ("HELD", "ESCAPED"):
                note(ProofStep(name, word == "HELD"))
        if result.status != "ok" or not steps:
            note(ProofStep("the probe ran to its end", False, f"{result.status}: {result.log[-300:]}"))
        for name, script, has_own_end, is_held in _PROGRAMS:
            result = await outcome(script, replace(_SHORT, wall_s=20 if has_own_end else 2))
            note(ProofStep(name, is_held(result), result.status))
        return steps
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_expectation(input_dir: Path, limits: Limits, port: int, *, is_container: bool) -> None:
    """What the posture probe compares with."""
    expected = {
        "memory_bytes": limits.memory_mb << 20,
        "pids": limits.pids,
        "output_bytes": limits.output_bytes,
        "output_entries": limits.output_entries,
        "port": port,
        "container": is_container,
        "platform": sys.platform,
    }
    (input_dir / "sandbox-probe.json").write_text(json.dumps(expected))
