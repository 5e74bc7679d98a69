"""A service that listens on this machine, and pictures to send it."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import httpx
import uvicorn
from cases import picture

from gen_inbetween.app.service.api import create_app
from gen_inbetween.app.service.settings import ServiceSettings

NEAREST = {"method": "interpolate", "interpolator": "nearest", "num_frames": 5}
LONG = {"method": "trf", "num_inference_steps": 1000, "num_frames": 6, "width": 48, "height": 32}  # minutes


def png(seed, size=(48, 32)):
    buffer = io.BytesIO()
    picture(seed, size).save(buffer, "png")
    return buffer.getvalue()


def pair(seed=0):
    return {"frame0": ("a.png", png(seed)), "frame1": ("b.png", png(seed + 1))}


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def listening(folder, *, token=None, **settings):
    """An httpx client of a service in a thread of this process."""
    app = create_app(ServiceSettings(folder=folder, **settings), token=token)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=180) as client:
            wait_until_up(client)
            yield client
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def serving(folder, *arguments, port=None):
    """(client, process) of `inbetween serve` in a process of its own; killed at the end."""
    port = port or free_port()
    command = [sys.executable, "-m", "gen_inbetween.cli", "serve", "--folder", folder, "--port", port, *arguments]
    process = subprocess.Popen([*map(str, command)], env={**os.environ, "TQDM_DISABLE": "1"})
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=180) as client:
            wait_until_up(client)
            yield client, process
    finally:
        process.kill()
        process.wait()


def wait_until_up(client, seconds=180):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return client.get("/health").raise_for_status()
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the service does not answer"
            time.sleep(0.1)


def ask(client, settings=NEAREST, seed=0, **form):
    """The job of a pair of pictures; its answer must be 202."""
    answer = client.post("/v1/jobs", files=pair(seed), data={"settings": json.dumps(settings), **form})
    assert answer.status_code == 202, answer.text
    return answer.json()


def events_of(client, job):
    """What a job's events say, until they end."""
    with client.stream("GET", f"/v1/jobs/{job['id']}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def wait_for(client, job, *states, seconds=240):
    """The job once it is in one of these states."""
    deadline = time.monotonic() + seconds
    while (now := client.get(f"/v1/jobs/{job['id']}").json())["state"] not in states:
        assert time.monotonic() < deadline, now
        time.sleep(0.02)
    return now
