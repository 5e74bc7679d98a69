"""Pictures fetched from origins under an allow-list.

A service that fetches what strangers name can be made to ask its own network (server-side request forgery, OWASP).
So the origin must be on the list, every address its name stands for must be a public one, the connection goes to the
address that was looked at, no redirect is followed, and size and time are bounded. An origin that is itself an address
(http://10.0.0.5:9000) is the operator's word that this one may be asked.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Collection
from contextlib import closing, suppress
from urllib.parse import SplitResult, urlsplit

PORTS = {"http": 80, "https": 443}
NAT64 = ipaddress.ip_network("64:ff9b::/96")
CHUNK = 2**16


class FetchError(ValueError):
    """A picture that is not fetched, and why."""


def parse_origin(text: str) -> str:
    """An origin in one spelling: "HTTPS://Images.example.com:443/" -> "https://images.example.com:443".

    ValueError: it is none.
    """
    parts = _split(text)
    if parts.path not in ("", "/") or parts.query:
        raise ValueError(f"expected an origin such as https://images.example.com, got {text!r}")
    return origin_of(parts)


def origin_of(parts: SplitResult) -> str:
    """scheme://host:port of a URL."""
    host = (parts.hostname or "").rstrip(".")
    return f"{parts.scheme}://{host}:{parts.port or PORTS[parts.scheme]}"


def fetch(url: str, origins: Collection[str], *, max_bytes: int, seconds: float) -> bytes:
    """What stands at a URL.

    Args:
        origins: as `parse_origin` gives them.
        max_bytes, seconds: of the whole answer.

    Raises:
        FetchError: not allowed, not there, too large, too slow.
    """
    try:
        parts = _split(url)
    except ValueError as error:
        raise FetchError(str(error)) from error
    if origin_of(parts) not in origins:
        raise FetchError(f"{parts.hostname}: not an origin that pictures are fetched from here; upload the picture")
    address = public_address(parts.hostname or "", parts.port or PORTS[parts.scheme])
    connection = _connection(parts, address, seconds)
    with closing(connection):
        try:
            connection.connect()
            watch = threading.Timer(seconds, _end, [connection.sock])
            watch.start()
            try:
                return _read(connection, parts, max_bytes)
            finally:
                watch.cancel()
        except (OSError, http.client.HTTPException) as error:
            reason = f"no answer in {seconds:g} s" if isinstance(error, TimeoutError) else type(error).__name__
            raise FetchError(f"{parts.hostname}: could not be fetched: {reason}") from error


def public_address(host: str, port: int) -> str:
    """The address to ask for a host; FetchError: it has none, or one that is not public."""
    with suppress(ValueError):
        return str(ipaddress.ip_address(host))  # on the list as an address
    try:
        found = [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise FetchError(f"{host}: no such host") from error
    if not found or not all(is_public(address) for address in found):
        raise FetchError(f"{host} stands for an address that is not public: nothing is fetched from there")
    return found[0]


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet, whatever wraps it.

    >>> is_public("93.184.216.34"), is_public("::ffff:10.0.0.1"), is_public("169.254.169.254")
    (True, False, False)
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo or (None, None))[1]
        if parsed in NAT64:
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return parsed.is_global and not parsed.is_multicast


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        known = parts.scheme in PORTS and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        known = False
    if not known or not url.isascii() or any(sign <= " " for sign in url):
        raise ValueError(f"expected an address such as https://images.example.com/a.png, got {url[:100]!r}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("expected an address without a name and a password in it")
    return parts


def _connection(parts: SplitResult, address: str, seconds: float) -> http.client.HTTPConnection:
    """To the address that was checked: the name is not looked up a second time."""
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection

    def connect() -> None:
        plain = socket.create_connection((address, port), timeout=seconds)
        secure = parts.scheme == "https"
        connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if secure else plain

    connection = kind(host, port, timeout=seconds)
    connection.connect = connect  # type: ignore[method-assign]
    return connection


def _read(connection: http.client.HTTPConnection, parts: SplitResult, max_bytes: int) -> bytes:
    path = parts._replace(scheme="", netloc="", path=parts.path or "/", fragment="").geturl()
    connection.request("GET", path, headers={"Accept": "image/*", "Accept-Encoding": "identity"})
    answer = connection.getresponse()
    if 300 <= answer.status < 400:
        raise FetchError(f"{parts.hostname} answers with a redirect, and none is followed: give the picture's address")
    if answer.status != 200:
        raise FetchError(f"{parts.hostname} answers with status {answer.status}")
    content = b""
    while len(content) <= max_bytes and (chunk := answer.read(CHUNK)):
        content += chunk
    if len(content) > max_bytes:
        raise FetchError(f"the picture at {parts.hostname} has more than {max_bytes / 1e6:g} MB")
    return content


def _end(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
