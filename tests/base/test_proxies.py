"""What is sent to a server of this machine, logins too, does not go to the machine's proxy."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests

from churn.base.command import bypass_proxies
from churn.stack.checks import check_page


@contextlib.contextmanager
def serve(asked: list[str]):
    """Answer on this machine, remember what was asked for, and yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("own", [{}, {"NO_PROXY": "other.example.com"}, {"no_proxy": "other.example.com"}])
def test_servers_of_this_machine_are_reached_directly(monkeypatch, own):
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    to_proxy, to_server = [], []
    with serve(to_proxy) as proxy, serve(to_server) as server:
        monkeypatch.setenv("http_proxy", proxy)
        for name, value in own.items():
            monkeypatch.setenv(name, value)
        # As in a new process: Python asks for proxies once.
        monkeypatch.setattr("urllib.request._opener", None)
        assert check_page(f"{server}/before") is None and to_proxy == [f"{server}/before"]
        bypass_proxies()
        monkeypatch.setattr("urllib.request._opener", None)
        assert check_page(f"{server}/page") is None and requests.get(f"{server}/client", timeout=10).ok
        requests.get("http://elsewhere.example.com/", timeout=10)
        # Where the user wants none, there is none.
        with pytest.raises(requests.ConnectionError):
            requests.get("http://other.example.com:9/" if own else "http://127.0.0.1:9/", timeout=10)
    assert to_server == ["/page", "/client"]
    assert to_proxy == [f"{server}/before", "http://elsewhere.example.com/"]
