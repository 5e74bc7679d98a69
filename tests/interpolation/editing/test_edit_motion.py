"""Masks and curves to path-distance maps, and what an edited pair then shows where."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gen_inbetween.interpolation import (
    FrameInterpolator,
    InterpolatorError,
    InterpolatorInfo,
    interpolate_pair,
    load_interpolator,
)
from gen_inbetween.interpolation.editing.edit_motion import edit_motion
from gen_inbetween.interpolation.editing.index_maps import FEATHER, feathered_layers, index_map, layer_positions
from gen_inbetween.interpolation.editing.masks import MaskError, open_masks
from gen_inbetween.interpolation.networks.adapter import NetworkInterpolator
from gen_inbetween.interpolation.networks.ifnet import IFNet
from gen_inbetween.interpolation.pairs import frame_tensor, tensor_frame
from gen_inbetween.interpolation.retiming.curves import CurveError, parse_curve
from gen_inbetween.interpolation.warping import splat

SIZE = (80, 64)  # width, height


def texture(seed: int, height: int, width: int, smooth: int = 4) -> np.ndarray:
    """Noise as coarse as `smooth` pixels, uint8 (H, W, 3)."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (height // smooth + 1, width // smooth + 1, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)).copy()


def scene(*objects: tuple[int, int]) -> np.ndarray:
    """A dim still background with squares of 16 pixels at (left, top): the first red, the second green."""
    picture = texture(9, SIZE[1], SIZE[0]) // 4
    for number, (left, top) in enumerate(objects):
        patch = texture(number, 16, 16)
        patch[..., number] = 255
        patch[..., 1 - number] //= 4
        picture[top : top + 16, left : left + 16] = patch
    return picture


def square(left: int, top: int) -> np.ndarray:
    mask = np.zeros(SIZE[::-1], bool)
    mask[top : top + 16, left : left + 16] = True
    return mask


def left_of(frame: Image.Image, channel: int) -> float:
    """Where the square of this colour begins, in pixels: the middle of its rows' lit pixels, less half its side."""
    pixels = np.asarray(frame).astype(int)
    lit = (pixels[..., channel] > 160) & (pixels[..., 1 - channel] < 90)
    middles = [float(np.median(np.flatnonzero(row))) for row in lit if row.any()]
    return float(np.median(middles)) - 7.5


def index_maps(masks: np.ndarray, curves: list, background: str, num_frames: int, feather: int = FEATHER) -> Tensor:
    """The maps (num_frames, 1, H, W) of a clip, as `edit_motion` works them out one by one."""
    layers, times = feathered_layers(masks, feather), torch.linspace(0, 1, num_frames, dtype=torch.float64)
    return torch.stack([index_map(layers, at) for at in layer_positions(curves, background, times, len(masks))])


def tiny_network(channels: int, kind: str) -> NetworkInterpolator:
    torch.manual_seed(0)
    network = IFNet(channels, widths=(8, 8, 4), depth=1, context_width=2).eval()
    info = InterpolatorInfo("tiny", "IFNet", "tiny", kind, network.multiple, "none")  # type: ignore[arg-type]
    return NetworkInterpolator(network, info, torch.device("cpu"))


class KnownMotion(FrameInterpolator):
    """Carries every pixel of the first frame as far as the map says along a motion that is given, objects on top."""

    device = torch.device("cpu")
    info = InterpolatorInfo("known", "known", "", "index", 1, "none")

    def __init__(self, *moves: tuple[np.ndarray, int]) -> None:
        self.flow, self.weight = torch.zeros(1, 2, *SIZE[::-1]), torch.ones(1, 1, *SIZE[::-1])
        for mask, by in moves:
            self.flow[:, 0, mask], self.weight[:, 0, mask] = by, 1e4

    def __call__(self, a, b, t, *, ref=None, iters=1):
        sums = splat(a, t * self.flow, self.weight)
        return (sums[:, :3] / sums[:, 3:].clamp(min=1e-6)).clamp(0, 1)

    def flows(self, a, b, t):
        raise AssertionError("not asked for")


def test_each_object_is_where_its_curve_says():
    masks = [square(8, 8), square(56, 40)]
    network = KnownMotion((masks[0], 8), (masks[1], -10))
    pair = scene((8, 8), (56, 40)), scene((16, 8), (46, 40))
    curves = ["0:0,0.5:0.8,1:1", "hold-start"]
    clip = edit_motion(*pair, masks, curves, num_frames=9, interpolator=network, feather=1)
    ahead, waiting = (parse_curve(curve) for curve in curves)
    for step in range(1, 8):
        assert left_of(clip[step], 0) == pytest.approx(8 + 8 * float(ahead(step / 8)), abs=0.51)
        assert left_of(clip[step], 1) == pytest.approx(56 - 10 * float(waiting(step / 8)), abs=0.51)


def test_the_classical_flow_takes_the_map_to_where_things_are_by_then():
    first, last = scene((8, 8)), scene((16, 8))
    early, late = (
        edit_motion(first, last, [square(8, 8)], [curve], num_frames=3, interpolator="dis", feather=1)[1]
        for curve in ("0:0,0.5:0.2,1:1", "0:0,0.5:0.8,1:1")
    )
    assert left_of(late, 0) - left_of(early, 0) > 2  # 4.8 were its motion and what it uncovers known exactly


def test_one_mask_over_everything_is_a_time():
    first, last = scene((8, 8)), scene((16, 8))
    plain = interpolate_pair(first, last, 5, load_interpolator("dis"))
    edited = edit_motion(first, last, [np.ones(SIZE[::-1])], ["linear"], num_frames=5, interpolator="dis")
    unmasked = edit_motion(first, last, [], [], num_frames=5, interpolator="dis")
    for frames in (edited, unmasked):
        assert [np.asarray(a).tolist() for a in frames] == [np.asarray(a).tolist() for a in plain]


def test_the_background_moves_by_its_own_curve_and_holds_when_told():
    first = texture(3, SIZE[1], SIZE[0])
    last = np.roll(first, 6, axis=1)
    held = edit_motion(
        first, last, [square(30, 20)], ["linear"], background="0:0,1:0", num_frames=3, interpolator="dis"
    )
    moved = edit_motion(first, last, [square(30, 20)], ["linear"], num_frames=3, interpolator="dis")
    corner = np.s_[44:, 30:]
    half_way = np.roll(first, 3, axis=1)[corner].astype(int)
    assert np.abs(np.asarray(held[1])[corner].astype(int) - first[corner]).mean() < 1
    assert np.abs(np.asarray(moved[1])[corner].astype(int) - half_way).mean() < 8
    assert np.abs(first[corner].astype(int) - half_way).mean() > 30


def test_a_reference_network_takes_two_steps_unless_told():
    first, last = scene((8, 8)), scene((16, 8))
    network = tiny_network(5, "index+ref")
    clip = edit_motion(first, last, [square(8, 8)], ["ease-in"], num_frames=3, interpolator=network)
    a, b = (frame_tensor(Image.fromarray(frame), network.device) for frame in (first, last))
    index = index_maps(open_masks([square(8, 8)], SIZE), ["ease-in"], "linear", 3)[1:2]
    for iters, same in ((2, True), (1, False)):
        expected = tensor_frame(network(a, b, index, iters=iters))
        assert (np.asarray(expected).tolist() == np.asarray(clip[1]).tolist()) is same
    assert clip.manifest["settings"]["iters"] == 2
    once = edit_motion(first, last, [], [], num_frames=3, interpolator=tiny_network(1, "index"))
    assert once.manifest["settings"]["iters"] == 1


@pytest.mark.parametrize(("channels", "kind"), [(0, "midpoint"), (1, "time"), (5, "time+ref")])
def test_what_takes_no_map_is_refused_and_told_what_does(channels, kind):
    network = tiny_network(channels, kind)
    with pytest.raises(InterpolatorError, match=f"tiny is of kind '{re.escape(kind)}'.*tiny-di, rife-dr, dis"):
        edit_motion(scene((8, 8)), scene((16, 8)), [square(8, 8)], ["linear"], interpolator=network)


def test_ends_are_the_given_frames_where_all_curves_get_there():
    first, last = scene((8, 8)), scene((16, 8))
    clip = edit_motion(first, last, [square(8, 8)], ["there-and-back"], num_frames=3, interpolator="dis")
    assert np.asarray(clip[0]).tolist() == first.tolist()
    assert np.asarray(clip[2]).tolist() != last.tolist()  # the object is back, the background has gone on
    closed = edit_motion(first, last, [], [], background="there-and-back", num_frames=3, interpolator="dis")
    assert np.asarray(closed[1]).tolist() == last.tolist() and np.asarray(closed[2]).tolist() == first.tolist()


def test_the_manifest_says_what_was_edited(tmp_path):
    arguments = (scene((8, 8)), scene((16, 8)), [square(8, 8)], ["ease-in"])
    edit_motion(*arguments, num_frames=3, interpolator="dis", fps=12).save(tmp_path / "clip.gif")
    made = json.loads((tmp_path / "clip.gif.inbetween.json").read_text())
    assert made["interpolator"]["name"] == "dis" and made["settings"]["fps"] == 12
    assert len(made["settings"]["curves"]) == len(made["settings"]["masks"]) == 1
    assert made["settings"]["background"]["knots"] == [[0, 0], [1, 1]]


def test_curves_and_counts_that_cannot_be():
    pair = scene((8, 8)), scene((16, 8))
    with pytest.raises(MaskError, match="one curve for each mask, got 2 for 1"):
        edit_motion(*pair, [square(8, 8)], ["linear", "linear"], interpolator="dis")
    with pytest.raises(MaskError, match="list of curves"):
        edit_motion(*pair, [square(8, 8)], "linear", interpolator="dis")  # type: ignore[arg-type]
    with pytest.raises(MaskError, match="list of masks"):
        edit_motion(*pair, "mask.png", ["linear"], interpolator="dis")  # type: ignore[arg-type]
    for masks, curves, message in ((None, ["linear"], "list of masks.*None"), ([], None, "list of curves.*None")):
        with pytest.raises(MaskError, match=message):
            edit_motion(*pair, masks, curves, interpolator="dis")  # type: ignore[arg-type]
    for feather in (None, "9", 9.5, True):
        with pytest.raises(ValueError, match="feather as a whole number"):
            edit_motion(*pair, [square(8, 8)], ["linear"], feather=feather, interpolator="dis")  # type: ignore[arg-type]
    with pytest.raises(CurveError, match="ease-in"):
        edit_motion(*pair, [square(8, 8)], ["easein"], interpolator="dis")
    with pytest.raises(MaskError, match="feather"):
        edit_motion(*pair, [square(8, 8)], ["linear"], interpolator="dis", feather=4)
    with pytest.raises(MaskError, match="feather to be .* pixels at most"):
        edit_motion(*pair, [square(8, 8)], ["linear"], interpolator="dis", feather=1_000_000_001)
    with pytest.raises(InterpolatorError, match="99999999999 frames of .* GB, and a clip may take 16"):
        edit_motion(*pair, [square(8, 8)], ["linear"], interpolator="dis", num_frames=99_999_999_999)
    with pytest.raises(InterpolatorError, match="one size"):
        edit_motion(pair[0], pair[1][:32], [], [], interpolator="dis")
    with pytest.raises(InterpolatorError, match="2 or more"):
        edit_motion(*pair, [], [], num_frames=1, interpolator="dis")
