"""Counts and times of the service, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)


class Metrics:
    """The metrics of one service, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.submitted = Counter("inbetween_jobs_submitted", "Jobs taken", registry=registry)
        self.finished = Counter("inbetween_jobs_finished", "Jobs ended", ["state"], registry=registry)
        self.refused = Counter("inbetween_requests_refused", "Requests refused", ["status"], registry=registry)
        self.queued = Gauge("inbetween_jobs_queued", "Jobs that wait", registry=registry)
        self.running = Gauge("inbetween_jobs_running", "Jobs in work", registry=registry)
        self.passes = Counter("inbetween_unet_passes", "UNet passes of jobs that are done", registry=registry)
        names = ("inbetween_job_seconds", "Seconds of jobs that are done, waiting not counted")
        self.seconds = Histogram(*names, buckets=SECONDS, registry=registry)
        names = ("inbetween_request_seconds", "Seconds until an answer began")
        self.requests = Histogram(*names, ["method", "route"], buckets=SECONDS, registry=registry)

    def text(self) -> bytes:
        """All of them in Prometheus's text format."""
        return generate_latest(self.registry)
