"""Engines are found the way people have them; a dead or odd one costs a moment and no exception."""

from __future__ import annotations

import hashlib
import http.server
import json
import socket
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop.sandbox.engine import candidates, find_engine


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bt", dir="/tmp") as folder:  # a socket's path is limited
        yield Path(folder)


def listen(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    return server


class StandIn(socketserver.UnixStreamServer):
    """Answers /version as an engine does, or as something else does."""

    def __init__(self, path: Path, status: int, body: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

            def address_string(self) -> str:
                return "client"

        super().__init__(str(path), Handler)
        self._thread = threading.Thread(target=self.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


VERSION = json.dumps({"Version": "28.2.2", "ApiVersion": "1.44", "Arch": "arm64"}).encode()


def test_a_setting_or_docker_host_is_the_only_candidate(home: Path) -> None:
    server = listen(home / ".docker/run/docker.sock")
    env = {"DOCKER_HOST": "unix:///there"}
    assert list(candidates("tcp://here", env, home)) == [("tcp://here", "setting")]
    assert list(candidates("", env, home)) == [("unix:///there", "DOCKER_HOST")]
    server.close()


def test_the_current_context_comes_before_the_known_places(home: Path) -> None:
    servers = [listen(home / ".docker/run/docker.sock"), listen(home / ".colima/default/docker.sock")]
    meta = home / ".docker/contexts/meta" / hashlib.sha256(b"mine").hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(json.dumps({"Endpoints": {"docker": {"Host": "unix:///mine.sock"}}}))
    (home / ".docker/config.json").write_text(json.dumps({"currentContext": "mine"}))
    found = [url for url, _ in candidates("", {}, home)]
    assert found[:3] == [
        "unix:///mine.sock",
        f"unix://{home}/.docker/run/docker.sock",
        f"unix://{home}/.colima/default/docker.sock",
    ]
    assert next(candidates("", {"DOCKER_CONTEXT": "other"}, home))[1] == "Docker Desktop"
    for server in servers:
        server.close()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"currentContext": 3}', '{"currentContext": "x"}', "\ufeff{}"])
def test_a_broken_configuration_is_passed_over(home: Path, content: str) -> None:
    (home / ".docker").mkdir()
    (home / ".docker/config.json").write_text(content, encoding="utf-8")
    assert all(str(home) in url or "/var/run" in url for url, _ in candidates("", {}, home))


def test_the_first_that_answers_is_taken_and_the_reason_kept(home: Path) -> None:
    dead = listen(home / ".docker/run/docker.sock")
    dead.close()
    html = StandIn(home / ".colima/default/docker.sock", 200, b"<html>")
    engine = StandIn(home / ".orbstack/run/docker.sock", 200, VERSION)
    try:
        found = find_engine("", {}, home)
    finally:
        html.close()
        engine.close()
    assert found is not None
    assert (found.found_by, found.version, found.api, found.architecture) == ("OrbStack", "28.2.2", "1.44", "arm64")


@pytest.mark.parametrize("url", ["unix:///nowhere/at/all.sock", "tcp://127.0.0.1:1", "nonsense", "npipe:////./x", ""])
def test_what_does_not_answer_is_no_engine(home: Path, url: str) -> None:
    if url:
        assert find_engine(url, {}, home) is None


def test_a_socket_that_never_answers_is_given_up(home: Path) -> None:
    server = listen(home / "mute.sock")
    assert find_engine(f"unix://{home}/mute.sock", {}, home) is None
    server.close()
