"""Load a running service with jobs, and say how it held.

    inbetween serve --folder /tmp/jobs --set queue=50 &
    python eval/serve_load.py --url http://127.0.0.1:8765 --jobs 1000 --clients 20

Each client sends a pair of pictures, follows the job's events to its end and gets the clip; every tenth job is
cancelled at once. A full queue (503) is waited for, as its Retry-After asks, but for at most a second. The run ends by
itself. Use it on services of your own.
"""

from __future__ import annotations

import argparse
import io
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
import numpy as np
from PIL import Image

CANCELLED = 10  # every tenth
SETTINGS = {"method": "interpolate", "interpolator": "nearest"}


@dataclass
class Figures:
    """What the clients saw. Seconds: of a request that was taken; from that to the end of the job."""

    taken: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    memory: list[float] = field(default_factory=list)  # MB of the service, as its metrics say


def picture(seed: int, size: int) -> bytes:
    """A PNG of noise, which does not compress."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def ask(client: httpx.Client, number: int, given: argparse.Namespace, figures: Figures) -> str:
    """Send one job until it is taken; its id."""
    files = {name: (f"{name}.png", picture(number + end, given.size)) for end, name in enumerate(("frame0", "frame1"))}
    data = {"settings": json.dumps({**SETTINGS, "num_frames": given.frames})}
    while True:
        begun = time.monotonic()
        answer = client.post("/v1/jobs", files=files, data=data)
        figures.statuses[answer.status_code] += 1
        if answer.status_code == 202:
            figures.taken.append(time.monotonic() - begun)
            return str(answer.json()["id"])
        if answer.status_code != 503:
            answer.raise_for_status()
        time.sleep(min(1.0, float(answer.headers["Retry-After"])))


def follow(client: httpx.Client, job: str) -> str:
    """The state in which a job ends, from its events."""
    state = "lost"
    with client.stream("GET", f"/v1/jobs/{job}/events") as answer:
        for line in answer.iter_lines():
            if line.startswith("event: "):
                state = line.removeprefix("event: ")
    return state


def work(numbers: range, given: argparse.Namespace, figures: Figures) -> None:
    """One client's jobs."""
    with httpx.Client(base_url=given.url, timeout=120) as client:
        for number in numbers:
            job = ask(client, number, given, figures)
            begun = time.monotonic()
            if number % CANCELLED == CANCELLED - 1:
                client.delete(f"/v1/jobs/{job}").raise_for_status()
            state = follow(client, job)
            figures.states[state] += 1
            if state == "done":
                figures.ended.append(time.monotonic() - begun)
                client.get(f"/v1/jobs/{job}/clip").raise_for_status()


def memory_of(client: httpx.Client) -> float:
    """MB that the service holds."""
    lines = client.get("/metrics").text.splitlines()
    return float(next(line for line in lines if line.startswith("process_resident_memory_bytes")).split()[1]) / 1e6


def percentiles(seconds: list[float]) -> str:
    """p50 and p95."""
    return f"p50 {np.percentile(seconds, 50):.3f} s, p95 {np.percentile(seconds, 95):.3f} s"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8765")
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--size", type=int, default=64, help="width and height of the pictures")
    given = parser.parse_args(arguments)
    figures = Figures()
    shares = [range(first, given.jobs, given.clients) for first in range(given.clients)]
    threads = [threading.Thread(target=work, args=(share, given, figures)) for share in shares]
    begun = time.monotonic()
    with httpx.Client(base_url=given.url, timeout=120) as client:
        figures.memory.append(memory_of(client))
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(1)
            figures.memory.append(memory_of(client))
        left = client.get("/health").json()
    seconds = time.monotonic() - begun
    print(f"{given.jobs} jobs, {given.clients} clients, {seconds:.1f} s: {given.jobs / seconds:.1f} jobs/s")
    print(f"states {dict(figures.states)}, statuses {dict(figures.statuses)}, left {left}")
    print(f"taken {percentiles(figures.taken)}; from there to the end {percentiles(figures.ended)}")
    quarter = max(1, len(figures.memory) // 4)
    print(
        f"memory {np.median(figures.memory[quarter : 2 * quarter]):.0f} MB in the second quarter of the time, ", end=""
    )
    print(f"{np.median(figures.memory[-quarter:]):.0f} MB in the last; most {max(figures.memory):.0f} MB")


if __name__ == "__main__":
    main()
