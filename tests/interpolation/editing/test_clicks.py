"""Masks from clicks."""

from __future__ import annotations

import numpy as np
import pytest
from click_cases import picture

from gen_inbetween.interpolation.editing.clicks import masks_from_clicks
from gen_inbetween.interpolation.editing.mask_choice import distinct, measure, tidied
from gen_inbetween.interpolation.editing.masks import MaskError
from gen_inbetween.interpolation.editing.regions import region_masks


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("size", [(90, 120), (270, 360)])
def test_clicks_find_whole_things_at_small_and_large_sizes(size):
    image, truth = picture(*size)
    zoom = size[0] / 120
    found = masks_from_clicks(image, [(45 * zoom, 66 * zoom), (115 * zoom, 50 * zoom)])
    assert found.shape == truth.shape and found.dtype == bool
    assert [overlap(*pair) > 0.93 for pair in zip(found, truth, strict=True)] == [True, True]


def test_a_background_click_keeps_something_out():
    image, truth = picture()
    image[56:64, 67:99] = (40, 60, 200)  # a bar that joins disc and square
    both = masks_from_clicks(image, [[(45, 66), (115, 50), (85, 60)]])[0]
    alone = masks_from_clicks(image, [(115, 50)], negative=[(85, 60), (72, 60)])[0]
    assert both[60, 85] and not alone[60, 85] and overlap(alone, truth[1]) > 0.85


@pytest.mark.parametrize(
    ("clicks", "message"),
    [
        ([], "at least one click"),
        ([(200, 10)], "outside of the image of 160x120"),
        ([(-1, 10)], "outside"),
        ([(float("nan"), 10)], "outside"),
        ([(1, 2, 3)], r"expected a click as \(x, y\)"),
        ([[]], r"expected a click as \(x, y\)"),
    ],
)
def test_clicks_that_cannot_be(clicks, message):
    with pytest.raises(MaskError, match=message):
        masks_from_clicks(picture()[0], clicks)


def test_a_mask_with_a_speck_of_a_hole_at_a_negative_click_is_no_candidate():
    whole = np.zeros((60, 80), bool)
    whole[10:50, 10:70] = True
    speck, half = whole.copy(), whole.copy()
    speck[28:31, 53:56] = False
    half[:, 40:] = False
    kept = distinct([speck, half], [(20, 30)], [(54, 29)])
    assert len(kept) == 1 and (kept[0] == half).all()


def test_regions_of_a_click_and_of_a_negative_one_are_never_merged():
    image, _ = picture()
    evidence = measure(image)
    on, off = [(45, 66)], [(115, 50)]
    masks = list(region_masks(evidence.regions, evidence.distances, on, off))
    assert len(masks) > 20 and all(mask[66, 45] and not mask[50, 115] for mask in masks)


def test_clicks_give_the_same_masks_again():
    image, _ = picture()
    assert (masks_from_clicks(image, [(45, 66)]) == masks_from_clicks(image, [(45, 66)])).all()


def test_a_hole_is_filled_but_for_a_negative_click():
    ring = np.zeros((40, 40), bool)
    ring[5:35, 5:35] = True
    ring[15:25, 15:25] = False
    assert tidied(ring, [(8, 8)], [])[20, 20] and not tidied(ring, [(8, 8)], [(20, 20)])[20, 20]
    far = ring.copy()
    far[37:39, 37:39] = True
    assert not tidied(far, [(8, 8)], [])[38, 38]  # a piece that was not clicked on
