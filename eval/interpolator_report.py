"""Interpolators on windows of film: PSNR, SSIM and sharpness against the truth, time a frame, and sheets to look at.

    python eval/prepare.py packages --download                               # once: films of installable packages
    python eval/interpolator_report.py --films outputs/packages              # some minutes
    python eval/interpolator_report.py --films FOLDER FOLDER --output mine.md

Of each film some windows of 9 frames: every second frame is left out (a gap of 2), then 7 of every 8 (a gap of 8), once
at 256 x 256 pixels and once at 1280 x 720. Scores are kept, so that an interrupted run goes on and another interpolator
costs only its own time. An interpolator that is not here is left out, and the report says so.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from gen_inbetween.data.clips import find_videos
from gen_inbetween.evaluation.interpolators.film_windows import GAPS, MEASURES, WindowScores, all_windows, asked_frames
from gen_inbetween.evaluation.interpolators.gaps import Moment, interpolate_between
from gen_inbetween.evaluation.interpolators.speed import cpu_seconds
from gen_inbetween.evaluation.report.pictures import copy_small_png
from gen_inbetween.evaluation.report.statistics import bootstrap_interval
from gen_inbetween.evaluation.report.tables import estimate, plain, table
from gen_inbetween.interpolation import FrameInterpolator, InterpolatorError, load_interpolator
from gen_inbetween.interpolation.pairs import frame_tensor
from gen_inbetween.media.contact_sheet import contact_sheet
from gen_inbetween.runtime import manifest
from gen_inbetween.runtime.files import save_image
from gen_inbetween.runtime.recipe import add_output, write_page, writing_report

HERE = Path(__file__).resolve().parent
NAMES = ("blend", "tiny-di", "dis", "dis-splat", "rife")
SIZES = {"256": (256, 256), "720p": (1280, 720)}
STEPS = {"256": 1, "720p": 2}  # of the frames left out, every how many-th is asked for
DIGITS = {"psnr[inner]": 2, "ssim[inner]": 4, "sharpness": 3}
REFERENCES = ("dis", "rife")
TIMED = 3  # windows, of which the first warms up
READ = """\
Cells are `mean [low, high]`: the mean over windows and its 95 % percentile bootstrap interval (2,000 resamples, seed
0). Windows of one film are not independent, so the intervals are too narrow. "Moving": the half of the windows in which
a cross-fade over a gap of 8 is worst. Sharpness is gradient energy over that of the true frames: 1 is right, and
averaging two frames lowers it by their noise."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=Path, nargs="+", default=[Path("outputs/packages")], help="folders of films")
    parser.add_argument("--figures-only", type=Path, nargs="*", default=[], help="folders whose frames are not shown")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--windows", type=int, default=2, help="of each film")
    parser.add_argument("--interpolators", nargs="+", default=list(NAMES), help="names or files of weights")
    parser.add_argument("--scores", type=Path, default=Path("outputs/interpolator_scores"), help="kept from run to run")
    add_output(parser, HERE / "interpolator_report.md")
    options = parser.parse_args(arguments)
    reads = [*options.films, *options.figures_only, *filter(os.path.exists, options.interpolators)]
    folders = [options.output.with_suffix(""), options.scores]
    with writing_report(parser, options, reads=reads, folders=folders):
        report(options)
    print(options.output)


def report(options: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    interpolators, missing = open_all(options.interpolators)
    reading = HERE / "readings" / "interpolator_report.md"
    parts = [
        "# Interpolators on film",
        reading.read_text(encoding="utf-8") if reading.is_file() else "",
        "## What was run\n\n" + facts(interpolators, missing),
        "## Figures\n\n" + READ,
    ]
    large: list[Moment] = []
    for folder in [*options.films, *options.figures_only]:
        for size in options.sizes:
            windows = list(all_windows(find_videos(folder), options.windows, SIZES[size]))
            if not windows:
                parts.append(f"### {folder.name}, {size}\n\nLeft out: no film there is as large as that and uncut.")
                continue
            large = windows if size == "720p" else large
            scores = score(windows, interpolators, options.scores / f"{folder.name}-{size}", STEPS[size])
            title = f"{folder.name}, {size}"
            parts.append(section(title, windows, scores))
            if folder in options.films:
                parts.append(sheets(title, windows, scores, interpolators, options.output.with_suffix(""), STEPS[size]))
    if large:
        parts.append("## Time at 1280 x 720\n\n" + times(large, interpolators))
    write_page(options.output, parts)


def open_all(names: Sequence[str]) -> tuple[dict[str, FrameInterpolator], dict[str, str]]:
    """Those that can be opened here, and of the others why not."""
    opened, missing = {}, {}
    for name in names:
        try:
            opened[Path(name).stem if Path(name).is_file() else name] = load_interpolator(name)
        except (InterpolatorError, ImportError) as error:
            missing[name] = str(error)
    return opened, missing


def facts(interpolators: Mapping[str, FrameInterpolator], missing: Mapping[str, str]) -> str:
    rows = [
        [name, plain(f"{each.info.architecture} {each.info.version}"), f"{each.info.parameters / 1e6:.2f} M",
         (each.info.sha256 or "-")[:12]]
        for name, each in interpolators.items()
    ]  # fmt: skip
    # Of folders the last name alone: where they lie on this machine is nobody's business.
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    command = shlex.join(["python", "eval/interpolator_report.py", *words])
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions(["opencv-python-headless"]).items())
    left_out = "".join(f"\nLeft out: {name}: {plain(why)}\n" for name, why in missing.items())
    head = ["interpolator", "version", "parameters", "sha256 of its weights"]
    machine = f"{platform.system()} {platform.machine()}, one thread"
    return f"```\n{command}\n```\n\n{table(head, rows)}{left_out}\n{versions}; {machine}."


Scores = dict[str, dict[str, dict[int, list[float]]]]


def score(windows: Sequence[Moment], interpolators: Mapping[str, FrameInterpolator], folder: Path, step: int) -> Scores:
    """label -> measure -> gap -> one value a window."""
    scores = WindowScores(folder, step)
    return {name: scores.score(windows, name, each) for name, each in tqdm(interpolators.items(), folder.name)}


def section(title: str, windows: Sequence[Moment], scores: Scores) -> str:
    """The tables of one set of windows."""
    films = len({window.name.rsplit("-", 1)[0] for window in windows})
    tables = [figures(scores), *(differences(scores, reference) for reference in REFERENCES if reference in scores)]
    return f"### {title}: {len(windows)} windows of {films} films\n\n" + "\n".join(tables)


def sheets(
    title: str,
    windows: Sequence[Moment],
    scores: Scores,
    interpolators: Mapping[str, FrameInterpolator],
    pictures: Path,
    step: int,
) -> str:
    """Writes the sheets of one set of windows, and returns the lines that show them."""
    lines = []
    for kind, number in shown(scores).items():
        path = sheet(windows[number], interpolators, pictures / f"{title.replace(', ', '-')}-{kind}.png", step)
        lines.append(f"![{title}, {kind}]({pictures.name}/{path.name})")
    return "\n\n".join(lines)


def moving(scores: Scores) -> list[int]:
    """The numbers of the half of the windows that a cross-fade does worst at, or the first interpolator."""
    faded = (
        next(iter(scores.values()))["psnr[inner]"][8] if "blend" not in scores else scores["blend"]["psnr[inner]"][8]
    )
    return [int(number) for number in np.argsort(faded)[: max(1, len(faded) // 2)]]


def figures(scores: Scores) -> str:
    rows = []
    part = moving(scores)
    for label, values in scores.items():
        cells = [label]
        for measure in MEASURES:
            cells += [estimate(bootstrap_interval(values[measure][gap]), DIGITS[measure]) for gap in GAPS]
        cells.append(estimate(bootstrap_interval(np.array(values["psnr[inner]"][8])[part]), 2))
        rows.append(cells)
    head = [f"{name}, gap {gap}" for name in ("PSNR, dB", "SSIM", "sharpness") for gap in GAPS]
    return table(["", *head, "PSNR, gap 8, moving"], rows)


def differences(scores: Scores, reference: str) -> str:
    """PSNR and SSIM less the reference's, window by window."""
    rows, part = [], moving(scores)
    for label, values in scores.items():
        if label == reference:
            continue
        cells = [label]
        for measure in ("psnr[inner]", "ssim[inner]"):
            for gap in GAPS:
                apart = np.subtract(values[measure][gap], scores[reference][measure][gap])
                cells.append(estimate(bootstrap_interval(apart), DIGITS[measure], signed=True))
        apart = np.subtract(values["psnr[inner]"][8], scores[reference]["psnr[inner]"][8])[part]
        rows.append([*cells, estimate(bootstrap_interval(apart), 2, signed=True)])
    head = [f"{name}, gap {gap}" for name in ("PSNR, dB", "SSIM") for gap in GAPS]
    return table([f"less {reference}", *head, "PSNR, gap 8, moving"], rows)


def shown(scores: Scores) -> dict[str, int]:
    """The windows that are shown: at the 10th and the 40th percentile of a cross-fade over a gap of 8."""
    order = moving(scores)
    return {"hard": order[len(order) // 5], "typical": order[4 * len(order) // 5]}


def sheet(window: Moment, interpolators: Mapping[str, FrameInterpolator], path: Path, step: int) -> Path:
    """The frames at 1/4, 1/2 and 3/4 of a gap of 8: the truth, then each interpolator."""
    truth = asked_frames(window, 8, step)
    quarter = (len(truth) - 1) // 4
    inner = [quarter, 2 * quarter, 3 * quarter]
    rows = {f"truth: {window.name}, gap 8": [Image.fromarray(truth[at]) for at in inner]}
    for label, each in interpolators.items():
        between = interpolate_between(truth, each)
        rows[label] = [Image.fromarray(between[at]) for at in inner]
    return copy_small_png(save_image(path, contact_sheet(rows, columns=3)), path)


def times(windows: Sequence[Moment], interpolators: Mapping[str, FrameInterpolator]) -> str:
    """CPU seconds on one thread: a frame of a pair of which one is asked for, or seven."""
    rows = []
    for label, each in tqdm(interpolators.items(), "times"):
        costs = [pair_cost(window, each) for window in windows[:TIMED]][1:]
        first, further = (statistics.median(column) for column in zip(*costs, strict=True))
        rows.append([label, *(f"{seconds:.2f}" for seconds in (first, further, (first + 6 * further) / 7))])
    head = ["CPU seconds a frame, one thread", "first or only one of a pair", "each further one", "mean of seven"]
    return (
        table(head, rows)
        + f"\nMedians of {TIMED - 1} pairs, of three further frames each. CPU seconds: a busy machine changes "
        "them little.\n"
    )


def pair_cost(window: Moment, interpolator: FrameInterpolator) -> tuple[float, float]:
    """CPU seconds of the first frame between the ends of a window, and of each further one."""
    first, last = (frame_tensor(Image.fromarray(window.frames[end]), interpolator.device) for end in (0, -1))
    pair = interpolator.pair(first, last)
    return cpu_seconds(pair.at, 0.3), statistics.mean(cpu_seconds(pair.at, t) for t in (0.4, 0.5, 0.6))


if __name__ == "__main__":
    main()
