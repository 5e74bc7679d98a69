"""A Ray cluster of several nodes on this machine, a batch on it, and kills at random."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from hashlib import sha256

import psutil
from service_cases import png
from store_cases import SETTINGS

QUICK = {  # nodes that are gone are noticed in seconds; workers are not slower than what else runs here
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "20",
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}


STORE = 200 * 10**6  # bytes of each node's object store


def write_pairs(folder, count, lengths=3):
    """A list of pairs that differ in pictures, and are of several sizes and lengths."""
    folder.mkdir()
    for n in range(8):
        (folder / f"{n}.png").write_bytes(png(n, (16 + 2 * n, 16)))
    rows = [
        {
            "frame0": f"{n % 8}.png",
            "frame1": f"{n % 7}.png",
            "num_frames": 2 + n % lengths,
            "seed": n,
            "out": f"{n}.mp4",
        }
        for n in range(count)
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "pairs.jsonl"


def contents(folder):
    """The hash of every clip in a folder, by its name."""
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.mp4")}


@contextmanager
def cluster_of(monkeypatch, nodes, cpus=2):
    """A cluster with a head and `nodes` more that may be killed."""
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 2, "include_dashboard": False, "object_store_memory": STORE}
    cluster = patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
    for _ in range(nodes):
        add_node(cluster, cpus)
    try:
        yield cluster
    finally:
        cluster.shutdown()


def add_node(cluster, cpus):
    """One more node."""
    return patiently(lambda: cluster.add_node(num_cpus=cpus, object_store_memory=STORE))


def patiently(start, attempts=4):
    """Call what starts a node; on a busy machine Ray gives up after half a minute."""
    for attempt in range(1, attempts + 1):
        try:
            return start()
        except Exception:
            if attempt == attempts:
                raise


def start_driver(cluster, pairs, out, *options, log=None):
    said = [f"--set={name}={value}" for name, value in SETTINGS.items() if name != "num_frames"]
    command = [sys.executable, "-m", "gen_inbetween.cli", "batch", pairs, "--out", out, "--engine", "ray"]
    command += ["--address", cluster.address, *said, *options]
    where = subprocess.DEVNULL if log is None else log.open("ab")
    return subprocess.Popen([*map(str, command)], env={**os.environ}, stdout=where, stderr=where)


def children_of(node):
    """Every process that a node's raylet started."""
    for raylet in node.all_processes.get("raylet", ()):
        with suppress(psutil.NoSuchProcess):
            yield from psutil.Process(raylet.process.pid).children(recursive=True)


def kill_an_actor(processes, chance):
    """SIGKILL to one of the processes that makes rows; False: there is none now."""
    actors = [process for process in processes if "MapWorker(MapBatches(Worker)" in name_of(process)]
    if actors:
        with suppress(psutil.NoSuchProcess):
            chance.choice(actors).kill()
            return True
    return False


def name_of(process):
    """What a process calls itself; nothing where it has ended."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""


def kill_a_node(cluster, chance, cpus=2):
    """SIGKILL to a node with all its processes; another one takes its place."""
    node = chance.choice(sorted(cluster.worker_nodes, key=lambda node: node.unique_id))
    children = list(children_of(node))
    for raylet in node.all_processes.get("raylet", ()):
        raylet.process.kill()  # first: it would start again what it sees ending
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    cluster.remove_node(node, allow_graceful=False)
    add_node(cluster, cpus)


class Torment:
    """A batch on a cluster, killed while it is made: each of `kinds` once, in random order, evenly over its clips.

    A driver that ends by itself before the list is made is started again, as KubeRay's backoffLimit does, and counted.
    """

    def __init__(self, cluster, pairs, out, *, log, workers="1..3", seed=0, seconds=1500):
        self.cluster, self.pairs, self.out, self.log, self.workers = cluster, pairs, out, log, workers
        self.chance, self.deadline = random.Random(seed), time.monotonic() + seconds
        self.ended_by_itself = 0
        self.start()

    def start(self):
        self.driver = start_driver(self.cluster, self.pairs, self.out, "--workers", self.workers, log=self.log)

    def processes(self):
        """All that the cluster's nodes started."""
        return [child for node in self.cluster.list_all_nodes() for child in children_of(node)]

    @property
    def clips(self):
        """How many stand."""
        return len(list(self.out.glob("*.mp4")))

    def wait_until(self, ready, what):
        """AssertionError: it took too long, or the driver ended too often."""
        while not ready():
            assert time.monotonic() < self.deadline, f"{self.clips} clips, and no {what} in time"
            if self.driver.poll() is not None:
                self.ended_by_itself += 1
                assert self.ended_by_itself <= 3, f"the driver ended with {self.driver.returncode} before {what}"
                self.start()
            time.sleep(0.2)

    def run(self, count, kinds):
        """The status by which the last driver ends."""
        order = self.chance.sample(kinds, len(kinds))
        for number, kind in enumerate(order, 1):
            due = count * number // (len(order) + 1)
            self.wait_until(lambda due=due: self.clips >= due, f"clip {due}")
            self.kill(kind)
            print(f"{time.strftime('%X')} killed: {kind}, {self.clips} clips", flush=True)
        return self.driver.wait(timeout=max(1, self.deadline - time.monotonic()))

    def kill(self, kind):
        if kind == "actor":
            self.wait_until(lambda: kill_an_actor(self.processes(), self.chance), "actor")
        elif kind == "node":
            kill_a_node(self.cluster, self.chance)
        else:
            self.driver.kill()
            self.driver.wait()
            self.start()


def numbers(text):
    """(made, already there, failed) of the last line of `inbetween batch`."""
    return tuple(map(int, re.findall(r"(\d+) made, (\d+) already there, (\d+) failed", text)[-1]))
