"""Answers of the service as its OpenAPI page documents them."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
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


async def say_what_is_wrong(request: Request, error: Exception) -> JSONResponse:
    """A request that is not of its route's form, refused in a sentence as all others are."""
    assert isinstance(error, RequestValidationError)
    parts = [f"{'.'.join(map(str, said['loc'][1:]))}: {said['msg']}" for said in error.errors()]
    return JSONResponse({"detail": shorten("; ".join(parts), 500)}, 422)


async def name_methods(request: Request, error: Exception) -> JSONResponse:
    """A method that no route of this path has, refused with all that they have; Starlette names those of one route."""
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    fitting = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    methods = sorted({method for route in fitting for method in route.methods or ()})
    return JSONResponse({"detail": f"expected {' or '.join(methods)}"}, 405, {"Allow": ", ".join(methods)})
