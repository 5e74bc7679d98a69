"""Servers of object stores in processes of their own (moto, gcp-storage-emulator), and lists of pairs in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager

from service_cases import free_port, png

SETTINGS = {"method": "interpolate", "interpolator": "nearest", "num_frames": 3}


@contextmanager
def s3_server(monkeypatch):
    """The address of a bucket of a server; the environment has the credentials for it."""
    port = free_port()
    command = "from moto.server import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    values = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "test"}
    values |= {"AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    try:
        wait_for_http(f"{values['AWS_ENDPOINT_URL']}/moto-api/")
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("bucket")
        yield "s3://bucket"
    finally:
        process.kill()
        process.wait()


@contextmanager
def gcs_server(monkeypatch):
    """The same of Google's interface."""
    port = free_port()
    command = "from gcp_storage_emulator.__main__ import main; main()"
    arguments = ["start", "--host=127.0.0.1", f"--port={port}", "--in-memory", "--default-bucket=bucket"]
    process = subprocess.Popen(
        [sys.executable, "-c", command, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    try:
        wait_for_http(f"http://127.0.0.1:{port}/storage/v1/b")
        import gcsfs

        gcsfs.GCSFileSystem.clear_instance_cache()
        yield "gs://bucket"
    finally:
        process.kill()
        process.wait()


def wait_for_http(url, seconds=180):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def fill(store, count, *, folder="in", **more):
    """A list of `count` rows with two pictures in a store; their names."""
    store.write(png(1), f"{folder}/a.png")
    store.write(png(2), f"{folder}/b.png")
    rows = [{"frame0": "a.png", "frame1": "b.png", "seed": n, "out": f"{n}.mp4", **more} for n in range(count)]
    store.write("".join(json.dumps(row) + "\n" for row in rows).encode(), f"{folder}/pairs.jsonl")
    return [row["out"] for row in rows]


def command_line(*arguments):
    """`inbetween ARGUMENTS` for a process of its own."""
    said = [f"--set={name}={value}" for name, value in SETTINGS.items()]
    return [sys.executable, "-m", "gen_inbetween.cli", "batch", *map(str, arguments), *said]


def started(*arguments, **options):
    return subprocess.Popen(command_line(*arguments), env={**os.environ}, **options)
