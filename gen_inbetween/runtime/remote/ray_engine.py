"""Rows over a Ray cluster, with errors as rows of a report.

Ray places the work, and starts it again where an actor or a node dies; what is done is known by what it left behind
(outputs with their manifests), so a row that is begun again is found done. Ray Data's own checkpoints are not used.
A row during which its worker died `ATTEMPTS` times is set aside.
"""

from __future__ import annotations

import json
import logging
import math
import os
import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from gen_inbetween.runtime.checks import check_real, check_whole
from gen_inbetween.runtime.trust.limits import shorten

if TYPE_CHECKING:
    from ray.data import Dataset

Result: TypeAlias = "dict[str, str | float]"
Work = Callable[[str, str], Result]  # (key, JSON of a row) -> its row of the report; it raises nothing

ROWS = 16  # of a block: what is looked at again when an actor dies
BLOCKS = 32  # for each worker at least, where there are as many rows, so that none waits long for the last
MOST = 4096  # blocks: the driver keeps some 10 KB of each, so long lists have larger ones
ATTEMPTS = 3
SPARE = 2  # CPUs that read, sort and write
SET_ASIDE = "set aside"


@dataclass(frozen=True)
class Cluster:
    """Where work is done.

    address: of a Ray cluster, "auto" for the one this machine is part of; None: a new one on this machine.
    workers: (fewest, most) actors. gpus, cpus: of each.
    """

    address: str | None = None
    workers: tuple[int, int] = (1, 1)
    gpus: float = 0.0
    cpus: float = 1.0

    def __post_init__(self) -> None:
        check_whole("workers", self.workers[0], 1, self.workers[1])
        check_real("gpus-per-worker", self.gpus, 0)


def parse_workers(text: str) -> tuple[int, int]:
    """ "2..64" -> (2, 64); "8" -> (8, 8)."""
    fewest, dots, most = text.partition("..")
    most = most if dots else fewest
    if not fewest.isdecimal() or not most.isdecimal() or not 1 <= int(fewest) <= int(most):
        raise ValueError(f"--workers {text!r}: expected a number of workers, or fewest..most, for example 2..64")
    return int(fewest), int(most)


def add_options(parser: ArgumentParser) -> None:
    """The options of a recipe whose work a cluster may do."""
    parser.add_argument("--engine", choices=("local", "ray"), default="local", help="ray: a Ray cluster does the work")
    parser.add_argument("--address", help="of the cluster, or auto; left away: a new one on this machine")
    parser.add_argument("--workers", default="1", help="actors, or fewest..most, as 2..64")
    parser.add_argument("--gpus-per-worker", type=float, default=0.0)


def cluster_of(given: Namespace) -> Cluster | None:
    """The cluster of these options; None: the work is done here."""
    if given.engine != "ray":
        return None
    return Cluster(given.address, parse_workers(given.workers), given.gpus_per_worker)


def connect(cluster: Cluster) -> None:
    """Join the cluster, or start one; ImportError: Ray is not installed. ConnectionError: there is none."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError(f'{error.name} is not installed: pip install "gen_inbetween[ray]"') from error
    wanted = cluster.workers[0] * (1.0 if cluster.gpus else cluster.cpus) + SPARE
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to its makers unasked
    if not ray.is_initialized():
        start(cluster, wanted)
    if (cpus := ray.cluster_resources().get("CPU", 0)) < wanted and cluster.address is not None:
        raise ValueError(
            f"{cluster.workers[0]} workers need {wanted:g} CPUs, {SPARE} for reading; the cluster has {cpus:g}"
        )
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = sys.stderr.isatty()
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def start(cluster: Cluster, wanted: float) -> None:
    """Join the cluster, or start one of so many CPUs; ConnectionError: neither could be done."""
    import ray

    own: dict[str, Any] = {"address": cluster.address}
    if cluster.address is None:
        # A new cluster counts the machine's cores as more, where the workers would leave none for reading and writing.
        cpus = max(os.cpu_count() or 1, math.ceil(wanted))
        own = {"address": "local", "num_cpus": cpus, "include_dashboard": False}  # no page that nobody asked for
    try:
        ray.init(**own, log_to_driver=False, logging_level=logging.FATAL)
    except ConnectionError:
        raise
    except Exception as error:  # Ray's word for a start that took too long is a plain Exception
        why = shorten(error)
        raise ConnectionError(f"no Ray cluster could be started here ({why}): is this machine very busy?") from error


class Ledger:
    """An actor that counts how often each row in work was begun; one that ends leaves no trace."""

    def __init__(self) -> None:
        self.begun: Counter[str] = Counter()

    def begin(self, key: str) -> int:
        """The how manieth time this is."""
        self.begun[key] += 1
        return self.begun[key]

    def end(self, key: str) -> None:
        """It is over."""
        del self.begun[key]


class Worker:
    """An actor: opens the work once, and does it row by row.

    The ledger is told of a batch; of each row only where the batch was begun before, and its worker died.
    """

    def __init__(self, open_work: Callable[[], Work], ledger: Any) -> None:
        self.open_work, self.ledger = open_work, ledger
        self.work: Work | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """A batch of "key" and "row" to one of the results' columns."""
        name = f"batch of {batch['key'][0]}"
        again = self.begin(name) > 1
        results = [self.do(str(key), str(row), again) for key, row in zip(batch["key"], batch["row"], strict=True)]
        self.ledger.end.remote(name)
        return {name: [result[name] for result in results] for name in results[0]}

    def do(self, key: str, row: str, watched: bool) -> Result:
        """One row."""
        if watched and self.begin(key) > ATTEMPTS:
            why = f"its worker ended {ATTEMPTS} times while it made this row"
            result = blank(key, row) | {"state": SET_ASIDE, "why": why}
        else:
            self.work = self.work or self.open_work()
            result = self.work(key, row)
        if watched:
            self.ledger.end.remote(key)
        return result

    def begin(self, name: str) -> int:
        """How often this was begun, now included."""
        import ray

        count: int = ray.get(self.ledger.begin.remote(name))
        return count


def spread(rows: Dataset, count: int, open_work: Callable[[], Work], cluster: Cluster) -> Dataset:
    """The results of so many rows ("key", "row"), computed as they are consumed.

    open_work: called once in each actor.
    """
    import ray

    ledger = ray.remote(Ledger).options(num_cpus=0, max_restarts=-1, max_task_retries=-1).remote()
    size = rows_a_block(count, cluster.workers[1])
    return rows.repartition(target_num_rows_per_block=size).map_batches(
        Worker,
        fn_constructor_args=(open_work, ledger),
        batch_size=size,
        compute=ray.data.ActorPoolStrategy(min_size=cluster.workers[0], max_size=cluster.workers[1]),
        num_gpus=cluster.gpus or None,
        num_cpus=None if cluster.gpus else cluster.cpus,
        max_restarts=-1,
        max_task_retries=-1,
    )


def rows_a_block(count: int, workers: int) -> int:
    """How many rows an actor is given at a time, of a list of `count`.

    >>> [rows_a_block(count, workers=2) for count in (10, 2_000, 200_000, 1_000_000)]
    [1, 16, 48, 244]
    """
    return max(1, min(max(ROWS, count // MOST), count // (BLOCKS * workers)))


def blank(key: str, row: str) -> Result:
    """A row of the report, to be filled."""
    value = json.loads(row)
    out = value.get("out") if isinstance(value, dict) else None
    return {"where": shorten(row), "out": str(out or ""), "state": "", "why": "", "seconds": 0.0, "key": key}


def spread_numbers(count: int, open_work: Callable[[], Callable[[int], str]], cluster: Cluster) -> list[str]:
    """Do numbered pieces of work, and return what went wrong ("" where nothing did), in order.

    open_work: returns a function of a piece's number.
    """
    import ray

    def open_numbered() -> Work:
        do = open_work()

        def work(key: str, row: str) -> Result:
            try:
                why = do(int(row))
            except Exception as error:  # one piece must not cost the others
                why = " ".join(str(error).split()) or type(error).__name__
            return blank(key, row) | {"state": "failed" if why else "made", "why": why}

        return work

    connect(cluster)
    rows = ray.data.range(count).map(lambda row: {"key": str(row["id"]), "row": str(row["id"])})
    results = {int(row["key"]): str(row["why"]) for row in spread(rows, count, open_numbered, cluster).iter_rows()}
    return [results.get(number, "it was lost") for number in range(count)]


def rows_of(batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of a batch of columns, without what a row does not say."""
    for values in zip(*batch.values(), strict=True):
        row = {name: json.loads(json.dumps(value, default=_plain)) for name, value in zip(batch, values, strict=True)}
        yield {name: value for name, value in row.items() if value is not None and value == value}


def _plain(value: Any) -> Any:
    """A value of numpy's as one of JSON's."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
