"""A server on loopback that answers as NCBI does: GEO's file tree, acc.cgi records, the download page, E-utilities.

Real HTTP over real sockets. Faults are switched on by path and, if wanted, for the first few requests only.
"""

from __future__ import annotations

import contextlib
import fnmatch
import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

HHS = '<a href="https://www.hhs.gov/vulnerability-disclosure-policy/index.html">HHS Vulnerability Disclosure</a>'
ERROR_PAGE = (
    b"<!DOCTYPE html>\n<html><head><title>NCBI</title></head><body>Error: temporarily unavailable</body></html>"
)


@dataclass
class Fault:
    """What to do wrong. `times` None means always.

    status      answer with it (headers go along)      html       a web page with status 200
    cut_after   announce all, send this many bytes     reset      close the connection with RST after cut_after
    pause_s     wait between chunks of `chunk` bytes   silent_s   wait before the first byte
    damaged     send the whole announced length of a gzip file that ends too early
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    html: bool = False
    cut_after: int | None = None
    reset: bool = False
    pause_s: float = 0.0
    chunk: int = 1 << 16
    silent_s: float = 0.0
    damaged: bool = False
    times: int | None = None


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    path: str
    query: str
    headers: dict[str, str]
    at_s: float


class GeoServer:
    """Use as a context manager. `files` maps absolute paths ("/geo/series/…") to bytes."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.records: dict[str, str] = {}
        self.replies: dict[tuple[str, str], Any] = {}  # (eutil, part of its query) → JSON
        self.counts: dict[str, list[str]] = {}  # series → file names made by NCBI
        self.asked: list[Asked] = []
        self.ranges = True
        self.validators = True
        self._faults: list[tuple[str, Fault]] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def __enter__(self) -> GeoServer:
        server = self

        class Handler(_Handler):
            stand_in = server

        self._http = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def environ(self) -> dict[str, str]:
        """Settings that send Benchtop here instead of to NCBI, with little patience."""
        return {
            "BENCHTOP_NET__GEO_URL": f"{self.base}/geo",
            "BENCHTOP_NET__NCBI_URL": f"{self.base}/ncbi",
            "BENCHTOP_NET__EUTILS_URL": f"{self.base}/eutils",
        }

    def fault(self, pattern: str, fault: Fault) -> None:
        """Switch a fault on for paths (with query) that match the glob."""
        with self._lock:
            self._faults.append((pattern, fault))

    def heal(self) -> None:
        """Switch all faults off."""
        with self._lock:
            self._faults.clear()

    def times_asked(self, part: str) -> int:
        return sum(part in f"{a.path}?{a.query}" for a in self.asked)

    def add_tree(self, geo: Path) -> None:
        """Serve a folder that has `series/` and perhaps `download/`, as GEO would."""
        for path in sorted(geo.rglob("*")):
            if not path.is_file():
                continue
            name = path.relative_to(geo).as_posix()
            if name.startswith("download/"):
                continue
            self.files[f"/geo/{name}"] = path.read_bytes()
            if name.endswith("_family.soft.gz"):
                self._add_records(gzip.decompress(path.read_bytes()).decode())
        made = sorted(p.name for p in geo.glob("download/*"))
        for series in {n.split("_")[0] for n in made if n.startswith("GSE")}:
            self.counts[series] = made
            self.files.update({f"/download/{n}": (geo / "download" / n).read_bytes() for n in made})

    def add_series(
        self, series: str, *, supplementary: dict[str, bytes] | None = None, matrix: bytes = b"", extra: str = ""
    ) -> str:
        """A small composed series; returns its folder's path on the server."""
        folder = f"/geo/series/GSE{series[3:-3]}nnn/{series}"
        number = int(series[3:])
        soft = (
            f"^SERIES = {series}\n!Series_title = Composed\n!Series_geo_accession = {series}\n"
            f"!Series_status = Public on Jan 01 2020\n{extra}"
            f"^SAMPLE = GSM{number}\n!Sample_geo_accession = GSM{number}\n!Sample_series_id = {series}\n"
        )
        self._add_records(soft)
        self.files[f"{folder}/soft/{series}_family.soft.gz"] = gzip.compress(soft.encode(), mtime=0)
        self.files[f"{folder}/matrix/{series}_series_matrix.txt.gz"] = gzip.compress(
            matrix or f'!Series_geo_accession\t"{series}"\n'.encode(), mtime=0
        )
        for name, data in (supplementary or {}).items():
            self.files[f"{folder}/suppl/{name}"] = data
        return folder

    def _add_records(self, soft: str) -> None:
        block: list[str] = []
        for line in [*soft.splitlines(), "^END = end"]:
            if line.startswith("^") and block:
                accession = block[0].partition("=")[2].strip()
                if accession.startswith(("GSE", "GSM", "GPL")):
                    self.records[accession] = "\n".join(x for x in block if x.startswith(("^", "!"))) + "\n"
                block = []
            block.append(line)

    def take_fault(self, target: str) -> Fault | None:
        with self._lock:
            for number, (pattern, fault) in enumerate(self._faults):
                if fnmatch.fnmatch(target, pattern):
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times <= 0:
                            del self._faults[number]
                    return fault
        return None

    def wait(self, seconds: float) -> None:
        """Sleep, but not beyond the end of the server."""
        self._stopped.wait(seconds)

    def answer(self, path: str, query: str) -> tuple[int, str, bytes] | None:
        """(status, media type, body), or None for 404."""
        params = {key: values[0] for key, values in parse_qs(query).items()}
        if path == "/ncbi/geo/query/acc.cgi":
            return self._record(params.get("acc", ""))
        if path == "/ncbi/geo/download/":
            return self._download(params)
        if path.startswith("/eutils/"):
            return self._eutil(path.removeprefix("/eutils/").removesuffix(".fcgi"), query)
        if path in self.files:
            return 200, "application/x-gzip" if path.endswith(".gz") else "application/octet-stream", self.files[path]
        if path.endswith("/"):
            return self._index(path)
        return None

    def _record(self, accession: str) -> tuple[int, str, bytes]:
        text = self.records.get(accession)
        if text is None:
            page = f'<html><body>Could not find a public or private accession "{accession}".</body></html>'
            return 200, "text/html; charset=utf-8", page.encode()
        is_page = text.lstrip().startswith("<")
        return 200, "text/html; charset=utf-8" if is_page else "geo/text", text.encode()

    def _download(self, params: dict[str, str]) -> tuple[int, str, bytes] | None:
        if "file" in params:
            data = self.files.get(f"/download/{params['file']}")
            return None if data is None else (200, "application/octet-stream", data)
        series = params.get("acc", "")
        links = "".join(
            f'<a href="/geo/download/?type=rnaseq_counts&amp;acc={series}&amp;format=file&amp;file={name}">{name}</a>\n'
            for name in self.counts.get(series, [])
        )
        return 200, "text/html; charset=utf-8", f"<html><body>{links}{HHS}</body></html>".encode()

    def _eutil(self, name: str, query: str) -> tuple[int, str, bytes]:
        text = unquote(query)
        for (tool, part), reply in self.replies.items():
            if tool == name and part in text:
                return 200, "application/json; charset=UTF-8", json.dumps(reply).encode()
        empty: dict[str, Any] = {"esearch": {"esearchresult": {"count": "0", "idlist": []}}, "elink": {"linksets": []}}
        return 200, "application/json", json.dumps(empty.get(name, {"result": {"uids": []}})).encode()

    def _index(self, path: str) -> tuple[int, str, bytes] | None:
        """NCBI's index page: sort links, the parent, the HHS link."""
        below = {
            name.removeprefix(path).split("/")[0]: data for name, data in self.files.items() if name.startswith(path)
        }
        if not below:
            return None
        rows = [
            f'<a href="{name}">{name}</a>  2024-01-01 12:00  {max(1, len(data) // 1024)}K'
            for name, data in sorted(below.items())
        ]
        page = (
            f"<!DOCTYPE HTML PUBLIC><html><head><title>Index of {path}</title></head><body><h1>Index of {path}</h1><pre>"
            '<a href="?C=N;O=D">Name</a> <a href="?C=M;O=A">Last modified</a> <a href="?C=S;O=A">Size</a>\n<hr>'
            f'<a href="{path.rstrip("/").rpartition("/")[0]}/">Parent Directory</a>   -\n'
            + "\n".join(rows)
            + f"\n<hr></pre>{HHS}</body></html>"
        )
        return 200, "text/html;charset=UTF-8", page.encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stand_in: GeoServer
    timeout = 20

    def log_message(self, *_: object) -> None:
        """Silent."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path, server = unquote(parts.path), self.stand_in
        server.asked.append(Asked(path, parts.query, dict(self.headers.items()), time.monotonic()))
        fault = server.take_fault(self.path) or Fault()
        if fault.silent_s:
            server.wait(fault.silent_s)
        if fault.status:
            self._send(fault.status, b"busy", fault.headers)
            return
        if fault.html:
            self._send(200, ERROR_PAGE, {"Content-Type": "text/html"})
            return
        found = server.answer(path, parts.query)
        if found is None:
            self._send(404, b"<html><body>404 Not Found</body></html>", {"Content-Type": "text/html"})
            return
        status, media_type, data = found
        if fault.damaged:
            data = data[: len(data) // 2]
        headers = {"Content-Type": media_type}
        if server.validators and path in server.files:
            headers["ETag"] = f'"{hash(data) & 0xFFFFFFFF:x}"'
            headers["Last-Modified"] = formatdate(1_600_000_000, usegmt=True)
            if self.headers.get("If-None-Match") == headers["ETag"]:
                self._send(304, b"", headers)
                return
        begin = 0
        wanted = self.headers.get("Range", "")
        if wanted and server.ranges and self.headers.get("If-Range", headers.get("ETag")) == headers.get("ETag"):
            begin = int(wanted.removeprefix("bytes=").rstrip("-"))
            headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
            status = 206
        self._send(status, data[begin:], headers, fault)

    def _send(self, status: int, body: bytes, headers: dict[str, str], fault: Fault | None = None) -> None:
        fault = fault or Fault()
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            sent = body if fault.cut_after is None else body[: fault.cut_after]
            for at in range(0, len(sent), fault.chunk):
                self.wfile.write(sent[at : at + fault.chunk])
                self.wfile.flush()
                if fault.pause_s:
                    self.stand_in.wait(fault.pause_s)
        if fault.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if fault.cut_after is not None or fault.reset:
            self.close_connection = True
            if fault.reset:
                self.connection.close()


@contextlib.contextmanager
def geo_server() -> Iterator[GeoServer]:
    """A running stand-in with nothing in it."""
    with GeoServer() as server:
        yield server
