"""A link to a server that carries so many bytes a second, and tells how many it has carried."""

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Iterator

CHUNK = 16_384


class SlowLink(socketserver.ThreadingTCPServer):
    """Listens on a port of its own; all connections share the rate."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, rate: float) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.target, self.rate = ("127.0.0.1", port), rate
        self.passed, self.turn = 0, threading.Lock()
        self.port = self.server_address[1]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_for(self, passed: int, seconds: float = 90) -> None:
        """Return when so many bytes have passed."""
        deadline = time.monotonic() + seconds
        while self.passed < passed:
            assert time.monotonic() < deadline, f"{self.passed} of {passed} bytes passed"
            time.sleep(0.02)


class Connection(socketserver.BaseRequestHandler):
    """One connection of a client, and its connection to the server."""

    def handle(self) -> None:
        with contextlib.suppress(OSError), socket.create_connection(self.server.target) as server:
            back = threading.Thread(target=self.carry, args=(server, self.request))
            back.start()
            self.carry(self.request, server)
            back.join()

    def carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                with self.server.turn:
                    time.sleep(len(data) / self.server.rate)
                    self.server.passed += len(data)
                target.sendall(data)
        for end in source, target:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def slow_link(port: int | str, rate: float) -> Iterator[SlowLink]:
    """Give a link to a port of this machine that carries `rate` bytes a second."""
    with SlowLink(int(port), rate) as link:
        thread = threading.Thread(target=link.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        try:
            yield link
        finally:
            link.shutdown()
            thread.join()
