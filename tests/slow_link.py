"""A link to a server that carries so many bytes a second, and tells how many it has carried."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

CHUNK = 16_384


class SlowLink:
    """Listens on a port of its own; each way of each connection shares the rate."""

    def __init__(self, port: int, rate: float) -> None:
        self.rate = rate
        self.passed = 0
        self._target = ("127.0.0.1", port)
        self._turn = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, passed: int, seconds: float = 90) -> None:
        """Return when so many bytes have passed."""
        deadline = time.monotonic() + seconds
        while self.passed < passed:
            assert time.monotonic() < deadline, f"{self.passed} of {passed} bytes passed"
            time.sleep(0.02)

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(self._target)
                except OSError:
                    client.close()
                    continue
                for source, target in (client, server), (server, client):
                    threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                with self._turn:
                    time.sleep(len(data) / self.rate)
                    self.passed += len(data)
                target.sendall(data)
        for end in source, target:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def slow_link(port: int | str, rate: float) -> Iterator[SlowLink]:
    """Give a link to a port of this machine that carries `rate` bytes a second."""
    link = SlowLink(int(port), rate)
    try:
        yield link
    finally:
        link.close()
