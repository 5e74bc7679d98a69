"""Pictures from other hosts: which are asked, and what they may answer."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gen_inbetween.app.service import fetch as module
from gen_inbetween.app.service.fetch import FetchError, fetch, is_public, parse_origin, public_address


class Host(BaseHTTPRequestHandler):
    asked: list[str] = []

    def do_GET(self):
        self.asked.append(self.path)
        if self.path == "/moved.png":
            self.send_response(302)
            self.send_header("Location", "/a.png")
            self.end_headers()
            return
        self.send_response(404 if self.path == "/gone.png" else 200)
        self.end_headers()
        with suppress(OSError):  # the other side has left
            for _ in range(200 if self.path == "/slow.png" else 1):
                self.wfile.write(b"picture")
                time.sleep(0.1 if self.path == "/slow.png" else 0)

    def log_message(self, *said):
        pass


@pytest.fixture(scope="module")
def host():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def get(url, *origins, max_bytes=100, seconds=5.0):
    return fetch(url, set(map(parse_origin, origins)), max_bytes=max_bytes, seconds=seconds)


def test_a_picture_of_an_origin_on_the_list(host):
    assert get(f"{host}/a.png?size=2", host) == b"picture" and Host.asked[-1] == "/a.png?size=2"
    for short, asked in (("?picture=3", "/?picture=3"), ("", "/"), ("/", "/")):
        assert get(host + short, host) == b"picture" and Host.asked[-1] == asked


@pytest.mark.parametrize(
    "path, limits, words",
    [
        ("/moved.png", {}, "redirect"),
        ("/gone.png", {}, "status 404"),
        ("/a.png", {"max_bytes": 6}, "more than"),
        ("/slow.png", {"seconds": 0.5, "max_bytes": 10**6}, None),
    ],
)
def test_answers_that_are_not_taken(host, path, limits, words):
    begun = time.monotonic()
    if words is None:  # cut off in time: an error, or the beginning, which is no whole picture
        with suppress(FetchError):
            assert len(get(host + path, host, **limits)) < 100
    else:
        with pytest.raises(FetchError, match=words):
            get(host + path, host, **limits)
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:{port}/a.png",  # another name of the same host
        "http://127.0.0.1/a.png",  # another port
        "https://127.0.0.1:{port}/a.png",  # another scheme
        "http://2130706433:{port}/a.png",  # 127.0.0.1 as a number
        "http://a@127.0.0.1:{port}/a.png",
        "http://127.0.0.1:{port}@evil.example/a.png",
        "http://127.0.0.1:{port}\\@evil.example/a.png",
        "file:///etc/passwd",
        "ftp://127.0.0.1/a.png",
        "//127.0.0.1/a.png",
        "http://127.0.0.1:{port}/a.png\r\nX: y",
        "http://[::1]:{port}/a.png",
        "http://127.0.0.1:99999/a.png",
        "",
    ],
)
def test_other_addresses_are_not_asked(host, url):
    before = len(Host.asked)
    with pytest.raises(FetchError):
        get(url.replace("{port}", host.rpartition(":")[2]), host)
    assert len(Host.asked) == before


PRIVATE = (
    "127.0.0.1 10.1.2.3 192.168.0.1 172.16.9.9 169.254.169.254 0.0.0.0 100.64.0.1 224.0.0.1 ::1 fe80::1 fd00::1 ff02::1"  # noqa: E501
)
WRAPPED = "::ffff:127.0.0.1 2002:7f00:1:: 64:ff9b::a00:1 fe80::1%eth0"


@pytest.mark.parametrize("address", [*PRIVATE.split(), *WRAPPED.split()])
def test_a_name_that_stands_for_a_private_address_is_not_asked(monkeypatch, address):
    def resolve(*asked, **how):
        return [(0, 0, 0, "", (found, 443)) for found in ("93.184.216.34", address)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert not is_public(address)
    with pytest.raises(FetchError, match="not public"):
        get("https://images.example.com/a.png", "https://images.example.com")


def test_the_connection_goes_to_the_address_that_was_looked_at(host, monkeypatch):
    port = int(host.rpartition(":")[2])
    answers = iter(["93.184.216.34", "127.0.0.1"])  # a name that is another host when it is asked again
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: [(0, 0, 0, "", (next(answers), port))])
    assert public_address("images.example.com", port) == "93.184.216.34"
    asked = []
    monkeypatch.setattr(module.socket, "create_connection", lambda place, timeout: asked.append(place) or 1 / 0)
    answers = iter(["93.184.216.34", "127.0.0.1"])
    with pytest.raises(ZeroDivisionError):
        get(f"http://images.example.com:{port}/a.png", f"http://images.example.com:{port}")
    assert asked == [("93.184.216.34", port)]


@pytest.mark.parametrize("text", ["images.example.com", "https://x.org/path", "ftp://x.org", "https://", "*"])
def test_origins_that_are_none(text):
    with pytest.raises(ValueError, match="expected an"):
        parse_origin(text)


def test_one_spelling():
    assert parse_origin("HTTPS://Images.Example.com/") == parse_origin("https://images.example.com:443")
