"""One window per data folder: the first start holds a lock, a second hands it its arguments and ends.

A lock left by a killed process is taken over. Only `Instance` is public; QtNetwork is imported when first needed,
after the first paint or when there is somebody to talk to.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QLockFile, QObject, Signal

if TYPE_CHECKING:
    from PySide6.QtNetwork import QLocalServer, QLocalSocket

_LIMIT_BYTES = 1 << 20
_WAIT_MS = 3000


class Instance(QObject):
    """The right to be the window of one data folder.

    handedOver(list[str])  another start gave us these paths or accessions (an empty list: come to the front)
    """

    handedOver = Signal(object)

    def __init__(self, home: Path, parent: QObject | None = None) -> None:
        super().__init__(parent)
        home.mkdir(parents=True, exist_ok=True)
        self._lock = QLockFile(str(home / "window.lock"))
        self._lock.setStaleLockTime(0)  # never stale by age; a dead owner is noticed by its process id
        self._home = home
        self._server: QLocalServer | None = None

    def acquire(self) -> bool:
        """Whether this process is now the one window; a lock whose owner died is taken over."""
        return self._lock.tryLock(100)

    def listen(self) -> None:
        """Answer later starts. Only for the holder of the lock: it may remove a socket a killed one left."""
        from PySide6.QtNetwork import QLocalServer

        QLocalServer.removeServer(self._name())
        self._server = QLocalServer(self)
        self._server.setSocketOptions(QLocalServer.SocketOption.UserAccessOption)
        self._server.newConnection.connect(self._on_connection)
        self._server.listen(self._name())

    def hand_over(self, arguments: list[str]) -> bool:
        """Give the arguments to the first start; False if nobody answered within a few seconds."""
        import json
        import time

        from PySide6.QtNetwork import QLocalSocket

        socket = QLocalSocket()
        until = time.monotonic() + _WAIT_MS / 1000
        while True:  # the first start may be between its lock and its socket
            socket.connectToServer(self._name())
            if socket.waitForConnected(200):
                break
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        socket.write(json.dumps(arguments).encode() + b"\n")
        if not socket.waitForBytesWritten(_WAIT_MS) or not socket.waitForReadyRead(_WAIT_MS):
            return False
        answered = bytes(socket.readAll().data()) == b"ok\n"
        socket.disconnectFromServer()
        return answered

    def _name(self) -> str:
        """The socket's name: one for each data folder, short enough for every platform."""
        import hashlib

        return f"benchtop-{hashlib.sha256(str(self._home.resolve()).encode()).hexdigest()[:16]}"

    def release(self) -> None:
        """Stop answering and let another start be the window."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._lock.unlock()

    def _on_connection(self) -> None:
        while self._server is not None and self._server.hasPendingConnections():
            socket = self._server.nextPendingConnection()
            socket.readyRead.connect(lambda socket=socket: self._on_ready(socket))
            socket.disconnected.connect(socket.deleteLater)

    def _on_ready(self, socket: QLocalSocket) -> None:
        import json

        if socket.bytesAvailable() > _LIMIT_BYTES:
            socket.abort()
            return
        if not socket.canReadLine():
            return
        try:
            given = json.loads(bytes(socket.readLine().data()))
        except ValueError:
            given = None
        if not isinstance(given, list) or not all(isinstance(item, str) for item in given):
            socket.abort()
            return
        socket.write(b"ok\n")
        socket.flush()
        self.handedOver.emit(given)
