"""Clicks with the true masks of what was clicked on, as JSON lines.

A row names its picture and its truth:

    {"id": ..., "kind": "world", "seed": 1, "size": 320, "object": 0, "click": [x, y]}       drawn: exact truth
    {"id": ..., "kind": "plain", ...}                                                       of the plain world
    {"id": ..., "kind": "collage", "seed": 1, "size": 320, "object": 0, "click": [x, y]}     pieces of photographs
    {"id": ..., "kind": "photograph", "picture": "skimage/coffee.png", "polygon": [[x, y], ...], "click": [x, y]}

A photograph is one that an installed package carries; its polygon, in the coordinates of its pixels, was set by hand,
as was an "ellipse" [x, y, radius, radius]; "without" names the rows whose masks lie on top. Of a row without a truth
the click is on the background.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gen_inbetween.data.synthetic import SyntheticClip, make_clip
from gen_inbetween.data.worlds import make_world_clip
from gen_inbetween.interpolation.dis_flow import opencv
from gen_inbetween.runtime.lists import lines_of

Row = dict[str, Any]
Pixels = NDArray[np.uint8]
Bool = NDArray[np.bool_]

FOLDERS = {  # where packages keep their photographs
    "skimage": ("skimage", "data"),
    "matplotlib": ("matplotlib", "mpl-data/sample_data"),
    "gradio": ("gradio", "media_assets/images"),
}
BACKDROPS = ("skimage/chelsea.png", "skimage/coffee.png", "skimage/rocket.jpg", "skimage/gravel.png")  # behind worlds
LEAST = 0.006  # of the picture: what is smaller, or hidden, is not clicked on
DEEP = 0.4  # of the greatest distance to the outline: people click well inside


def read_clicks(path: str | Path) -> list[Row]:
    """The rows of a list."""
    return [json.loads(line) for line in lines_of(Path(path).read_text(encoding="utf-8")) if line.strip()]


def photograph_path(name: str) -> Path | None:
    """Where "package/file" is on this machine; None: the package is not installed."""
    package, file = name.split("/", 1)
    module, folder = FOLDERS[package]
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / folder / file
    return path if path.is_file() else None


def picture_of(row: Mapping[str, Any]) -> Pixels | None:
    """The picture (H, W, 3) of a row; None: of a package that is not installed."""
    if row["kind"] == "photograph":
        path = photograph_path(row["picture"])
        return None if path is None else np.asarray(Image.open(path).convert("RGB"))
    return _drawn(row)[0]


def truth_of(row: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> Bool | None:
    """The true mask (H, W) of what was clicked on; None: the background was. `rows`: where "without" looks."""
    if row["kind"] == "photograph":
        if not {"polygon", "ellipse"} & row.keys():
            return None
        picture = picture_of(row)
        if picture is None:
            raise FileNotFoundError(f"{row['picture']}: the package is not installed")
        mask = _outlined(row, picture.shape[:2])
        for other in rows:
            if other["id"] in row.get("without", ()):
                mask &= ~_outlined(other, picture.shape[:2])
        return mask
    if row["object"] is None:
        return None
    return _drawn(row)[1][row["object"]]


def _drawn(row: Mapping[str, Any]) -> tuple[Pixels, Bool]:
    """The picture (S, S, 3) of a row that is drawn, and the masks (K, S, S) of its things."""
    backdrops = tuple(row.get("backdrops", BACKDROPS))
    if row["kind"] == "collage":
        return draw_collage(row["seed"], row["size"], textures(backdrops))
    clip = drawn(row["kind"], row["seed"], row["size"], backdrops)
    return clip.frames[0], clip.masks[0]


def _outlined(row: Mapping[str, Any], shape: tuple[int, ...]) -> Bool:
    cv2 = opencv()
    mask = np.zeros(shape, np.uint8)
    if "ellipse" in row:
        x, y, across, up = row["ellipse"]
        cv2.ellipse(mask, ((x, y), (2 * across, 2 * up), 0), 1, -1)
    else:
        cv2.fillPoly(mask, [np.array(row["polygon"], np.int32)], 1)
    return mask > 0


@lru_cache(2)
def drawn(kind: str, seed: int, size: int, backdrops: tuple[str, ...], num_frames: int = 2) -> SyntheticClip:
    """A synthetic clip before photographs that are on this machine; ImportError: one is not."""
    if kind == "plain":
        return make_clip(seed, num_frames=num_frames, size=size, textures=textures(backdrops))
    return make_world_clip(seed, num_frames=num_frames, size=size, textures=textures(backdrops), photograph=False)


@lru_cache(2)
def textures(names: tuple[str, ...]) -> tuple[Pixels, ...]:
    """The photographs of these names; ImportError: one is not on this machine."""
    paths = [photograph_path(name) for name in names]
    if None in paths:
        raise ImportError("the photographs behind the worlds come with packages: pip install gen_inbetween[dev]")
    return tuple(np.asarray(Image.open(path).convert("RGB")) for path in paths if path)


def draw_collage(seed: int, size: int, photographs: Sequence[Pixels]) -> tuple[Pixels, Bool]:
    """A thing of one or two pieces of photographs before another: the picture (S, S, 3), its mask (1, S, S)."""
    rng = np.random.default_rng(seed)
    behind, *pieces = (photographs[k] for k in rng.permutation(len(photographs))[:3])
    canvas = _piece(rng, behind, size)
    y, x = np.mgrid[:size, :size]
    centre, radius = rng.uniform(0.25, 0.75, 2) * size, rng.uniform(0.08, 0.3) * size
    angle = np.arctan2(y - centre[1], x - centre[0])
    waves = zip((2, 3, 5), rng.uniform(0, [0.35, 0.2, 0.12]), rng.uniform(0, 2 * np.pi, 3), strict=True)
    edge = radius * (1 + sum(height * np.cos(k * angle + phase) for k, height, phase in waves))
    mask = np.hypot(x - centre[0], y - centre[1]) < edge
    turn = rng.uniform(0, np.pi)
    half = np.cos(turn) * (x - centre[0]) + np.sin(turn) * (y - centre[1]) > rng.uniform(-0.5, 0.5) * radius
    thing = _piece(rng, pieces[0], size)
    if rng.random() < 0.5:
        thing[half] = _piece(rng, pieces[1], size)[half]
    cover = opencv().GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)[..., None]
    return (canvas + cover * (thing - canvas)).round().astype(np.uint8), mask[None]


def _piece(rng: np.random.Generator, photograph: Pixels, size: int) -> NDArray[np.float32]:
    """A square of a photograph, in another light."""
    side = int(min(photograph.shape[:2]) * rng.uniform(0.5, 1))
    top, left = (int(rng.integers(0, extent - side + 1)) for extent in photograph.shape[:2])
    square = opencv().resize(photograph[top : top + side, left : left + side], (size, size))
    light = rng.uniform(0.7, 1.15, 3) * rng.uniform(0.7, 1.1)
    return np.clip(square * light, 0, 255).astype(np.float32)


def draw_clicks(
    kind: str, seeds: Iterable[int], sizes: Sequence[int], backdrops: Sequence[str] = BACKDROPS
) -> list[Row]:
    """A row for each thing that can be seen in the first frame of each clip, and one click on each background."""
    rows: list[Row] = []
    for number, seed in enumerate(seeds):
        size = sizes[number % len(sizes)]
        rng = np.random.default_rng(seed)
        named: Row = {"kind": kind, "seed": seed, "size": size}
        if tuple(backdrops) != BACKDROPS:
            named["backdrops"] = list(backdrops)
        _, masks = _drawn(named)
        for thing, mask in enumerate(masks):
            if mask.mean() >= LEAST:
                row = named | {"object": thing, "click": _click_inside(mask, rng)}
                rows.append({"id": f"{kind}-{seed}-{thing}", **row})
        free = np.asarray(~masks.any(0))
        if number % 3 == 0:
            rows.append({"id": f"{kind}-{seed}-off", **named, "object": None, "click": _click_inside(free, rng)})
    return rows


def _click_inside(mask: Bool, rng: np.random.Generator) -> list[int]:
    distance = opencv().distanceTransform(np.pad(mask, 1).astype(np.uint8), 2, 5)[1:-1, 1:-1]
    y, x = np.nonzero(distance >= DEEP * distance.max())
    chosen = int(rng.integers(len(x)))
    return [int(x[chosen]), int(y[chosen])]
