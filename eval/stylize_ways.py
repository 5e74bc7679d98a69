"""The painter, the clips and the ways that eval/stylize_report.py compares.

The "painter" is a program, so that every frame's painting is known: an edge-preserving filter, turned and flattened
colours, dark outlines, and hatching in the shadows. What a network drew is kept in outputs/stylize_report, with how its
error fell, so that measures can change without learning again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gen_inbetween.data.synthetic import HELD_OUT_SEED
from gen_inbetween.data.worlds import make_world_clip
from gen_inbetween.evaluation.pairs.packages import CLIPS
from gen_inbetween.media.video import open_source
from gen_inbetween.runtime.files import replaced
from gen_inbetween.stylize.carrying import carry_keys, mixed
from gen_inbetween.stylize.examples import Example
from gen_inbetween.stylize.guides import filter_in_time, flow_between
from gen_inbetween.stylize.settings import StyleSettings
from gen_inbetween.stylize.stylize import stylize

FRAMES, SIZE, WIDTH = 24, 96, 192
KEY = 8
ENDS = (0, FRAMES - 1)  # the keys where there are two
OFFSET = 60_000  # from the first held-out seed: clips of other reports lie below
FILMS = (("park", 60), ("balance-cam01", 50), ("city", 20), ("bunny", 20), ("balance-cam03", 0), ("city", 130))
REACH = StyleSettings().carry  # frames
DRAWN = Path("outputs/stylize_report")

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
    """A world of that number, FRAMES frames of SIZE pixels."""
    return make_world_clip(HELD_OUT_SEED + OFFSET + number, num_frames=FRAMES, size=SIZE).frames


def film(root: Path, label: str, start: int) -> Frames:
    """FRAMES frames of a clip of a package from `start` on, WIDTH pixels wide; of 60 frames a second every other."""
    clip = next(clip for clip in CLIPS if clip.label == label)
    stop = start + FRAMES * clip.stride
    picked = [
        frame
        for number, frame in zip(range(stop), open_source(root / clip.path).frames(), strict=False)
        if number >= start and (number - start) % clip.stride == 0
    ]
    height = round(picked[0].height * WIDTH / picked[0].width)
    return np.stack([np.asarray(frame.resize((WIDTH, height), Image.Resampling.LANCZOS)) for frame in picked])


def by_flow(frames: Frames, painting: NDArray[np.uint8], key: int = KEY) -> Frames:
    """A painted frame, carried: each frame looks its place up along the chain of flows to the keyframe."""
    height, width = painting.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float32)
    drawn = {key: painting}
    for order in (range(key + 1, len(frames)), range(key - 1, -1, -1)):
        place = grid
        for number in order:
            nearer = number - 1 if number > key else number + 1
            back = grid + flow_between(frames[number], frames[nearer])
            place = cv2.remap(place, back, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            drawn[number] = cv2.remap(painting, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.stack([drawn[number] for number in range(len(frames))])


def learnt(frames: Frames, keys: tuple[int, ...], steps: int, changes: Row, place: Path) -> tuple[Frames, Row]:
    """What a network drew that learnt from the painted `keys`, and how its error fell; kept in `place`."""
    if not place.exists():
        settings = replace(StyleSettings(minutes=600, steps=steps, patience=10_000), **changes)
        looks: list[Row] = []
        began = time.process_time()

        def note(look: Any, _: Any) -> None:
            looks.append(asdict(look) | {"core_seconds": time.process_time() - began})

        painted = {number: Image.fromarray(paint(frames[number])) for number in keys}
        pictures = [Image.fromarray(frame) for frame in frames]
        clip = stylize(pictures, painted, settings=settings, progress=False, on_look=note)
        told = {"looks": looks, "core_seconds": time.process_time() - began, **clip.manifest["style"]}
        place.parent.mkdir(parents=True, exist_ok=True)
        with replaced(place) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, drawn=np.stack([np.asarray(frame) for frame in clip]), told=json.dumps(told))
    with np.load(place) as kept:
        return kept["drawn"], json.loads(str(kept["told"]))


ALONE = {"carry": 0}  # `CARRIED` mixes the paintings in afterwards
PLAIN = {"guides": False, "temporal_radius": 0} | ALONE
LEARNT: dict[str, tuple[tuple[int, ...], Row]] = {
    "network": ((KEY,), PLAIN),
    "guided": ((KEY,), ALONE),
    "two keys": (ENDS, ALONE),
}
CARRIED = {"carried": "guided", "two keys, carried": "two keys"}  # ways, and the learnt ones that they begin with
WAYS = ("flow", "network", "guided", "carried", "two keys", "two keys, carried")


def sources(worlds: int, films: Path | None) -> dict[str, Callable[[], Frames]]:
    """The clips by name, worlds and films by turns."""
    drawn = [(f"synthetic {number}", lambda number=number: synthetic(number)) for number in range(worlds)]
    shot = [
        (f"film {label} {start}", lambda label=label, start=start: film(films, label, start))
        for label, start in (FILMS if films is not None else ())
    ]
    mixed = [pair for pairs in zip(drawn, shot, strict=False) for pair in pairs]
    return dict([*mixed, *drawn[len(shot) :], *shot[len(drawn) :]])


def keys_of(way: str) -> tuple[int, ...]:
    """The painted frames that a way is given."""
    return LEARNT.get(CARRIED.get(way, way), ((KEY,), {}))[0]


def mixed_in(frames: Frames, drawn: Frames, keys: tuple[int, ...]) -> Frames:
    """What a network drew, with the painted `keys` mixed in as `carry` does."""
    told = StyleSettings()
    seen = list(filter_in_time(frames, told.temporal_radius, told.temporal_sigma, told.colour_sigma))
    whole = np.ones(frames.shape[1:3], bool)
    examples = [Example(key, seen[key], None, paint(frames[key]), whole) for key in keys]
    chains = carry_keys(frames, keys, REACH, flow_between)
    parts = enumerate(zip(drawn, seen, strict=True))
    return np.stack([mixed(one, frame, n, chains.get(n, ()), examples, REACH) for n, (one, frame) in parts])


def draw(name: str, frames: Frames, way: str, steps: int) -> tuple[Frames, Row]:
    """The clip by one way, and what is told of it."""
    if way in CARRIED:
        drawn, _ = draw(name, frames, CARRIED[way], steps)
        return mixed_in(frames, drawn, keys_of(way)), {}
    if way in LEARNT:
        keys, changes = LEARNT[way]
        return learnt(frames, keys, steps, changes, DRAWN / f"{name} {way} {steps}.npz")
    return by_flow(frames, paint(frames[KEY])), {}
