"""Dropped frames drawn again: FFmpeg's minterpolate against the interpolators, quality and seconds a frame.

    python eval/prepare.py packages --download          # once: real film out of installable packages
    inbetween models fetch rife                         # once: RIFE's weights
    python eval/film_report.py                          # writes eval/film_report.md and eval/film_report/, some minutes
    python eval/film_report.py --films FOLDER --name "my films"     # and a table on films of your own, without pictures

Every window that has been drawn is a line of eval/film_report/windows.jsonl; a run that was stopped goes on after it.
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
from gen_inbetween.evaluation.interpolators.dropped import Drawn, drawn_by, drawn_by_filter, scores
from gen_inbetween.evaluation.interpolators.film_windows import film_windows
from gen_inbetween.evaluation.interpolators.gaps import Moment
from gen_inbetween.evaluation.pairs.packages import CLIPS
from gen_inbetween.evaluation.report.statistics import bootstrap_interval
from gen_inbetween.evaluation.report.tables import estimate, figure, table
from gen_inbetween.interpolation import FrameInterpolator, InterpolatorError, load_interpolator
from gen_inbetween.media.contact_sheet import contact_sheet
from gen_inbetween.runtime import manifest
from gen_inbetween.runtime.devices import free_cores
from gen_inbetween.runtime.files import replaced
from gen_inbetween.runtime.recipe import add_output, write_page, writing_report

HERE = Path(__file__).resolve().parent
SIZES = {"360p": (640, 360), "720p": (1280, 720)}
FILTER = "minterpolate"
NAMES = ("tiny-di", "dis", "dis-splat", "rife")
DEFAULTS = ("dis-splat", "rife")  # what a film command takes by itself: the second once it was fetched
SCORED = slice(1, 6, 2)  # of a window's nine frames
READ = """\
Of nine successive frames every second one is dropped and drawn again; the first three of them are scored, by luma.
Cells are `mean [low, high]` over films (the mean of a film's windows is one value) with the 95 % percentile bootstrap
interval (2,000 resamples, seed 0). PSNR in dB; seconds are of one drawn frame without decoding and encoding, what opens
and warms up a method told apart; `cpu` adds up all cores, and changes little when others use the machine."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("outputs/packages"), help="as eval/prepare.py leaves it")
    parser.add_argument("--films", type=Path, help="a folder of further films: measured, no picture of them is kept")
    parser.add_argument("--name", default="films of a folder", help="what they are called in the report")
    parser.add_argument("--windows", type=int, default=2, help="of each film and size")
    add_output(parser, HERE / "film_report.md")
    given = parser.parse_args(arguments)
    with writing_report(parser, given, reads=[given.root, given.films], folders=[given.output.with_suffix("")]):
        report(given)
    print(given.output)


def report(given: argparse.Namespace) -> None:
    folder = given.output.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    record, methods, starts = folder / "windows.jsonl", *opened()
    sets = {"Films that packages carry": [given.root / clip.path for clip in CLIPS]}
    if given.films is not None:
        sets[given.name] = find_videos(given.films)
    for title, films in sets.items():
        for film in tqdm(films, title):
            draw_film(film, title, given.windows, methods, record)
    rows = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()] if record.is_file() else []
    picture = draw_picture(sets["Films that packages carry"][-1], methods, folder / "frames.webp")
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


def opened() -> tuple[dict[str, FrameInterpolator], dict[str, float]]:
    """The interpolators that can be opened here, and the seconds that took."""
    methods, starts = {}, {}
    for name in NAMES:
        begun = time.perf_counter()
        try:
            methods[name] = load_interpolator(name)
        except (InterpolatorError, ImportError) as error:
            print(f"left out: {name}: {error}", file=sys.stderr)
            continue
        drawn_by(methods[name], np.zeros((2, 64, 64, 3), np.uint8), 1)
        starts[name] = time.perf_counter() - begun
    return methods, starts


def draw(name: str, moment: Moment, methods: dict[str, FrameInterpolator]) -> Drawn:
    given = moment.frames[::2]
    return drawn_by_filter(given) if name == FILTER else drawn_by(methods[name], given, free_cores())


def draw_film(film: Path, title: str, windows: int, methods: dict[str, FrameInterpolator], record: Path) -> None:
    """Add a line to the record for every window, size and method that has none."""
    lines = record.read_text(encoding="utf-8").splitlines() if record.is_file() else []
    keys = ("set", "film", "size", "window", "method")
    done = {tuple(json.loads(line)[key] for key in keys) for line in lines}
    for size, shape in SIZES.items():
        wanted = [(number, name) for number in range(windows) for name in (FILTER, *methods)]
        if all((title, film.stem, size, *each) in done for each in wanted) or (title, film.stem, size, -1, "") in done:
            continue
        moments = film_windows(film, windows, shape)
        for number, name in wanted if moments else [(-1, "")]:  # a film too small or too short is noted as well
            key = dict(zip(keys, (title, film.stem, size, number, name), strict=True))
            if tuple(key.values()) in done or number >= len(moments):
                continue
            with record.open("a", encoding="utf-8") as file:
                file.write(json.dumps(key | (measured(name, moments[number], methods) if name else {})) + "\n")


def measured(name: str, moment: Moment, methods: dict[str, FrameInterpolator]) -> dict[str, float]:
    drawn, truth = draw(name, moment, methods), moment.frames[SCORED]
    return scores(drawn.frames[: len(truth)], truth) | {"wall": drawn.wall, "cpu": drawn.cpu}


def facts(methods: dict[str, FrameInterpolator], starts: dict[str, float]) -> str:
    command = shlex.join(["python", "eval/film_report.py", *sys.argv[1:]])
    versions = ", ".join(
        f"{name} {version}" for name, version in manifest.versions(["opencv-python-headless", "av"]).items()
    )
    rows = [[name, methods[name].info.version, f"{seconds:.2f}"] for name, seconds in starts.items()]
    machine = f"{platform.system()} {platform.machine()}, {free_cores()} cores, a worker each"
    head = table(
        ["method", "version", "seconds to open and warm up"], [[FILTER, "mi_mode=mci, as it comes", "-"], *rows]
    )
    return f"```\n{command}\n```\n\n{head}\n{versions}; {machine}."


def by_film(rows: Sequence[dict[str, Any]], method: str, key: str) -> np.ndarray:
    """The mean of each film's windows, films in the order of their names; NaN where the method drew none."""
    values: dict[str, list[float]] = {row["film"]: [] for row in rows}
    for row in rows:
        if row["method"] == method:
            values[row["film"]].append(row[key])
    return np.array([np.mean(values[film]) if values[film] else np.nan for film in sorted(values)])


def section(title: str, size: str, rows: Sequence[dict[str, Any]]) -> str:
    rows = [row for row in rows if row["set"] == title and row["size"] == size and row["method"]]
    if not rows:
        return ""
    names = [name for name in (FILTER, *NAMES) if any(row["method"] == name for row in rows)]
    usual = {key: by_film(rows, FILTER, key) for key in ("psnr", "wall", "cpu")}
    lines, verdicts = [], []
    for name in names:
        values = {key: by_film(rows, name, key) for key in ("psnr", "ssim", "wall", "cpu")}
        gain = bootstrap_interval(values["psnr"] - usual["psnr"])
        cells = [estimate(bootstrap_interval(values[key]), digits) for key, digits in (("psnr", 2), ("ssim", 4))]
        gained = "-" if name == FILTER else estimate(gain, 2, signed=True)
        lines.append([name, *cells, gained, *(figure(float(np.nanmedian(values[key])), 2) for key in ("wall", "cpu"))])
        if name in DEFAULTS:
            slower = [key for key in ("wall", "cpu") if np.nanmedian(values[key]) > np.nanmedian(usual[key])]
            words = f"slower ({' and '.join(slower)})" if slower else "faster"
            judged = "better" if gain.low > 0 else "worse" if gain.high < 0 else "no different within the interval"
            verdicts.append(f"{name}, a default: {words} and {judged} than {FILTER}.")
    head = ["method", "PSNR", "SSIM", f"PSNR above {FILTER}", "seconds (wall)", "seconds (cpu)"]
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
