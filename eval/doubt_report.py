"""How well doubt predicts the true error of drawn frames, and from which doubt on things show twice.

    python eval/prepare.py packages --download     # once: real film out of installable packages
    python eval/doubt_report.py                    # writes eval/doubt.md and eval/doubt/, some minutes on a core
    python eval/doubt_report.py --films FOLDER     # beside these films of your own, by their number alone

Films with every second, fourth or eighth frame left are drawn again by each interpolator; the frame in the middle of
each gap is held against the true one. What is compared is said in `gen_inbetween/evaluation/interpolators/doubt.py`.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import torch
from matplotlib.figure import Figure
from tqdm import tqdm

from gen_inbetween.data.clips import find_videos
from gen_inbetween.evaluation.interpolators.doubt import (
    APART,
    GAPS,
    HEIGHT,
    VISIBLE,
    WORLD,
    WRONG,
    DoubtTrial,
    detection,
    doubt_trials,
    doubt_windows,
    rank_correlation,
    world_windows,
)
from gen_inbetween.evaluation.interpolators.gaps import Moment
from gen_inbetween.evaluation.pairs.packages import CLIPS
from gen_inbetween.evaluation.report.plots import TEXT, save, styles
from gen_inbetween.evaluation.report.statistics import Estimate
from gen_inbetween.evaluation.report.tables import estimate, figure, plain, table
from gen_inbetween.interpolation import load_interpolator
from gen_inbetween.interpolation.faults.doubt import DOUBTFUL
from gen_inbetween.runtime import manifest
from gen_inbetween.runtime.files import write_json_lines
from gen_inbetween.runtime.recipe import add_output, write_page, writing_report

HERE = Path(__file__).resolve().parent
INTERPOLATORS = ("dis-splat", "tiny-di")
COMPARED = (("doubt", "error"), ("doubt", "psnr"), ("motion", "error"), ("change", "error"))
LIMITS = (8, 12, 16, 20, 24, 32, 40, 48, 64)
Trials: TypeAlias = Mapping[str, Mapping[str, Sequence[DoubtTrial]]]  # set -> interpolator -> trials


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("outputs/packages"), help="as eval/prepare.py leaves it")
    parser.add_argument("--films", type=Path, help="a folder of films, which are named by number in what is written")
    parser.add_argument("--windows", type=int, default=6, help="of each package film")
    parser.add_argument("--film-windows", type=int, default=3, help="of each film of --films")
    parser.add_argument("--worlds", type=int, default=24, help="synthetic worlds, a window each")
    add_output(parser, HERE / "doubt.md")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with writing_report(parser, chosen, reads=[chosen.root, chosen.films], folders=[chosen.output.with_suffix("")]):
        report(chosen)
    print(chosen.output)


def report(chosen: argparse.Namespace) -> None:
    interpolators = {name: load_interpolator(name) for name in INTERPOLATORS}
    trials: dict[str, dict[str, list[DoubtTrial]]] = {}
    for title, windows in read_sets(chosen).items():
        by_name: dict[str, list[DoubtTrial]] = {name: [] for name in INTERPOLATORS}
        for window in tqdm(windows, title, unit="window"):
            for name, trial in doubt_trials([window], interpolators):
                by_name[name].append(trial)
        trials[title] = by_name
    folder = chosen.output.with_suffix("")
    save(scatter(trials), folder / "scatter.png")
    rows = (
        {"set": title, "interpolator": name, **asdict(trial)}
        for title, by_name in trials.items()
        for name, each in by_name.items()
        for trial in each
    )
    write_json_lines(folder / "trials.jsonl", rows)
    write_page(chosen.output, [page(trials, folder.name, command_of(chosen))])


def read_sets(chosen: argparse.Namespace) -> dict[str, list[Moment]]:
    """title -> windows; what is not on this machine is left out."""
    sets: dict[str, list[Moment]] = {}
    paths = [chosen.root / clip.path for clip in CLIPS if (chosen.root / clip.path).is_file()]
    if paths:
        sets[f"{len(paths)} package films"] = [
            window for path in paths for window in doubt_windows(path, chosen.windows)
        ]
    if chosen.films:
        films = find_videos(chosen.films)
        sets[f"{len(films)} real clips"] = [
            Moment(f"clip {number}", window.frames)
            for number, path in enumerate(films)
            for window in doubt_windows(path, chosen.film_windows)
        ]
    sets[f"{chosen.worlds} synthetic worlds"] = list(world_windows(chosen.worlds))
    return sets


def command_of(chosen: argparse.Namespace) -> str:
    """The line that makes the same report, without the places of this machine."""
    films = ["--films", "FOLDER", "--film-windows", str(chosen.film_windows)] if chosen.films else []
    sizes = ["--windows", str(chosen.windows), "--worlds", str(chosen.worlds)]
    return shlex.join(["python", "eval/doubt_report.py", *films, *sizes])


def page(trials: Trials, folder: str, command: str) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions(["opencv-python-headless"]).items())
    reading = HERE / "readings" / "doubt.md"
    parts = [
        "# Doubt against the true error",
        reading.read_text(encoding="utf-8").strip() if reading.is_file() else "",
        f"## What was run\n\n```\n{command}\n```\n\n{versions}; one thread.",
        "Every second, fourth or eighth frame of a film is left, and the frame in the middle of each gap drawn again: "
        f"windows of 9 frames without a cut, at most {HEIGHT} pixels high (worlds {WORLD}). Error: the 99th percentile "
        "of the absolute difference from the true frame, grey levels.",
        "## Rank correlation with the error\n\nSpearman's, with its 95 % bootstrap interval over films (2,000 "
        "resamples, seed 0; of PSNR the sign is turned). *Change*, the 99th percentile of the plain difference of the "
        "two frames, needs no flow.",
        correlations(trials),
        f"![Error against doubt]({folder}/scatter.png)",
        "## Limits\n\nA frame shows a double exposure to the eye where at least "
        f"{100 * VISIBLE:g} % of its pixels mix two looks that are more than {APART:g} grey levels apart and are wrong "
        f"by more than {WRONG:g} (means over 5 x 5 pixels). Of the frames above a limit of doubt: precision, the share "
        f"that does; recall, the share of all that do. The limit in use is {DOUBTFUL:g}.",
        limits(trials),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def correlations(trials: Trials) -> str:
    """A row for each set and interpolator, and for each gap of the first interpolator."""
    rows = []
    for title, by_name in trials.items():
        groups = dict(by_name)
        first = INTERPOLATORS[0]
        groups |= {
            f"{first}, one frame in {gap}": [trial for trial in by_name[first] if trial.gap == gap] for gap in GAPS
        }
        for name, each in groups.items():
            cells = (estimate(correlation(each, *names), 2) for names in COMPARED)
            rows.append([plain(title), name, str(len(each)), *cells])
    return table(["films", "drawn by", "frames", *(", ".join(names) for names in COMPARED)], rows)


def correlation(trials: Sequence[DoubtTrial], measure: str, target: str) -> Estimate:
    """Of a measure with the error, or with PSNR, whose sign is turned: 1 is best of both."""
    sign = -1 if target == "psnr" else 1
    targets = [sign * getattr(trial, target) for trial in trials]
    return rank_correlation([getattr(trial, measure) for trial in trials], targets, [trial.film for trial in trials])


def limits(trials: Trials) -> str:
    parts = []
    for name in INTERPOLATORS:
        head = [f"{name}: precision / recall", *(f"above {limit}" for limit in LIMITS)]
        rows = []
        for title, by_name in trials.items():
            each = by_name[name]
            cells = (detection(each, limit) for limit in LIMITS)
            shown = sum(trial.visible for trial in each)
            texts = [f"{figure(precision, 2)} / {figure(recall, 2)} of {count}" for count, precision, recall in cells]
            rows.append([f"{plain(title)}: {shown} of {len(each)} visible", *texts])
        parts.append(table(head, rows))
    return "\n\n".join(parts)


def scatter(trials: Trials) -> Figure:
    """A panel for each set and interpolator, the error against doubt, what shows twice marked."""
    picture = Figure(figsize=(3.8 * len(trials), 6.6), layout="constrained")
    panels = np.atleast_2d(picture.subplots(len(INTERPOLATORS), len(trials), sharex=True, sharey=True, squeeze=False))
    look = styles(["single", "doubled"])
    for row, name in zip(panels, INTERPOLATORS, strict=True):
        for panel, (title, by_name) in zip(row, trials.items(), strict=True):
            for label, visible in (("single", False), ("doubled", True)):
                chosen = [trial for trial in by_name[name] if trial.visible is visible]
                panel.scatter(
                    [max(trial.doubt, 1) for trial in chosen],
                    [max(trial.error, 1) for trial in chosen],
                    s=14,
                    alpha=0.7,
                    label=f"{label} ({len(chosen)})",
                    **look[label],
                )
            panel.axvline(DOUBTFUL, color="#666666", linestyle="--", linewidth=1)
            panel.set(xscale="log", yscale="log")
            panel.set_title(f"{title}, {name}", fontsize=TEXT)
            panel.grid(linewidth=0.4, alpha=0.6)
            panel.legend(fontsize=TEXT - 1)
    picture.supxlabel(f"doubt, grey levels (dashed: the limit, {DOUBTFUL:g})", fontsize=TEXT)
    picture.supylabel("error of the drawn frame, grey levels", fontsize=TEXT)
    return picture


if __name__ == "__main__":
    main()
