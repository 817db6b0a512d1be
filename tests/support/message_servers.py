"""A web server and a mail server that receive real messages, and keep them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller
from conftest import free_port

# Part of the logins and paths in addresses; it must not appear anywhere else.
SECRET = "xoxb-4242-path-secret"


@contextmanager
def web_server() -> Iterator[ThreadingHTTPServer]:
    """Yield a web server that keeps posted messages and answers with its `status`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Keeper)
    server.messages, server.status = [], 200
    server.url = f"json://user:{SECRET}@127.0.0.1:{server.server_port}/{SECRET}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Keeper(BaseHTTPRequestHandler):
    def do_POST(self):
        posted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == f"/{SECRET}"
        if self.server.status == 200:
            self.server.messages.append(posted)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def mail_server() -> Iterator[Controller]:
    """Yield a mail server that keeps received messages."""
    server = Controller(MailKeeper(), hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()


class MailKeeper:
    def __init__(self):
        self.messages = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802  the name that aiosmtpd calls
        self.messages.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=policy.default)))
        return "250 OK"


def mail_url(mail) -> str:
    return f"mailto://127.0.0.1:{mail.port}?from=churn@example.com&to=team@example.com"


def dead_url() -> str:
    return f"json://user:{SECRET}@127.0.0.1:{free_port()}/{SECRET}"
