"""Every shared attack with the policy off is held by the container; every benign script ends with its outputs."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.sandbox.conftest import Bench

pytestmark = [pytest.mark.docker, pytest.mark.shared]
DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
CANARY = "canary-7f3a9c"


def programs(kind: str) -> list[object]:
    manifest = DATA / kind / "manifest.json"
    if not manifest.exists():
        return [pytest.param({}, id="absent", marks=pytest.mark.skip(reason="shared programs are not here"))]
    return [pytest.param(p, id=p["file"][:3]) for p in json.loads(manifest.read_text(encoding="utf-8"))["programs"]]


@contextmanager
def listener() -> Iterator[tuple[int, list[object]]]:
    """A listener of the test's own on the host's loopback, and what connected to it."""
    hits: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                try:
                    connection, address = server.accept()
                except TimeoutError:
                    continue
                hits.append(address)
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1], hits
        finally:
            stop.set()
            thread.join()


def digest(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*")}


@pytest.mark.parametrize("program", programs("attacks"))
async def test_attack_is_held(bench: Bench, program: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_TOKEN_CANARY", CANARY)
    host_canary = bench.home / "host-canary.txt"
    host_canary.write_text(CANARY)
    wall_s = 4.0 if program["sandbox"] == "timeout" or program["file"] == "s28_stdout_flood.py" else 12.0
    with listener() as (port, hits):
        (bench.input_dir / "LISTENER_PORT").write_text(str(port))
        before = digest(bench.input_dir)
        source = (DATA / "attacks" / str(program["file"])).read_bytes()
        outcome = await bench.run(source, wall_s=wall_s, output_entries=20_000, log_bytes=4 << 20, memory_mb=512)
    lines = outcome.log.splitlines()
    assert [line for line in lines if line.startswith("ESCAPED")] == []
    assert hits == []
    assert digest(bench.input_dir) == before
    assert CANARY not in outcome.log
    expected = program["sandbox"]
    if expected == "exit":
        assert outcome.status in ("ok", "failed")
    elif expected == "timeout":
        assert outcome.status == "timeout"
        assert outcome.wall_s <= wall_s + 3
    elif expected == "oom":
        assert outcome.status == "out_of_memory"
    assert sum(f.bytes for f in outcome.outputs) <= 256 << 20
    checks = program["checks"]
    assert isinstance(checks, list)
    if "log_capped" in checks:
        assert outcome.log_truncated
        assert len(outcome.log.encode()) <= (4 << 20) + 200
    if "outputs_sanitised" in checks:
        assert outcome.outputs == ()
        assert {name for name, _ in outcome.dropped} >= {"results.csv", "figures", "summary.json", "loop"}
    for path in bench.output_dir.rglob("*") if bench.output_dir.exists() else ():
        assert not path.is_symlink()
        assert path.is_dir() or path.is_file()


@pytest.mark.parametrize("program", programs("benign"))
async def test_benign_passes_the_policy_and_leaves_outputs(bench: Bench, program: dict[str, object]) -> None:
    source = (DATA / "benign" / str(program["file"])).read_bytes()
    outcome = await bench.run(source, is_checked=True, wall_s=120)
    assert (outcome.status, outcome.exit_code) == ("ok", 0), outcome.log[-500:]
    assert len(outcome.outputs) >= int(str(program["min_outputs"]))
    assert outcome.dropped == ()
