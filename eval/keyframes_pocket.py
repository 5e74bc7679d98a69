"""What several keyframes, context, loops and drafts do on the bundled model, on held-out synthetic clips.

    python eval/keyframes_pocket.py                         # goes on where it was; writes eval/keyframes_pocket.md
    python eval/keyframes_pocket.py --clips 2 --steps 4     # a first look
    python eval/keyframes_pocket.py --report                # the page alone, from what is there

Every clip that was measured is a line of eval/keyframes_pocket.jsonl, under the hash of the model and the settings: a
run that was stopped goes on, and another edition of the model starts anew. Five questions:

    sequence   does motion stop at an inner keyframe, in one clip through three, and in two clips put together?
    bridge     is a gap in an even motion filled on its path?                     context 1, 2 and 4
    pace       do frames of context carry velocity into a gap whose two ends cannot tell it?
    loop       does a loop of one picture move, and is its seam a step like others?
    draft      is the path of a rough clip followed?                  draft_strength 0.3 to 0.9, and no draft

Objects are followed by colour (`data.tracking`). A clip whose object was lost where a figure needs it has none.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pocket_scores import mean_with_interval
from scipy.stats import wilcoxon

from gen_inbetween.data.sprites import KINDS
from gen_inbetween.data.synthetic import HELD_OUT_SEED, SyntheticClip, make_clip, motion_bucket
from gen_inbetween.data.tracking import track
from gen_inbetween.generation.generate import inbetween
from gen_inbetween.generation.joins import bridge, loop
from gen_inbetween.generation.timeline.keyframe import Keyframe
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.contact_sheet import contact_sheet
from gen_inbetween.models.layout import folder_sha256
from gen_inbetween.models.registry import resolve_model
from gen_inbetween.runtime.files import save_image, write_text

HERE = Path(__file__).parent
ROWS, PAGE, SHEET = (HERE / f"keyframes_pocket.{ending}" for ending in ("jsonl", "md", "png"))
LENGTH = 14  # frames that pocket-2 was trained on
SEGMENT = LENGTH - 1
GAP = 6  # frames of a gap; with 4 frames of context on either side a window of 14
BESIDE = 8  # frames of the true clip on either side of a gap
CONTEXTS = (1, 2, 4)
STRENGTHS = (0.3, 0.5, 0.7, 0.9)
KINDS_THAT_GO = tuple(kind for kind in KINDS if kind != "ball")
OFFSET = 50_000  # from the first held-out seed: clips of other reports lie below

Row = dict[str, Any]
Settings = dict[str, Any]


def pictures(clip: SyntheticClip) -> list[Image.Image]:
    return [Image.fromarray(frame) for frame in clip.frames]


def positions(frames: Any, truth: SyntheticClip) -> NDArray[np.float64]:
    """Where the first object is in each frame, (F, 2) pixels."""
    return track(np.stack([np.asarray(frame) for frame in frames]), truth).centre[:, 0]


def steps(path: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.linalg.norm(np.diff(path, axis=0), axis=-1)


def moving_clip(index: int, num_frames: int, speed: float = 1.2) -> SyntheticClip:
    """A held-out clip of one object that moves at an even pace, pixels a frame: no balls, which bounce."""
    return make_clip(
        HELD_OUT_SEED + OFFSET + index,
        num_frames=num_frames,
        num_objects=1,
        kind=KINDS_THAT_GO[index % len(KINDS_THAT_GO)],
        speed=speed,
    )


def sequence(index: int, settings: Settings) -> Row:
    """The step at the inner keyframe over the median step: 1 goes on, 0 stands still."""
    truth = moving_clip(index, 2 * SEGMENT + 1)
    frames = pictures(truth)
    keys = [frames[0], frames[SEGMENT], frames[-1]]
    told = {**settings, "fps": truth.fps, "motion_bucket_id": truth.motion_bucket_id, "seed": index}
    ours = inbetween([keys[0], Keyframe(keys[1], SEGMENT), keys[2]], num_frames=2 * SEGMENT + 1, **told)
    first = inbetween(keys[0], keys[1], num_frames=SEGMENT + 1, **told)
    second = inbetween(keys[1], keys[2], num_frames=SEGMENT + 1, **told)
    clips = {"truth": frames, "windows": list(ours), "chained": [*first, *list(second)[1:]]}
    row: Row = {"passes": ours.manifest["unet_passes"]}
    for name, clip in clips.items():
        lengths = steps(positions(clip, truth))
        row[name] = float(lengths[SEGMENT - 1 : SEGMENT + 1].mean() / np.median(lengths))
    if index == 0:
        save_image(SHEET, contact_sheet({name: clip[::2] for name, clip in clips.items()}, columns=SEGMENT + 1))
    return row


def bridged(index: int, settings: Settings) -> Row:
    """Speed and direction of the first step into the gap against the last step before it, for each context."""
    truth = moving_clip(index, 2 * BESIDE + GAP)
    frames = pictures(truth)
    told = {**settings, "motion_bucket_id": truth.motion_bucket_id, "seed": index}
    first, last = Clip(frames[:BESIDE], truth.fps), Clip(frames[BESIDE + GAP :], truth.fps)
    velocity = np.diff(truth.positions[:, 0], axis=0)
    row: Row = {}
    for context in CONTEXTS:
        clip = bridge(first, last, num_frames=GAP, context=context, carry_pace=False, **told)
        moved = np.diff(positions(clip, truth), axis=0)
        errors, angles = [], []
        for join in (BESIDE - 1, BESIDE + GAP - 1):  # into the gap, and out of it
            made, true = moved[join], velocity[join]
            errors.append(abs(np.linalg.norm(made) / np.linalg.norm(true) - 1))
            cosine = (made @ true) / (np.linalg.norm(made) * np.linalg.norm(true) + 1e-9)
            angles.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
        row[f"speed_error_{context}"] = float(np.mean(errors))
        row[f"direction_error_{context}"] = float(np.mean(angles))
        row[f"path_error_{context}"] = float(
            np.linalg.norm(positions(clip, truth) - truth.positions[:, 0], axis=-1)[BESIDE : BESIDE + GAP].mean()
        )
    return row


def paced(index: int, settings: Settings) -> Row:
    """How much of a change of pace within the gap is drawn: 1 as in truth, 0 an even pace.

    The object goes 2.4 pixels a frame before the gap and 0.6 after it, slowing down evenly (in odd clips the other way
    round). Both pictures at the gap's ends are those of an even 1.5 pixels: only frames of context tell the difference.
    """
    strides = np.concatenate([np.full(BESIDE - 1, 4.0), np.linspace(4, 1, GAP + 1), np.full(BESIDE - 1, 1.0)])
    strides = strides[::-1] if index % 2 else strides
    chosen = np.round(np.concatenate([[0.0], np.cumsum(strides)])).astype(int)
    dense = moving_clip(index, int(chosen[-1]) + 1, speed=0.6)
    frames = [Image.fromarray(dense.frames[number]) for number in chosen]
    true_path = dense.positions[chosen, 0]
    gap = slice(BESIDE - 1, BESIDE + GAP)  # its steps

    def change(path: NDArray[np.float64]) -> float:
        """Of the pace, from the gap's first half to its second, over its mean; the middle step counts for neither."""
        lengths = steps(path)[gap]
        half = len(lengths) // 2
        return float((lengths[:half].mean() - lengths[-half:].mean()) / lengths.mean())

    bucket = motion_bucket(float(steps(true_path)[gap].mean()), frames[0].width)
    told = {**settings, "motion_bucket_id": bucket, "seed": index}
    first, last = Clip(frames[:BESIDE], dense.fps), Clip(frames[BESIDE + GAP :], dense.fps)
    row: Row = {"carried_truth": change(positions(frames, dense)) / change(true_path)}
    joins: dict[str, Settings] = {str(context): {"context": context, "carry_pace": False} for context in CONTEXTS}
    joins["measured"] = {"context": 1, "carry_pace": True}
    for name, join in joins.items():
        path = positions(bridge(first, last, num_frames=GAP, **join, **told), dense)
        row[f"carried_{name}"] = change(path) / change(true_path)
        row[f"pace_path_error_{name}"] = float(np.linalg.norm(path - true_path, axis=-1)[gap][1:].mean())
    return row


def looped(index: int, settings: Settings) -> Row:
    """Of one picture: pixels that the object moves in a step, and the last step over the median one."""
    truth = moving_clip(index, LENGTH)
    told = {**settings, "motion_bucket_id": truth.motion_bucket_id, "seed": index}
    clip = loop(Image.fromarray(truth.frames[0]), num_frames=20, **told)
    path = positions([*clip, clip[0]], truth)
    return {
        "pixels_a_step": float(np.nanmean(steps(path))),
        "changed": float(np.abs(np.diff(np.stack([np.asarray(f, float) for f in clip]), axis=0)).mean()),
        "join_ratio": clip.manifest["join"]["ratio"] or float("nan"),
    }


def drafted(index: int, settings: Settings) -> Row:
    """Distance from the path of the draft, whose object starts slowly: pixels, for each strength and without."""
    dense = moving_clip(index, 2 * SEGMENT + 1)
    share = (np.arange(LENGTH) / SEGMENT) ** 2
    chosen = np.round(share * 2 * SEGMENT).astype(int)  # frames of the dense clip: a slow start, a fast end
    frames = [Image.fromarray(dense.frames[number]) for number in chosen]
    rough = [frame.resize((16, 16)).resize(frame.size) for frame in frames]
    path = dense.positions[chosen, 0]
    told = {**settings, "fps": dense.fps, "motion_bucket_id": dense.motion_bucket_id, "seed": index}
    row: Row = {}
    starts: dict[str, Settings] = {"none": {}}
    starts |= {str(strength): {"draft": rough, "draft_strength": strength} for strength in STRENGTHS}
    for name, start in starts.items():
        clip = inbetween(frames[0], frames[-1], num_frames=LENGTH, **told, **start)
        away = np.linalg.norm(positions(clip, dense) - path, axis=-1)[1:-1]
        row[f"path_error_{name}"] = float(np.nanmean(away))
        row[f"lost_{name}"] = float(np.isnan(away).mean())
        row[f"passes_{name}"] = clip.manifest["unet_passes"]
    row["path_error_draft"] = float(np.nanmean(np.linalg.norm(positions(rough, dense) - path, axis=-1)[1:-1]))
    return row


QUESTIONS: dict[str, Callable[[int, Settings], Row]] = {
    "sequence": sequence,
    "bridge": bridged,
    "pace": paced,
    "loop": looped,
    "draft": drafted,
}


def read_rows(key: str) -> dict[tuple[str, int], Row]:
    """The lines measured with this model and these settings."""
    rows = {}
    for line in ROWS.read_text().splitlines() if ROWS.exists() else ():
        row = json.loads(line)
        if row["key"] == key:
            rows[row["question"], row["index"]] = row["values"]
    return rows


def paired_p(first: NDArray[np.float64], second: NDArray[np.float64]) -> str:
    """Wilcoxon's signed-rank test over clips that have both; a dash where there is nothing to tell."""
    difference = (first - second)[np.isfinite(first - second)]
    return f"{wilcoxon(difference).pvalue:.3g}" if len(difference) > 5 and np.any(difference) else "-"


def table(*names: str) -> str:
    """The head of a table."""
    return f"| {' | '.join(names)} |\n{'|---' * len(names)}|"


def render(rows: dict[tuple[str, int], Row], key: str) -> Iterator[str]:
    """The page."""

    def column(question: str, name: str) -> list[float]:
        return [values.get(name, float("nan")) for (asked, _), values in rows.items() if asked == question]

    def cell(question: str, name: str, digits: int = 2) -> str:
        known = column(question, name)
        return mean_with_interval(known, digits) if np.isfinite(known).sum() > 1 else "-"

    counts = {question: len(column(question, "")) for question in QUESTIONS}
    yield "# Several keyframes, context, loops and drafts on the bundled model\n"
    yield "Made by `python eval/keyframes_pocket.py`; held-out synthetic clips of 64 x 64 pixels, one object in each."
    told = ", ".join(f"{question} {count}" for question, count in counts.items())
    yield f"Means with 95 % bootstrap intervals over clips; p: Wilcoxon's signed-rank test. Model and settings: {key}."
    yield f"Clips: {told} (a dash: fewer than two; `--clips` takes more).\n"
    yield "## Does motion stop at an inner keyframe?\n"
    yield "The steps beside the middle keyframe over the clip's median step (1: it goes on; less: it pauses).\n"
    yield table("true clip", "one clip through three keyframes", "two put together", "difference, clip by clip", "p")
    windows, chained = (np.asarray(column("sequence", name), float) for name in ("windows", "chained"))
    difference = mean_with_interval(list(windows - chained), 2) if np.isfinite(windows - chained).sum() > 1 else "-"
    cells = " | ".join(cell("sequence", name) for name in ("truth", "windows", "chained"))
    yield f"| {cells} | {difference} | {paired_p(windows, chained)} |\n"
    if SHEET.exists():
        yield f"![a clip through three keyframes, and two put together]({SHEET.name})\n"
    yield "## Is a gap in an even motion filled on its path?\n"
    yield f"A gap of {GAP} frames between two stretches of a true clip; its first and last step against the true.\n"
    yield table("context", "error of speed, share", "error of direction, degrees", "distance from the true path, px")
    for context in CONTEXTS:
        names = (f"speed_error_{context}", f"direction_error_{context}", f"path_error_{context}")
        yield f"| {context} | {' | '.join(cell('bridge', name) for name in names)} |"
    yield "\n## Do frames of context carry velocity into a gap?\n"
    yield "The object goes 2.4 pixels a frame on one side of the gap and 0.6 on the other, as the pictures at the gap's"
    yield "ends cannot tell. Share of the true change of pace that is drawn (0: an even pace; 1: as in truth, whose own"
    yield f"frames, followed by the same tracker, give {cell('pace', 'carried_truth')}).\n"
    yield table(
        "context", "share of the change of pace", "over context 1, clip by clip", "p", "distance from the true path, px"
    )
    alone = np.asarray(column("pace", "carried_1"), float)
    names = {str(context): str(context) for context in CONTEXTS}
    names["measured"] = "1, and a motion bucket for each direction, from the pace measured beside the gap (carry_pace)"
    for name, said in names.items():
        carried = np.asarray(column("pace", f"carried_{name}"), float)
        gain = mean_with_interval(list(carried - alone), 2) if np.isfinite(carried - alone).sum() > 1 else "-"
        cells = f"{cell('pace', f'carried_{name}')} | {gain} | {paired_p(carried, alone)}"
        yield f"| {said} | {cells} | {cell('pace', f'pace_path_error_{name}')} |"
    yield "\n## Does a loop of one picture move?\n"
    yield table("object's step, px", "change from frame to frame, grey levels", "last step over the median")
    yield f"| {' | '.join(cell('loop', name) for name in ('pixels_a_step', 'changed', 'join_ratio'))} |\n"
    yield "## Is the path of a draft followed?\n"
    yield "The draft is the true clip at a quarter of its resolution with a slow start; its own distance from that path"
    yield f"(by the same tracker) is {cell('draft', 'path_error_draft')} px.\n"
    yield table("draft_strength", "distance from the draft's path, px", "frames in which it is lost", "UNet passes")
    for name in ("none", *map(str, STRENGTHS)):
        passes = [value for value in column("draft", f"passes_{name}") if np.isfinite(value)]
        away, lost = cell("draft", f"path_error_{name}"), cell("draft", f"lost_{name}")
        yield f"| {name} | {away} | {lost} | {passes[0] if passes else '-'} |"
    yield "\n" + (HERE / "readings" / PAGE.name).read_text(encoding="utf-8").rstrip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=128)
    parser.add_argument("--model", default="pocket-2")
    parser.add_argument("--method", default="gi")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--questions", nargs="*", choices=list(QUESTIONS), default=list(QUESTIONS))
    parser.add_argument("--report", action="store_true", help="write the page from what was measured")
    options = parser.parse_args()
    model = folder_sha256(resolve_model(options.model).source)[:12]
    key = f"{options.model} {model}, {options.method}, {options.steps} steps"
    settings = {"model": options.model, "method": options.method, "num_inference_steps": options.steps}
    if options.method == "gi":  # what the report on samplers found best for its passes
        settings |= {"preset": "published", "fusion": "linear", "renoise_steps": 0}
    rows = read_rows(key)
    for index in range(0 if options.report else options.clips):
        for question in options.questions:
            if (question, index) in rows:
                continue
            values = QUESTIONS[question](index, {**settings, "progress": False})
            rows[question, index] = values
            line = json.dumps({"key": key, "question": question, "index": index, "values": values})
            with ROWS.open("a") as file:
                file.write(line + "\n")
            print(line, flush=True)
    write_text(PAGE, "\n".join(render(rows, key)) + "\n")


if __name__ == "__main__":
    main()
