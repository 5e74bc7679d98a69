"""Workers of the service: threads that make the queued jobs.

Cancelling, a timeout and the end of the service break a run off at its next step, or its next interpolated frame
(`generation.stream`, which they are given).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from gen_inbetween.app.service.jobs import CANCELLED, DONE, FAILED, QUEUED, RUNNING, Job, JobFolder
from gen_inbetween.app.service.metrics import Metrics
from gen_inbetween.app.service.settings import ServiceSettings, complete
from gen_inbetween.media.image import open_image

if TYPE_CHECKING:
    from gen_inbetween.generation.stream import Stream
    from gen_inbetween.media.clip import Clip

log = logging.getLogger("gen_inbetween")

ATTEMPTS = 3  # a job during which the service ended so often is not begun again
SWEEP = 600.0  # seconds between two looks for jobs to delete


class QueueFullError(Exception):
    """As many jobs wait as may."""


class BrokenOffError(Exception):
    """A job was cancelled, took too long, or the service ends."""


class Workers:
    """The queue of a service and the threads that work on it.

    stream: makes the clip of a job step by step, as `generation.stream.stream` does.
    """

    def __init__(self, settings: ServiceSettings, metrics: Metrics, stream: Stream) -> None:
        self.settings, self.metrics, self.folder = settings, metrics, JobFolder(settings.folder)
        self.stream = stream
        self.changed = threading.Condition()
        self.queue: deque[Job] = deque()
        self.live: dict[str, Job] = {}  # those that wait or run; others are on disk
        self.stopping = False
        self.threads: list[threading.Thread] = []
        metrics.queued.set_function(lambda: len(self.queue))
        metrics.running.set_function(lambda: self.running)

    def start(self) -> None:
        """Take up what was not finished, and begin."""
        for job in self.folder.recover():
            self.queue.append(job)
            self.live[job.id] = job
        names = [f"worker {number}" for number in range(self.settings.workers)]
        self.threads = [threading.Thread(target=self.work, name=name, daemon=True) for name in names]
        self.threads.append(threading.Thread(target=self.tidy, name="tidy", daemon=True))
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """Break running jobs off at their next step; the next start makes them."""
        with self.changed:
            self.stopping = True
            self.changed.notify_all()
        for thread in self.threads:
            thread.join()

    @property
    def running(self) -> int:
        """How many jobs are in work."""
        return sum(job.state == RUNNING for job in list(self.live.values()))

    @property
    def full(self) -> bool:
        """Whether another job would be refused."""
        return len(self.queue) >= self.settings.queue

    @property
    def alive(self) -> bool:
        """Whether every worker runs."""
        return all(thread.is_alive() for thread in self.threads)

    def submit(self, job: Job, pictures: Mapping[str, bytes]) -> None:
        """Take a job; QueueFullError: too many wait. OutputError: the disk is full."""
        with self.changed:
            if self.full or self.stopping:
                raise QueueFullError(f"{len(self.queue)} jobs wait, and no more may: try again later")
            self.folder.take(job, pictures)
            self.queue.append(job)
            self.live[job.id] = job
            self.changed.notify_all()
        self.metrics.submitted.inc()

    def find(self, job_id: str) -> Job | None:
        """A job by its id, whatever became of it."""
        return self.live.get(job_id) or self.folder.find(job_id)

    def cancel(self, job: Job) -> None:
        """Let a job end; one that waits at once, one that runs at its next step."""
        with self.changed:
            job.cancel_asked.set()
            if job in self.queue:
                self.queue.remove(job)
                self.finish(job, CANCELLED)

    def finish(self, job: Job, state: str, error: str | None = None) -> None:
        """The end of a job."""
        self.folder.finish(replace(job, state=state, error=error, finished=time.time()))
        self.live.pop(job.id, None)  # now: who sees it as done finds its clip
        self.metrics.finished.labels(state).inc()

    def work(self) -> None:
        """A worker's life."""
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.queue or self.stopping)
                if self.stopping:
                    return
                job = self.queue.popleft()
                job.state = RUNNING
            try:
                self.make(job)
            except OSError as error:  # the folder is full or gone: the worker lives on
                log.error("job %s: %s", job.id, error)
                job.state, job.error = FAILED, "the service could not keep the clip"

    def make(self, job: Job) -> None:
        """Make one job, whatever comes of it."""
        job.attempts += 1
        if job.attempts > ATTEMPTS:
            self.finish(job, FAILED, f"the service ended {ATTEMPTS} times while it made this")
            return
        self.folder.keep(job)
        begun = time.monotonic()
        try:
            clip = self.run(job, begun + self.settings.timeout)
            clip.save(self.folder.waiting / job.id / job.clip)
            job.seconds = round(time.monotonic() - begun, 3)
            self.metrics.seconds.observe(job.seconds)
            searched = clip.manifest.get("motion_bucket", {}).get("unet_passes", 0)
            self.metrics.passes.inc(clip.manifest["unet_passes"] + searched)
            self.finish(job, DONE)
        except BrokenOffError as reason:
            if self.stopping and not job.cancel_asked.is_set():
                job.state, job.attempts = QUEUED, job.attempts - 1
                self.folder.keep(job)
                return
            self.finish(job, CANCELLED if job.cancel_asked.is_set() else FAILED, str(reason) or None)
        except Exception as error:
            log.error("job %s: %s: %s", job.id, type(error).__name__, error)
            log.debug("traceback", exc_info=True)
            self.finish(job, FAILED, _said(error))

    def run(self, job: Job, deadline: float) -> Clip:
        """The clip of a job."""
        folder = self.folder.waiting / job.id
        frames = [open_image(folder / name) for name in job.frames]  # as pictures: a manifest names no place of ours
        settings = complete(job.settings, self.settings) | {"device": self.settings.device}
        with closing(self.stream(frames, preview_every=0, **settings)) as steps:
            for progress in steps:
                job.step, job.steps = progress.step, progress.steps
                if job.cancel_asked.is_set() or self.stopping:
                    raise BrokenOffError
                if time.monotonic() > deadline:
                    raise BrokenOffError(f"it took longer than the {self.settings.timeout:g} s that a job has here")
                if progress.clip is not None:
                    return progress.clip
        raise AssertionError("a stream ends with its clip")

    def tidy(self) -> None:
        """Delete finished jobs when their time is over."""
        while not self.stopping:
            try:
                self.folder.expire(time.time() - 3600 * self.settings.keep_hours)
            except OSError as error:  # somebody else deletes there, too: the next look finds what is left
                log.warning("old jobs could not be deleted: %s", error)
            with self.changed:
                self.changed.wait_for(lambda: self.stopping, timeout=SWEEP)


def _said(error: Exception) -> str:
    """What the owner of a job is told of an error: what can be mended, and no more of this machine."""
    if isinstance(error, ValueError | ImportError) or type(error).__name__ == "NotFiniteError":
        return " ".join(str(error).split())
    return "out of memory: fewer frames, or a smaller size" if "OutOfMemory" in type(error).__name__ else "failed"
