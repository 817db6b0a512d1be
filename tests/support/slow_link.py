"""A proxy to a server with limited bandwidth, which counts the bytes."""

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Iterator

CHUNK = 16_384


class SlowLink(socketserver.ThreadingTCPServer):
    """A server on a free port; all connections share the bandwidth."""

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
        """Return once this many bytes have passed."""
        deadline = time.monotonic() + seconds
        while self.passed < passed:
            assert time.monotonic() < deadline, f"{self.passed} of {passed} bytes passed"
            time.sleep(0.02)


class Connection(socketserver.BaseRequestHandler):
    """A connection from a client, with its connection to the target."""

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
    """Yield a link to a port on this machine that carries `rate` bytes per second."""
    with SlowLink(int(port), rate) as link:
        thread = threading.Thread(target=link.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        try:
            yield link
        finally:
            link.shutdown()
            thread.join()
