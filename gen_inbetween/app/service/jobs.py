"""Jobs of the service, each a folder on disk.

    waiting/ID/{job.json, frame0.png, frame1.jpg}                queued or running
    finished/ID/{..., clip.mp4, clip.mp4.inbetween.json}         done, failed or cancelled

A job is taken by one rename and finished by another, and its state is written whole: a service that is killed at any
moment has lost no job that it took. (Renames are atomic against a killed process; nothing is forced to the disk, so a
power failure may lose the last seconds.)
"""

from __future__ import annotations

import os
import re
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from gen_inbetween.runtime.files import read_kept, remove, replaced, write_json
from gen_inbetween.runtime.outputs import claim_folder, path_beside

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
FINAL = (DONE, FAILED, CANCELLED)
ID = re.compile(r"[0-9a-f]{32}")


@dataclass(eq=False)
class Job:
    """A clip that was asked for.

    settings: those that were given. frames: names of the keyframes' files. ending: of the clip's file.
    submitted, finished: seconds since 1970. attempts: how often a worker began with it.
    """

    settings: dict[str, Any]
    frames: list[str]
    ending: str = "mp4"
    id: str = field(default_factory=lambda: secrets.token_hex(16))  # who knows it may see the job
    state: str = QUEUED
    submitted: float = field(default_factory=time.time)
    finished: float | None = None
    seconds: float | None = None  # that a worker took
    step: int = 0
    steps: int = 0
    attempts: int = 0
    error: str | None = None

    def __post_init__(self) -> None:
        self.cancel_asked = threading.Event()

    @property
    def clip(self) -> str:
        """The name of the clip's file."""
        return f"clip.{self.ending}"

    @property
    def report(self) -> dict[str, Any]:
        """What its owner is told."""
        kept = ("id", "state", "step", "steps", "submitted", "finished", "seconds", "error", "settings")
        return {name: getattr(self, name) for name in kept}


class JobFolder:
    """The jobs of one service on disk."""

    def __init__(self, folder: Path) -> None:
        claim_folder(folder, ("waiting", "finished"))
        self.waiting, self.finished = folder / "waiting", folder / "finished"
        for place in (self.waiting, self.finished):
            place.mkdir(parents=True, exist_ok=True)

    def place(self, job: Job) -> Path:
        """The folder of a job."""
        return (self.finished if job.state in FINAL else self.waiting) / job.id

    def clip(self, job: Job) -> Path:
        """Where the clip of a job that is done stands."""
        return self.place(job) / job.clip

    def manifest(self, job: Job) -> Path:
        """Where its manifest stands."""
        return path_beside(self.clip(job))

    def take(self, job: Job, pictures: Mapping[str, bytes]) -> None:
        """Keep a new job with the files of its keyframes; OutputError: the disk is full."""
        with replaced(self.waiting / job.id) as temporary:
            temporary.mkdir()
            for name, content in pictures.items():
                (temporary / name).write_bytes(content)
            write_json(temporary / "job.json", asdict(job))

    def keep(self, job: Job) -> None:
        """Write down where a job that waits or runs is."""
        write_json(self.waiting / job.id / "job.json", asdict(job))

    def finish(self, job: Job) -> None:
        """Move a job whose state is final to those that are finished."""
        self.keep(job)
        os.rename(self.waiting / job.id, self.finished / job.id)

    def find(self, job_id: str) -> Job | None:
        """A job by its id; None: there is none."""
        if not ID.fullmatch(job_id):
            return None
        places = (self.waiting, self.finished, self.finished)  # it may move between the first look and the second
        return next(filter(None, (_read(place / job_id) for place in places)), None)

    def recover(self) -> list[Job]:
        """After a restart: the jobs that are still to be made, the oldest first."""
        jobs = []
        for place in sorted(self.waiting.iterdir()):
            job = _read(place) if ID.fullmatch(place.name) else None
            if job is None:
                continue
            if job.state in FINAL:  # killed before the rename
                os.rename(place, self.finished / job.id)
            else:
                job.state, job.step, job.steps = QUEUED, 0, 0
                jobs.append(job)
        return sorted(jobs, key=lambda job: job.submitted)

    def expire(self, before: float) -> int:
        """Delete the jobs that finished before this time, in seconds since 1970; how many they were."""
        old = [Path(entry.path) for entry in os.scandir(self.finished) if entry.stat().st_mtime < before]
        for place in old:
            remove(place)
        return len(old)


def _read(place: Path) -> Job | None:
    content = read_kept(place / "job.json")
    names = {item.name for item in fields(Job)}
    return Job(**content) if content and content.keys() <= names else None
