"""Bounds of requests: size and time of bodies, and other sites' pages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from gen_inbetween.app.service.metrics import Metrics
from gen_inbetween.runtime.trust.limits import shorten

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")  # others could be as many as one likes

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Guard:
    """An ASGI application before another, which sees no more than `max_bytes` of a body, all come in `seconds`.

    A page of another site may not post here through its visitor's browser: an Origin that is not this host is refused.
    """

    def __init__(self, app: Any, *, max_bytes: int, seconds: float, metrics: Metrics) -> None:
        self.app, self.max_bytes, self.seconds, self.metrics = app, max_bytes, seconds, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.monotonic()

        async def watched(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "other")
                method = scope["method"] if scope["method"] in METHODS else "other"
                self.metrics.requests.labels(method, route).observe(time.monotonic() - begun)
                if message["status"] >= 400:
                    self.metrics.refused.labels(message["status"]).inc()
            await send(message)

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        status, why = self.check(headers)
        if status:
            await JSONResponse({"detail": why}, status, {"Connection": "close"})(scope, receive, watched)
        else:
            await self.app(scope, self.bounded(receive, begun + self.seconds), watched)

    def check(self, headers: dict[str, str]) -> tuple[int, str]:
        """The status by which a request is refused for its headers, and why; (0, "") lets it pass."""
        origin = headers.get("origin")
        if origin is not None and host_of(origin) != headers.get("host"):
            return 403, f"pages of {shorten(origin)} may not use this service"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self.max_bytes:
            return 413, self.too_large
        return 0, ""

    @property
    def too_large(self) -> str:
        """What is said of a body that is."""
        return f"a request has at most {self.max_bytes / 1e6:g} MB here"

    def bounded(self, receive: Receive, deadline: float) -> Receive:
        """`receive`, until the body is whole, with an end."""
        count, whole = 0, False

        async def bounded() -> MutableMapping[str, Any]:
            nonlocal count, whole
            if whole:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, deadline - time.monotonic()))
            except asyncio.TimeoutError:
                raise HTTPException(408, f"the request did not come in {self.seconds:g} s") from None
            count += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if count > self.max_bytes:
                raise HTTPException(413, self.too_large)
            return message

        return bounded


def host_of(origin: str) -> str | None:
    """The host and port of an Origin; None: it is none.

    >>> host_of("https://example.com:8443"), host_of("http://[")
    ('example.com:8443', None)
    """
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
