"""A server on loopback that answers as a Hugging Face hub does: repository listings, resolve with LFS redirects, ranges.

Real HTTP over real sockets: HEAD with X-Repo-Commit, X-Linked-Etag and X-Linked-Size; large files behind a 302.
Faults are set by file name.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

LARGE = (".safetensors", ".gguf")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Trouble:
    """What to do wrong with a file (or, under the name "api", with listings); `times` None means always.

    status     answer with it            headers    along with that
    cut_after  announce all, send this many bytes of what was asked for, close
    other      send these bytes instead, of the same length
    elsewhere  redirect there            chunk, pause_s  send slowly
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    other: bytes = b""
    elsewhere: str = ""
    chunk: int = 1 << 16
    pause_s: float = 0.0
    times: int | None = None


class HubServer:
    """Use as a context manager. `repositories[name][file]` is its content; `token`, when set, is asked for."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.commit = COMMIT
        self.token = ""
        self.trouble: dict[str, Trouble] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> HubServer:
        server = self

        class Handler(_Handler):
            hub = server

        self._doors = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
        self._threads = [
            threading.Thread(target=door.serve_forever, kwargs={"poll_interval": 0.05}) for door in self._doors
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        for door, thread in zip(self._doors, self._threads, strict=True):
            door.shutdown()
            thread.join()
            door.server_close()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._doors[0].server_address[1]}"

    @property
    def storage(self) -> str:
        """Where large files are: another host, as with the real hub."""
        return f"http://127.0.0.1:{self._doors[1].server_address[1]}"

    def take_trouble(self, name: str) -> Trouble:
        with self._lock:
            trouble = self.trouble.get(name)
            if trouble is None or trouble.times == 0:
                return Trouble()
            if trouble.times is not None:
                trouble.times -= 1
            return trouble

    def ranges(self, part: str) -> list[str]:
        """The Range headers of requests whose path contains `part`."""
        return [headers.get("range", "") for method, path, headers in self.asked if part in path and method == "GET"]


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: Any) -> None: ...

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def _answer(self, *, has_body: bool) -> None:
        path = urlsplit(self.path).path
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.hub.asked.append((self.command, path, headers))
        is_file = path.startswith("/lfs/")
        if self.hub.token and not is_file and headers.get("authorization") != f"Bearer {self.hub.token}":
            self._plain(401, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to this model is restricted."})
        elif listing := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([0-9a-f]+))?", path):
            self._listing(listing[1])
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/([^/]+)", path):
            self._resolve(found[1], found[3], has_body=has_body)
        elif is_file:
            _, _, repository, name = path.split("/", 3)
            self._send(self.hub.repositories[repository.replace("--", "/")][name], name, has_body=has_body)
        else:
            self._plain(404, {})

    def _listing(self, repository: str) -> None:
        trouble = self.hub.take_trouble("api")
        if trouble.status:
            self._plain(trouble.status, trouble.headers)
            return
        if repository not in self.hub.repositories:
            self._plain(401, {"X-Error-Code": "RepoNotFound"})
            return
        siblings: list[dict[str, Any]] = []
        for name, content in self.hub.repositories[repository].items():
            sibling: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": _git_id(content)}
            if name.endswith(LARGE):
                digest = hashlib.sha256(content).hexdigest()
                sibling["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
            siblings.append(sibling)
        body = {"_id": "1", "id": repository, "sha": self.hub.commit, "siblings": siblings}
        payload = json.dumps(body | {"tags": ["license:apache-2.0"]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def _resolve(self, repository: str, name: str, *, has_body: bool) -> None:
        trouble = self.hub.take_trouble(name) if not name.endswith(LARGE) else Trouble()
        content = self.hub.repositories.get(repository, {}).get(name)
        if trouble.status:
            self._plain(trouble.status, trouble.headers)
        elif content is None:
            self._plain(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": self.hub.commit})
        elif name.endswith(LARGE):
            place = self.hub.trouble.get(name, Trouble()).elsewhere or self.hub.storage
            self.send_response(302)
            self.send_header("Location", f"{place}/lfs/{repository.replace('/', '--')}/{name}")
            self.send_header("X-Repo-Commit", self.hub.commit)
            self.send_header("X-Linked-Etag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Linked-Size", str(len(content)))
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._send(content, name, has_body=has_body, commit=self.hub.commit)

    def _send(self, content: bytes, name: str, *, has_body: bool, commit: str = "") -> None:
        trouble = self.hub.take_trouble(name) if has_body else Trouble()
        if trouble.status:
            self._plain(trouble.status, trouble.headers)
            return
        content = trouble.other or content
        begin = 0
        if asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            begin = int(asked[1])
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        if commit:
            self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", f'"{_git_id(content)}"')
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        if not has_body:
            return
        body = content[begin:] if trouble.cut_after is None else content[begin : begin + trouble.cut_after]
        try:
            for at in range(0, len(body), trouble.chunk):
                self.wfile.write(body[at : at + trouble.chunk])
                if trouble.pause_s:
                    time.sleep(trouble.pause_s)
        except OSError:
            self.close_connection = True
        if trouble.cut_after is not None:
            self.close_connection = True

    def _plain(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
