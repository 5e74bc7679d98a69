"""Answers of the service as its OpenAPI page documents them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel
from starlette.routing import Match, Route

from gen_inbetween.app.service.settings import ENDINGS
from gen_inbetween.runtime.trust.limits import shorten

MEDIA = {"mp4": "video/mp4", "webm": "video/webm", "gif": "image/gif", "webp": "image/webp"}
REFUSALS = {
    400: "The body is no form",
    401: "No token, or a wrong one, where the service asks for one",
    403: "A page of another site asks",
    404: "No such job",
    408: "The body did not come in time",
    409: "No clip yet",
    410: "The job failed or was cancelled",
    413: "The body is too large",
    416: "The file ends before the range that was asked for",
    422: "Something in the request cannot be",
    503: "As many jobs wait as may, see Retry-After",
    507: "The disk is full",
}


class JobReport(BaseModel):
    """A job: where it is, and what was asked for."""

    id: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    step: int
    steps: int
    submitted: float  # seconds since 1970
    finished: float | None
    seconds: float | None  # that a worker took
    error: str | None
    settings: dict[str, Any]


class Refusal(BaseModel):
    """Why a request was refused, in one sentence."""

    detail: str


class Health(BaseModel):
    """Whether the workers run, and how many jobs wait and are in work."""

    ok: bool
    queued: int
    running: int


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route documents besides its own answer."""
    return {status: {"model": Refusal, "description": REFUSALS[status]} for status in statuses}


def media(*types: str) -> dict[int | str, dict[str, Any]]:
    """An answer that is a file of one of these types."""
    return {200: {"content": {type_: {"schema": {"type": "string"}} for type_ in types}}}


CLIP = media(*(MEDIA[ending] for ending in ENDINGS))
CLIP[206] = {**CLIP[200], "description": "The range of it that was asked for"}
RANGE = re.compile(r"bytes=(?:(?P<first>\d{1,18})-(?P<last>\d{0,18})|-(?P<tail>\d{1,18}))", re.ASCII)


def send_file(request: Request, path: Path, media_type: str, name: str | None = None) -> FileResponse:
    """A file, or the range of bytes that a request asks for; what is no such range is passed over (RFC 9110, 14.2).

    HTTPException: the file is gone (404), or ends before the range (416).
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise HTTPException(404, "no such file: its time here is over") from None
    asked = RANGE.fullmatch(request.headers.get("range", ""))
    first = int(asked["first"] or 0) if asked else 0
    if asked is None or (asked["last"] and int(asked["last"]) < first):
        request.scope["headers"] = [each for each in request.scope["headers"] if each[0] != b"range"]
    elif first >= found.st_size or asked["tail"] and not int(asked["tail"]):
        raise HTTPException(416, f"the file has {found.st_size} bytes", {"Content-Range": f"bytes */{found.st_size}"})
    return FileResponse(path, media_type=media_type, filename=name, stat_result=found)


async def say_what_is_wrong(request: Request, error: Exception) -> JSONResponse:
    """A request that is not of its route's form, refused in a sentence as all others are."""
    assert isinstance(error, RequestValidationError)
    parts = []
    for said in error.errors():
        if "Expected UploadFile" in said["msg"]:  # a part without a file's name, which pydantic tells in its own words
            parts.append(f"{said['loc'][1]}: expected a file with a name, got text")
        elif said["loc"][-1] != "none":  # its other choice, that there is no such part
            parts.append(f"{'.'.join(map(str, said['loc'][1:]))}: {said['msg']}")
    return JSONResponse({"detail": shorten("; ".join(parts), 500)}, 422)


async def name_methods(request: Request, error: Exception) -> JSONResponse:
    """A method that no route of this path has, refused with all that they have; Starlette names those of one route."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    fitting = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    methods = sorted({method for route in fitting for method in route.methods or ()})
    return JSONResponse({"detail": f"expected {' or '.join(methods)}"}, 405, {"Allow": ", ".join(methods)})
