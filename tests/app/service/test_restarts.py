"""A service that is killed: what was done is there, what was not is made."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("fastapi")
from service_cases import LONG, NEAREST, ask, pair, serving, wait_for

from gen_inbetween.app.service.jobs import DONE, Job, JobFolder
from gen_inbetween.app.service.metrics import Metrics
from gen_inbetween.app.service.settings import ServiceSettings
from gen_inbetween.app.service.workers import ATTEMPTS, Workers
from gen_inbetween.generation.stream import stream


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_a_restart_loses_no_job(tmp_path, tiny_folder, kill):
    arguments = [tmp_path / "jobs", "--model", tiny_folder, "--set", "max_steps=1000"]
    with serving(*arguments) as (client, process):
        done = ask(client)
        wait_for(client, done, "done")
        clip = client.get(f"/v1/jobs/{done['id']}/clip").content
        running, waiting = ask(client, LONG), ask(client, seed=7)
        wait_for(client, running, "running")
        process.send_signal(kill)
        process.wait(timeout=180)
    with serving(*arguments) as (client, process):
        assert client.get(f"/v1/jobs/{done['id']}/clip").content == clip
        wait_for(client, running, "running")  # from its beginning
        client.delete(f"/v1/jobs/{running['id']}")
        assert wait_for(client, waiting, "done", "failed")["state"] == "done"
        assert wait_for(client, running, "cancelled")


def test_a_folder_has_one_service(tmp_path):
    command = [sys.executable, "-m", "gen_inbetween.cli", "serve", "--port", "0", "--folder", str(tmp_path / "jobs")]
    with serving(tmp_path / "jobs"):
        second = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert second.returncode == 2 and "is being written by another run" in second.stderr


def workers_on(folder):
    return Workers(ServiceSettings(folder=folder), Metrics(), stream)


def test_a_job_that_ends_the_service_again_and_again_is_set_aside(tmp_path):
    folder = JobFolder(tmp_path)
    job = Job(NEAREST, ["frame0.png", "frame1.png"], attempts=ATTEMPTS)
    folder.take(job, {f"{name}.png": content for name, (_, content) in pair().items()})
    workers = workers_on(tmp_path)
    workers.start()
    while workers.find(job.id).state != "failed":
        time.sleep(0.01)
    workers.stop()
    assert workers.find(job.id).error == f"the service ended {ATTEMPTS} times while it made this"


def test_one_killed_between_its_state_and_its_rename_is_done(tmp_path):
    folder = JobFolder(tmp_path)
    job = Job(NEAREST, [])
    folder.take(job, {})
    job.state = DONE
    folder.keep(job)
    assert folder.recover() == [] and folder.find(job.id).state == DONE
    assert [place.name for place in folder.finished.iterdir()] == [job.id]


def test_finished_jobs_are_deleted_when_their_time_is_over(tmp_path):
    folder = JobFolder(tmp_path)
    job = Job(NEAREST, [])
    folder.take(job, {})
    job.state = DONE
    folder.finish(job)
    assert folder.expire(time.time() - 60) == 0 and folder.find(job.id)
    assert folder.expire(time.time() + 60) == 1 and folder.find(job.id) is None
