"""The HTTP interface: jobs in, progress and clips out.

    POST   /v1/jobs               two pictures or their addresses, settings  -> 202 and the job
    GET    /v1/jobs/ID            the job
    GET    /v1/jobs/ID/events     the same as server-sent events, until it has ended
    GET    /v1/jobs/ID/clip       the clip
    GET    /v1/jobs/ID/manifest   how it was made
    DELETE /v1/jobs/ID            cancel
    GET    /health  /metrics  /docs  /openapi.json

A job's id is not to be guessed, and there is no list of them: who has it may see the job.
"""

from __future__ import annotations

import asyncio
import hmac
import io
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, File, Form, HTTPException, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from PIL import Image
from pydantic.json_schema import SkipJsonSchema

import gen_inbetween
from gen_inbetween.app.service.answers import (
    CLIP,
    MEDIA,
    Health,
    JobReport,
    media,
    name_methods,
    refusals,
    say_what_is_wrong,
    send_file,
)
from gen_inbetween.app.service.fetch import FetchError, fetch, parse_origin
from gen_inbetween.app.service.guard import Guard
from gen_inbetween.app.service.jobs import DONE, FINAL, Job
from gen_inbetween.app.service.metrics import Metrics
from gen_inbetween.app.service.settings import ENDINGS, ServiceSettings, check_clip_size, read_clip_settings
from gen_inbetween.app.service.workers import QueueFullError, Workers
from gen_inbetween.generation.generate import Own, check_own
from gen_inbetween.generation.resolve import check_fields
from gen_inbetween.generation.settings import DEFAULTS
from gen_inbetween.generation.stream import stream
from gen_inbetween.media.frames.pixels import most_pixels
from gen_inbetween.media.image import large_png_text
from gen_inbetween.runtime.lists import json_row
from gen_inbetween.runtime.trust.limits import shorten

FORM = ("frame0", "frame1", "frame0_url", "frame1_url", "settings", "ending")
FORMATS = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}
BEARER = HTTPBearer(auto_error=False)
POLL, HEARTBEAT = 0.1, 15.0  # seconds: between looks at a job, and between signs of life in its events

Picture = Annotated[UploadFile | SkipJsonSchema[None], File(description="PNG, JPEG or WebP")]
Address = Annotated[
    str | SkipJsonSchema[None], Form(description="In its place: where it is fetched from, if that origin is allowed")
]


@dataclass(frozen=True)
class Service:
    """What the routes share."""

    settings: ServiceSettings
    workers: Workers
    metrics: Metrics
    origins: frozenset[str]
    token: str | None

    def job(self, job_id: str) -> Job:
        """The job of a route."""
        job = self.workers.find(job_id)
        if job is None:
            raise HTTPException(404, "no such job: its id is wrong, or its time here is over")
        return job


def create_app(settings: ServiceSettings, *, token: str | None = None) -> FastAPI:
    """The application of a service, for any ASGI server; one process for each folder.

    token: what clients must send as a bearer; None: anybody may ask.
    """
    metrics = Metrics()
    workers = Workers(settings, metrics, stream)
    service = Service(settings, workers, metrics, frozenset(map(parse_origin, settings.allow_url)), token)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        workers.start()
        yield
        await asyncio.to_thread(workers.stop)

    version = gen_inbetween.__version__
    app = FastAPI(title="gen_inbetween", version=version, description=__doc__, lifespan=life)
    limits: dict[str, Any] = {"max_bytes": settings.max_bytes, "seconds": settings.request_timeout}
    app.add_middleware(Guard, **limits, metrics=metrics)
    app.add_exception_handler(RequestValidationError, say_what_is_wrong)
    app.add_exception_handler(405, name_methods)
    app.state.service = service

    def allow(given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]) -> None:
        said = "" if given is None else given.credentials
        if not hmac.compare_digest(said.encode(), str(token).encode()):
            raise HTTPException(401, "expected a bearer token of this service", {"WWW-Authenticate": "Bearer"})

    allowed = [] if token is None else [Depends(allow)]  # the page says that a token is asked for where one is
    add_submission(app, service, allowed)
    add_results(app, service, allowed)
    add_state(app, service)
    return app


def add_submission(app: FastAPI, service: Service, allowed: list[Any]) -> None:
    """The route by which jobs come in."""

    answers = refusals(400, 401, 403, 408, 413, 422, 503, 507)

    @app.post("/v1/jobs", status_code=202, dependencies=allowed, responses=answers)
    async def submit(
        request: Request,
        response: Response,
        frame0: Picture = None,
        frame1: Picture = None,
        frame0_url: Address = None,
        frame1_url: Address = None,
        settings: Annotated[str, Form(description='A JSON object, as {"num_frames": 17, "seed": 3}')] = "{}",
        ending: Annotated[str, Form(description="Of the clip's file", json_schema_extra={"enum": [*ENDINGS]})] = "mp4",
    ) -> JobReport:
        """Ask for the clip between two pictures."""
        check_form([name for name, _ in (await request.form()).multi_items()])
        if service.workers.full:
            raise HTTPException(503, "the queue is full: try again later", {"Retry-After": "10"})
        uploads = [(frame0, frame0_url), (frame1, frame1_url)]
        given = [(await file.read() if file else None, url) for file, url in uploads]
        job = await asyncio.to_thread(take_job, service, given, settings, ending)
        response.headers["Location"] = str(request.url_for("show", job_id=job.id))
        return JobReport(**job.report)


def check_form(names: list[str]) -> None:
    """HTTPException: a field that the form does not have, or one that is there twice. Neither would be heeded."""
    if unknown := sorted(set(names) - set(FORM)):
        said = f"{shorten(unknown[0])!r} is no field of this form"
        hint = "it belongs into settings" if unknown[0] in DEFAULTS else f"it has {', '.join(FORM)}"
        raise HTTPException(422, f"{said}; {hint}")
    if twice := next((name for name in FORM if names.count(name) > 1), None):
        raise HTTPException(422, f"{twice} is there {names.count(twice)} times: send one")


def take_job(service: Service, given: list[tuple[bytes | None, str | None]], said: str, ending: str) -> Job:
    """Check what was sent and put it into the queue; HTTPException: it cannot be."""
    try:
        if ending not in ENDINGS:
            raise ValueError(f"expected ending as one of {', '.join(ENDINGS)}, got {shorten(ending)!r}")
        values = json_row(said)
        if isinstance(values, str):
            raise ValueError(f"settings: {values}")
        settings = read_clip_settings(values, service.settings)
        check_fields(settings)
        check_own(settings, Own())
        contents = {f"frame{number}": picture_of(service, f"frame{number}", *each) for number, each in enumerate(given)}
        pictures, sizes = {}, []
        for name, content in contents.items():
            kind, size = inspect(name, content, service.settings)
            pictures[f"{name}.{kind}"] = content
            sizes.append(size)
        check_clip_size(settings, sizes[0], service.settings)
        job = Job(values, list(pictures), ending)
        service.workers.submit(job, pictures)
        return job
    except (ValueError, TypeError) as error:
        raise HTTPException(422, shorten(error, 500)) from error
    except QueueFullError as error:
        raise HTTPException(503, str(error), {"Retry-After": "10"}) from error
    except OSError as error:
        raise HTTPException(507, "the service has no room for another job") from error


def picture_of(service: Service, name: str, upload: bytes | None, url: str | None) -> bytes:
    """The bytes of a keyframe."""
    if (upload is None) == (url is None):
        raise ValueError(f"expected a file {name} or an address {name}_url, {'neither' if url is None else 'not both'}")
    if url is None:
        return upload or b""
    limits = service.settings
    try:
        return fetch(url, service.origins, max_bytes=limits.max_bytes, seconds=limits.request_timeout)
    except FetchError as error:
        raise ValueError(f"{name}_url: {error}") from error


def inspect(name: str, content: bytes, limits: ServiceSettings) -> tuple[str, tuple[int, int]]:
    """(ending, (width, height)) of a picture; ValueError: it is none that is taken here."""
    most = min(1e6 * limits.max_megapixels, most_pixels())
    too_many = f"more than {1e-6 * most:g} million"
    try:
        try:
            kind, size = look_into(content, most)
        except ValueError:  # what Pillow raises for a PNG whose text inflates beyond its limit
            with large_png_text():
                kind, size = look_into(content, most)
    except Image.DecompressionBombError as error:
        raise ValueError(f"{name} has {too_many} pixels") from error
    except Exception as error:  # on damaged data Pillow's decoders raise almost anything
        raise ValueError(f"{name}: expected a whole PNG, JPEG or WebP picture") from error
    if size[0] * size[1] > most:
        raise ValueError(f"{name} has {size[0]}x{size[1]} pixels, {too_many}")
    return kind, size


def look_into(content: bytes, most: float) -> tuple[str, tuple[int, int]]:
    """(ending, (width, height)) of a picture, which is decoded where it has no more pixels than `most`."""
    with Image.open(io.BytesIO(content), formats=list(FORMATS)) as image:
        if image.width * image.height <= most:
            image.load()
        return FORMATS[image.format or ""], image.size


def add_results(app: FastAPI, service: Service, allowed: list[Any]) -> None:
    """The routes of one job."""
    known, made = refusals(401, 403, 404, 413, 422), refusals(401, 403, 404, 409, 410, 413, 416, 422)

    @app.get("/v1/jobs/{job_id}", dependencies=allowed, responses=known)
    def show(job_id: str) -> JobReport:
        """Where a job is."""
        return JobReport(**service.job(job_id).report)

    @app.delete("/v1/jobs/{job_id}", dependencies=allowed, responses=known)
    def cancel(job_id: str) -> JobReport:
        """Cancel a job: one that waits at once, one that runs at its next step. One that has ended stays as it is."""
        service.workers.cancel(service.job(job_id))
        return JobReport(**service.job(job_id).report)

    events_of = {**known, 200: {"content": {"text/event-stream": {}}}}

    @app.get("/v1/jobs/{job_id}/events", dependencies=allowed, responses=events_of, response_class=StreamingResponse)
    async def events(job_id: str) -> StreamingResponse:
        """Its progress as server-sent events; the last one has its final state."""
        await asyncio.to_thread(service.job, job_id)
        head = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(follow(service, job_id), media_type="text/event-stream", headers=head)

    @app.get("/v1/jobs/{job_id}/clip", dependencies=allowed, responses={**made, **CLIP}, response_class=FileResponse)
    def clip(job_id: str, request: Request) -> FileResponse:
        """The clip of a job that is done; its manifest stands inside of it, too."""
        job = finished(service.job(job_id))
        return send_file(request, service.workers.folder.clip(job), MEDIA[job.ending], job.clip)

    @app.get("/v1/jobs/{job_id}/manifest", dependencies=allowed, responses=made)
    def manifest(job_id: str, request: Request) -> FileResponse:
        """How the clip was made."""
        job = finished(service.job(job_id))
        return send_file(request, service.workers.folder.manifest(job), "application/json")

    for name, answer in (("clip", clip), ("manifest", manifest)):  # how large a file is, before it is fetched
        head: dict[str, Any] = {"methods": ["HEAD"], "include_in_schema": False, "response_model": None}
        app.add_api_route(f"/v1/jobs/{{job_id}}/{name}", answer, dependencies=allowed, **head)


def finished(job: Job) -> Job:
    """A job that has a clip; HTTPException: it has none, or none yet."""
    if job.state != DONE:
        raise HTTPException(410 if job.state in FINAL else 409, f"no clip: the job is {job.state}")
    return job


async def follow(service: Service, job_id: str) -> AsyncIterator[str]:
    """A job's events: at once where it is, then each change."""
    shown, spoken = "", time.monotonic()
    while True:
        job = await asyncio.to_thread(service.workers.find, job_id)
        if job is None:
            return
        now = json.dumps(job.report)
        if now != shown:
            shown, spoken = now, time.monotonic()
            yield f"event: {job.state}\ndata: {now}\n\n"
        if job.state in FINAL or service.workers.stopping:
            return
        if time.monotonic() - spoken > HEARTBEAT:
            spoken = time.monotonic()
            yield ": still there\n\n"
        await asyncio.sleep(POLL)


def add_state(app: FastAPI, service: Service) -> None:
    """The routes for whoever runs the service; they need no token."""

    @app.get("/health", response_model=Health, responses={503: {"model": Health}, **refusals(403, 413)})
    def health() -> JSONResponse:
        """Whether the workers run; status 503: one has ended."""
        workers = service.workers
        said = {"ok": workers.alive, "queued": len(workers.queue), "running": workers.running}
        return JSONResponse(said, 200 if workers.alive else 503)

    @app.get("/metrics", responses={**media("text/plain"), **refusals(403, 413)}, response_class=Response)
    def metrics() -> Response:
        """Counts and times in Prometheus's text format."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")
