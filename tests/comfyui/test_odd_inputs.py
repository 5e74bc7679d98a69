"""What other nodes hand on that is none of what a node wants: an error in one line, or a result, never a raw one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from cases import picture


def image(*seeds: int, size=(64, 64)) -> torch.Tensor:
    """An IMAGE of drawn pictures."""
    return torch.from_numpy(np.stack([np.asarray(picture(seed, size), np.float32) / 255 for seed in seeds]))


def mask(*size: int) -> torch.Tensor:
    """A MASK with a thing in its middle."""
    painted = torch.zeros(size)
    painted[..., size[-2] // 4 : size[-2] // 2, size[-1] // 4 : size[-1] // 2] = 1
    return painted


PAIR = image(1, 2)
INTERPOLATE, EDIT, REPORT = "GenInbetweenInterpolate", "GenInbetweenEditMotion", "GenInbetweenReport"
BLEND = {"interpolator": "blend"}
NOTHING = torch.zeros(0, 64, 64, 3)

REFUSED = [
    (INTERPOLATE, {"images": NOTHING, **BLEND}, "one picture or more"),
    (INTERPOLATE, {"images": PAIR[0], **BLEND}, "batch, height, width"),
    (INTERPOLATE, {"images": PAIR[:1], **BLEND}, "two"),
    (INTERPOLATE, {"images": PAIR[..., :2], **BLEND}, "channels"),
    (INTERPOLATE, {"images": PAIR * math.nan, **BLEND}, "NaN"),
    (INTERPOLATE, {"images": PAIR[:, :0], **BLEND}, "empty|pixel"),
    (INTERPOLATE, {"images": PAIR, **BLEND, "source_fps": 0.0}, "fps"),
    (INTERPOLATE, {"images": PAIR, **BLEND, "source_fps": math.nan}, "fps"),
    (INTERPOLATE, {"images": PAIR, **BLEND, "curve": "../../etc/passwd"}, "no curve"),
    (INTERPOLATE, {"images": PAIR, **BLEND, "curve": ""}, "curve"),
    (INTERPOLATE, {"images": PAIR, **BLEND, "target": "times", "target.times": ""}, "numbers by commas"),
    (INTERPOLATE, {"images": PAIR, **BLEND, "target": "times", "target.times": "0, nan"}, "time"),
    (INTERPOLATE, {"images": PAIR, **BLEND, "target": "times", "target.times": "0, 7"}, "time"),
    (INTERPOLATE, {"images": PAIR, **BLEND, "target": "fps", "target.fps": math.inf}, "fps|number"),
    (EDIT, {"images": PAIR, **BLEND, "masks.mask0": mask(1, 32, 32)}, "32"),
    (EDIT, {"images": PAIR, **BLEND, "masks.mask0": torch.zeros(0, 64, 64)}, "MASK"),
    (EDIT, {"images": PAIR, **BLEND, "masks.mask0": torch.full((1, 64, 64), math.nan)}, "mask 1"),
    (EDIT, {"images": PAIR, **BLEND, "masks.mask0": mask(1, 64, 64), "curves": ""}, "curve"),
    (EDIT, {"images": PAIR, **BLEND, "masks.mask0": mask(1, 64, 64), "curves": "linear\nlinear"}, "curve"),
    (EDIT, {"images": PAIR[:1], **BLEND, "masks.mask0": mask(1, 64, 64)}, "two|frames"),
    (EDIT, {"images": NOTHING, **BLEND, "masks.mask0": mask(1, 64, 64)}, "one picture or more"),
    (REPORT, {"images": NOTHING}, "one picture or more"),
    (REPORT, {"images": image(1, 2, 3, size=(8, 8))}, "at least 16 x 16 pixels"),
    (REPORT, {"images": image(1, 2, 3), "keyframes": NOTHING}, "one picture or more"),
    ("GenInbetweenLoop", {"images": NOTHING}, "one picture or more"),
    ("GenInbetweenLoop", {"images": PAIR, "context": 24}, "context|frames"),
    ("GenInbetweenBridge", {"clip_a": PAIR, "clip_b": NOTHING}, "one picture or more"),
    ("GenInbetweenBridge", {"clip_a": PAIR, "clip_b": image(3, 4, size=(32, 48))}, "size|32"),
    ("GenInbetweenStylise", {"images": PAIR, "keys.key0": NOTHING, "numbers": "0"}, "one picture or more"),
    ("GenInbetweenStylise", {"images": PAIR, "keys.key0": PAIR[:1], "numbers": "9"}, "9"),
    ("GenInbetweenStylise", {"images": PAIR, "keys.key0": PAIR, "numbers": "1, 1"}, "another frame"),
]


@pytest.mark.parametrize(("node", "live", "said"), REFUSED)
def test_what_cannot_be_is_refused_in_one_line(node, live, said, execute):
    with pytest.raises(ValueError, match=said) as error:
        execute(node, linked=True, **live)
    assert "\n" not in str(error.value).strip()


@pytest.mark.parametrize(
    ("node", "live", "count"),
    [
        (INTERPOLATE, {"images": image(1, 2, size=(17, 33))}, 3),
        (INTERPOLATE, {"images": PAIR[..., :1]}, 3),  # grey
        (INTERPOLATE, {"images": PAIR * 1.02 - 0.01}, 3),  # a little outside of [0, 1]
        (INTERPOLATE, {"images": PAIR.half()}, 3),
        (INTERPOLATE, {"images": PAIR.double()}, 3),
        (INTERPOLATE, {"images": PAIR.expand(2, 64, 64, 3).flip(2)}, 3),  # no contiguous memory
        (EDIT, {"images": PAIR, "masks.mask0": mask(64, 64), "num_frames": 3}, 3),
        (EDIT, {"images": PAIR, "masks.mask0": mask(5, 64, 64), "num_frames": 3}, 3),  # of a batch the first
        (EDIT, {"images": PAIR, "masks.mask0": mask(1, 1, 64, 64), "num_frames": 3}, 3),
    ],
)
def test_what_can_be_is_taken(node, live, count, execute):
    frames, *_ = execute(node, linked=True, **BLEND, **live)
    assert len(frames) == count and frames.isfinite().all() and frames.shape[-1] == 3


def test_a_rate_that_no_video_has_is_refused_before_frames_are_drawn(execute, monkeypatch):
    monkeypatch.setattr("gen_inbetween.interpolation.retiming.retime.retime", lambda *_, **__: pytest.fail("drawn"))
    multiply, count = {"target": "multiply", "target.factor": 128}, {"target": "count", "target.num_frames": 9999}
    for live in ({"source_fps": 1000.0, **multiply}, {"source_fps": 7.0, **count}):
        with pytest.raises(ValueError, match="fps is between 0.1 and 1000"):
            execute(INTERPOLATE, images=PAIR, **BLEND, **live)


def test_the_largest_seed_of_a_node_is_one(execute):
    painted = {"keys.key0": PAIR[:1], "numbers": "0"}
    frames, *_ = execute("GenInbetweenStylise", images=PAIR, steps=1, seed=2**63 - 1, **painted)
    assert frames.shape == PAIR.shape


def test_what_a_transparent_picture_hides_does_not_show_in_a_video(execute):
    clear = torch.cat([torch.zeros(2, 64, 64, 4)])
    clear[:, :, 40:, 3] = 1
    _, video, *_ = execute(INTERPOLATE, images=clear, **BLEND)
    assert (video.get_components().images[:, :, :30] == 1).all()
