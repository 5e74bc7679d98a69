"""Pictures of the page on more than two keyframes, by its commands.

python docs/images/draw_keyframes.py WORK      # writes keyframes_*.png beside itself; inputs and clips go to WORK
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from gen_inbetween.cli.__main__ import app
from gen_inbetween.data.synthetic import HELD_OUT_SEED, make_clip, make_loop
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.contact_sheet import contact_sheet
from gen_inbetween.runtime.files import save_image

FOLDER = Path(__file__).resolve().parent
COLUMNS, COLOURS = 9, 64  # frames of a row; colours of a picture: small files
SEED = HELD_OUT_SEED + 60_000


def draw(work: Path, kind: str, count: int, speed: float) -> tuple[list[Image.Image], list[str]]:
    """A held-out clip, and what the model is told of it."""
    truth = make_clip(SEED, num_frames=count, kind=kind, num_objects=1, speed=speed)
    frames = [Image.fromarray(frame) for frame in truth.frames]
    Clip(frames, truth.fps).save(work / kind, overwrite=True)
    for number in (0, 13, count - 1):
        frames[number].save(work / f"{kind}_{number}.png")
    known = {"motion_bucket_id": truth.motion_bucket_id, "fps": truth.fps, "renoise_steps": 0}
    told = ["--model", "pocket-2", "--steps", "6"]
    for key, value in known.items():
        told += ["--set", f"{key}={value}"]
    return frames, told


def command(work: Path, name: str, *words: str) -> list[Image.Image]:
    """Run `inbetween WORDS -o WORK/NAME` and open what it made."""
    app([*words, "-o", name], standalone_mode=False)
    return Clip.open(work / name).frames


def save(name: str, rows: dict[str, list[Image.Image]]) -> None:
    sheet = contact_sheet(rows, columns=COLUMNS)
    small = sheet.resize((sheet.width * 5 // 8, sheet.height * 5 // 8), Image.Resampling.LANCZOS)
    save_image(FOLDER / f"keyframes_{name}.png", small.quantize(COLOURS))


def sequences(work: Path) -> None:
    frames, told = draw(work, "walker", 27, 1.6)
    keys = ["walker_0.png", "walker_13.png", "walker_26.png"]
    clip = command(work, "sequence/", "run", *keys, "--frames", "27", *told)
    loop = command(work, "closed/", "run", *keys[:2], "--loop", "--frames", "26", *told)
    save("sequence", {"true clip": frames, "run a b c": clip, "run a b --loop, and its first frame": [*loop, loop[0]]})


def joins(work: Path) -> None:
    frames, told = draw(work, "cart", 30, 1.4)
    for name, part in {"a": frames[:10], "b": frames[16:26], "shorter": frames[:22]}.items():
        Clip(part, 7).save(work / name, overwrite=True)
    bridge = command(work, "bridge/", "bridge", "a", "b", "--frames", "6", *told)
    retake = command(work, "retake/", "retake", "shorter", "8", "14", "--seed", "3", *told)
    save(
        "joins",
        {
            "true clip, frames 8 to 16": frames[8 : 8 + COLUMNS],
            "bridge: two frames, the gap of 6, one frame": bridge[8:17],
            "retake 8 14: one frame, 6 made anew, two frames": retake[7:16],
        },
    )


def loops(work: Path) -> None:
    truth = make_loop(HELD_OUT_SEED + 60_001)
    frames = [Image.fromarray(frame) for frame in truth.frames]
    Clip(frames[:18], truth.fps).save(work / "round", overwrite=True)
    frames[0].save(work / "round.png")
    told = ["--model", "pocket-2", "--steps", "6", "--set", "renoise_steps=0", "--set", f"fps={truth.fps}"]
    loop = command(work, "loop/", "loop", "round", "--frames", "26", *told)
    one = command(work, "picture/", "loop", "round.png", "--frames", "20", *told)
    rows = {"true clip, whose last frame is its first": frames, "loop of its first 18 frames: 8 more": [*loop, loop[0]]}
    save("loops", rows | {"loop of one picture": [*one, one[0]]})


def regions_and_drafts(work: Path) -> None:
    frames, told = draw(work, "dart", 27, 1.0)
    mask = np.zeros((64, 64), np.uint8)
    mask[:26] = 255
    Image.fromarray(mask).save(work / "top.png")
    ends = ["run", "dart_0.png", "dart_26.png", "--frames", "14"]
    command_of_masks = [*ends, "--still", "top.png", "--show-masks", "seen.png", "-o", "unused.mp4", *told]
    app(command_of_masks, standalone_mode=False)
    still = command(work, "still/", *ends, "--still", "top.png", *told)
    free = command(work, "free/", *ends, *told)
    seen = Image.open(work / "seen.png").convert("RGB")
    save("still", {"--show-masks": [seen] * 2, "without": free, "--still top.png": still})
    chosen = np.round((np.arange(14) / 13) ** 2 * 26).astype(int)
    draft = [frames[number].resize((16, 16)).resize((64, 64)) for number in chosen]
    Clip(draft, 7).save(work / "rough", overwrite=True)
    rows = {"the draft: a slow start, coarse": draft}
    for strength in ("0.3", "0.6"):
        words = ["--draft", "rough", "--draft-strength", strength]
        rows[f"--draft-strength {strength}"] = command(work, f"draft_{strength[-1]}/", *ends, *words, *told)
    save("draft", rows | {"without": free})


if __name__ == "__main__":
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)  # the commands name files as the page does
    for make in (joins, loops, sequences, regions_and_drafts):
        make(folder)
