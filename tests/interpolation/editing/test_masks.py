"""Masks of every make."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from gen_inbetween.interpolation.editing.masks import MaskError, mask_notices, open_masks, uncovered

SIZE = (80, 64)  # width, height


def square(left: int, top: int) -> np.ndarray:
    mask = np.zeros(SIZE[::-1], bool)
    mask[top : top + 16, left : left + 16] = True
    return mask


@pytest.mark.parametrize(
    "change",
    [
        lambda mask, folder: mask.astype(np.uint8) * 255,
        lambda mask, folder: mask.astype(np.int64),
        lambda mask, folder: mask.astype(np.float32)[..., None],
        lambda mask, folder: torch.from_numpy(mask)[None],
        lambda mask, folder: Image.fromarray(mask),
        lambda mask, folder: Image.fromarray(np.stack([mask * np.uint8(128), mask * 0, mask * 0], 2).astype(np.uint8)),
        lambda mask, folder: saved(Image.fromarray(mask), folder),
        lambda mask, folder: saved(Image.fromarray(np.stack([mask * np.uint8(255)] * 4, 2)), folder),
    ],
)
def test_masks_of_every_make_are_the_same_mask(change, tmp_path):
    assert open_masks([change(square(8, 8), tmp_path)], SIZE).tolist() == [square(8, 8).tolist()]


def saved(image: Image.Image, folder) -> str:
    image.save(folder / "mask.png")
    return str(folder / "mask.png")


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((64, 64)), "mask 1 is 64x64, the frame 80x64"),
        (np.zeros((64, 80)), "mask 1 is empty"),
        (np.full((64, 80), np.nan), "NaN"),
        (-np.ones((64, 80)), "negative"),
        (np.ones((64, 80, 3)), "expected an array"),
        ("nowhere.png", "mask 1: no such file"),
    ],
)
def test_masks_that_cannot_be(mask, message):
    with pytest.raises(MaskError, match=message):
        open_masks([mask], SIZE)


def test_what_is_listed_first_is_on_top():
    under, over = square(8, 8), square(16, 8)
    parts = uncovered(np.stack([over, under]))
    assert parts[0].sum() == 256 and parts[1].sum() == 128 and not (parts[0] & parts[1]).any()
    with pytest.raises(MaskError, match="mask 2 lies wholly under"):
        uncovered(np.stack([under, under]))


def boxed(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros((100, 200), bool)
    mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "clicked", "told"),
    [
        (boxed(20, 60, 30, 90), True, []),
        (boxed(20, 23, 30, 33), True, ["tiny, 0.045 %"]),
        (boxed(5, 95, 10, 190), True, ["huge, 81 %"]),
        (boxed(0, 40, 0, 50), True, ["border (left, top)"]),
        (boxed(10, 90, 198, 200), False, ["border (right)"]),
        (~boxed(20, 60, 30, 90), True, ["the background"]),
        (~boxed(20, 60, 30, 90), False, ["huge, 88 %", "border (left, right, top, bottom)"]),
        (boxed(0, 100, 0, 100), True, ["the background"]),
    ],
)
def test_what_a_person_should_look_at_is_told(mask, clicked, told):
    notices = mask_notices(mask, clicked=clicked)
    assert len(notices) == len(told) and all(part in notice for part, notice in zip(told, notices, strict=True))
