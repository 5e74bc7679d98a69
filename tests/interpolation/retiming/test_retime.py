"""Retiming a clip: exact counts, durations and frames for every way of asking, and errors for those that cannot be."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch
from PIL import Image

from gen_inbetween import Clip
from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.interpolation import InterpolatorError, InterpolatorInfo, PathCurve, load_interpolator, retime
from gen_inbetween.interpolation.networks.adapter import NetworkInterpolator
from gen_inbetween.interpolation.networks.ifnet import IFNet
from gen_inbetween.interpolation.retiming.curves import CurveError
from gen_inbetween.media.source import VideoError

BLEND = {"interpolator": "blend"}


def flat(level: float) -> Image.Image:
    return Image.new("RGB", (24, 16), (round(level),) * 3)


def ramp(count: int = 25, fps: float = 7, step: float = 10) -> Clip:
    """Frame k is flat at 10 k: its level tells when a frame is."""
    return Clip([flat(step * index) for index in range(count)], fps, {"made": "earlier"})


def levels(clip: Clip) -> list[int]:
    return [int(np.asarray(frame).max()) for frame in clip]


def times_of(clip: Clip) -> np.ndarray:
    return np.array(levels(clip)) / 10


def test_fps_keeps_the_duration_and_frame_k_is_shown_at_k_over_fps():
    for rate, fps, count in ((7, 24, 86), (7, 28, 100), (24, 50, 52), (7, 7, 25), (7, 3.5, 13), (24, 23.976, 25)):
        made = retime(ramp(fps=rate), fps=fps, **BLEND)
        assert len(made) == count and made.fps == fps
        assert abs(len(made) / fps - 25 / rate) <= 0.5 / fps + 1e-9
        np.testing.assert_allclose(times_of(made), np.minimum(np.arange(count) * rate / fps, 24), atol=0.051)


def test_num_frames_shows_both_ends_at_the_same_pace():
    made = retime(ramp(), num_frames=97, **BLEND)
    assert len(made) == 97 and made.fps == 28
    assert [levels(made)[index] for index in (0, 4, 48, 96)] == [0, 10, 120, 240]
    fewer = retime(ramp(), num_frames=9, **BLEND)
    assert levels(fewer) == [0, 30, 60, 90, 120, 150, 180, 210, 240] and fewer.fps == pytest.approx(7 / 3)
    slow = retime(ramp(), num_frames=97, fps=7, **BLEND)
    assert levels(slow) == levels(made) and slow.fps == 7
    assert retime(ramp(), num_frames=50, duration=2.5, **BLEND).fps == 20


def test_duration_stretches_or_squeezes():
    slow = retime(ramp(), fps=14, duration=100 / 7, **BLEND)
    assert len(slow) == 200 and slow.fps == 14
    np.testing.assert_allclose(times_of(slow), np.minimum(np.arange(200) / 8, 24), atol=0.051)
    fast = retime(ramp(), duration=25 / 14, **BLEND)
    assert len(fast) in (12, 13) and fast.fps == 7 and levels(fast)[:3] == [0, 20, 40]


def test_the_times_of_the_old_clip_give_the_old_clip():
    source = Clip([Image.fromarray(frame) for frame in make_clip(1, num_frames=5).frames], 8)
    for same in ({}, {"num_frames": 5}, {"fps": 8}, {"times": [0, 1, 2, 3, 4]}):
        made = retime(source, **same, **BLEND)
        assert made.fps == 8 and [frame.tobytes() for frame in made] == [frame.tobytes() for frame in source]


def test_times_may_be_any_in_any_order(caplog):
    caplog.set_level(logging.INFO, "gen_inbetween")
    made = retime(ramp(), times=[24, 0, 0, 3.5, 1.3], fps=10, **BLEND)
    assert levels(made) == [240, 0, 0, 35, 13] and made.fps == 10
    assert caplog.text.count("turn back") == 1


def test_curves_say_how_far_at_each_time(caplog):
    caplog.set_level(logging.INFO, "gen_inbetween")
    eased = retime(ramp(), num_frames=9, curve="ease-in", **BLEND)
    np.testing.assert_allclose(times_of(eased), 24 * (np.arange(9) / 8) ** 2, atol=0.06)
    knots = retime(ramp(), num_frames=5, curve="0:0,0.5:0.25,1:1", **BLEND)
    assert [levels(knots)[index] for index in (0, 2, 4)] == [0, 60, 240]
    held = retime(ramp(), fps=7, curve=PathCurve(((0, 0), (0.5, 0.5), (1, 0.5)), "linear"), **BLEND)
    assert len(held) == 25 and levels(held)[12:] == [120] * 13
    assert "turn back" not in caplog.text
    back = levels(retime(ramp(), num_frames=9, curve="there-and-back", **BLEND))
    assert back == back[::-1] and back[0] == 0 and back[4] == 240
    assert caplog.text.count("turn back") == 1


def test_a_loop_goes_on_to_its_first_frame_and_shows_it_once():
    source = ramp(5)
    made = retime(source, num_frames=20, loop=True, **BLEND)
    assert made.fps == 28
    np.testing.assert_allclose(times_of(made)[:16], np.arange(16) / 4, atol=0.051)
    assert levels(made)[16:] == [40, 30, 20, 10]
    by_rate = retime(source, fps=28, loop=True, **BLEND)
    assert levels(by_rate) == levels(made) and by_rate.fps == 28
    uneven = retime(ramp(5), fps=24, loop=True, **BLEND)  # 17.14 frames: 17, evenly round the loop
    assert len(uneven) == 17
    np.testing.assert_allclose(uneven.manifest["settings"]["positions"], np.arange(17) * 5 / 17)
    assert levels(retime(source, times=[4.5, 5], fps=7, loop=True, **BLEND)) == [20, 0]


def test_a_phase_of_a_half_shows_no_old_frame():
    made = retime(ramp(5), num_frames=8, phase=0.5, **BLEND)
    np.testing.assert_allclose(made.manifest["settings"]["positions"], (np.arange(8) + 0.5) / 2)
    np.testing.assert_allclose(times_of(made), (np.arange(8) + 0.5) / 2, atol=0.051)
    assert made.fps == 14
    by_rate = retime(ramp(5), fps=21, phase=0.5, **BLEND)
    np.testing.assert_allclose(by_rate.manifest["settings"]["positions"][:12], (np.arange(12) + 0.5) / 3)
    assert len(by_rate) == 15 and levels(by_rate)[12:] == [40, 40, 40]
    loop = retime(ramp(5), num_frames=10, loop=True, phase=0.5, **BLEND)
    np.testing.assert_allclose(loop.manifest["settings"]["positions"], (np.arange(10) + 0.5) / 2)
    assert loop.fps == 14


def test_the_seam_of_a_loop_is_no_cut_but_cuts_inside_are(caplog):
    caplog.set_level(logging.INFO, "gen_inbetween")
    source = Clip([flat(level) for level in (0, 4, 8, 12, 200, 204, 208)], 7)
    made = retime(source, num_frames=14, loop=True, **BLEND)
    assert levels(made)[6:] == [12, 200, 200, 202, 204, 206, 208, 104]
    assert "a scene begins with frame 4" in caplog.text
    assert levels(retime(source, num_frames=14, loop=True, cuts=False, **BLEND))[7] == 106


def test_repeats_are_kept_or_replaced():
    source = Clip([flat(level) for level in (0, 20, 20, 40, 40, 60)], 7)
    assert levels(retime(source, **BLEND)) == [0, 20, 20, 40, 40, 60]
    assert levels(retime(source, duplicates="replace", **BLEND)) == [0, 20, 30, 40, 50, 60]
    assert levels(retime(source, times=[1.5, 2.5], duplicates="replace", **BLEND)) == [25, 35]


def network(index_channels: int, kind: str) -> NetworkInterpolator:
    torch.manual_seed(0)
    net = IFNet(index_channels, widths=(8, 8, 4), depth=1, context_width=2).eval()
    return NetworkInterpolator(
        net, InterpolatorInfo("n", "IFNet", "tiny", kind, net.multiple, "-"), torch.device("cpu")
    )


@pytest.mark.parametrize(("channels", "kind"), [(0, "midpoint"), (5, "index+ref")])
def test_128_times_between_two_frames(channels, kind):
    source = [Image.fromarray(frame) for frame in make_clip(3, num_frames=2, size=32).frames]
    made = retime(source, num_frames=129, fps=128, interpolator=network(channels, kind))
    assert len(made) == 129
    assert made[0].tobytes() == source[0].tobytes() and made[128].tobytes() == source[1].tobytes()
    assert len({frame.tobytes() for frame in made}) == 129  # each is a frame of its own
    redrawn = retime(source, num_frames=2, fps=1, passthrough=False, interpolator=network(channels, kind))
    assert redrawn[0].tobytes() != source[0].tobytes() and redrawn[1].tobytes() != source[1].tobytes()


def test_motion_between_frames_is_where_it_should_be():
    truth = make_clip(1, num_frames=9).frames
    source = Clip([Image.fromarray(frame) for frame in truth[::2]], 7)

    def error(clip: Clip) -> float:
        return float(np.mean([(np.asarray(clip[k], float) - truth[k]).__pow__(2).mean() for k in range(1, 9, 2)]))

    flowing, blended = (retime(source, num_frames=9, interpolator=name) for name in ("dis", "blend"))
    assert error(flowing) < 0.5 * error(blended)


def test_the_manifest_says_how_the_clip_was_made_and_is_saved_beside(tmp_path):
    made = retime(ramp(3), num_frames=5, curve="ease-in", passthrough=False, **BLEND)
    made.save(tmp_path / "clip.gif")
    record = json.loads((tmp_path / "clip.gif.inbetween.json").read_text())
    assert record["settings"]["positions"] == made.manifest["settings"]["positions"] and len(record["versions"]) > 3
    assert record["source"]["manifest"] == {"made": "earlier"} and len(record["source"]["frames"]) == 3
    assert record["interpolator"]["name"] == "blend" and record["settings"]["passthrough"] is False
    again = retime(ramp(3), times=record["settings"]["positions"], passthrough=False, fps=made.fps, **BLEND)
    assert [frame.tobytes() for frame in again] == [frame.tobytes() for frame in made]


def test_what_is_open_files_and_arrays_are_taken(tmp_path):
    flat(10).save(tmp_path / "a.png")
    opened = load_interpolator("blend")
    made = retime(
        [str(tmp_path / "a.png"), np.full((16, 24, 3), 20, np.uint8)], times=[0.5], fps=7, interpolator=opened
    )
    assert levels(made) == [15]


def test_a_path_is_opened_with_its_rate_and_manifest(tmp_path):
    ramp(4).save(tmp_path / "frames.mp4")
    made = retime(tmp_path / "frames.mp4", num_frames=7, **BLEND)
    assert len(made) == 7 and made.fps == pytest.approx(2 * ramp(4).fps)
    with pytest.raises(VideoError, match="no such file"):
        retime("film.mp4", num_frames=5, **BLEND)


def test_the_best_device_is_taken_unless_one_is_named():
    assert load_interpolator("blend").device.type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert load_interpolator("blend", device="cpu").device.type == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="finds no CUDA device"):
            retime(ramp(3), num_frames=5, device="cuda", **BLEND)


def test_progress_is_shown_unless_told_otherwise(capsys):
    retime(ramp(3), num_frames=5, **BLEND)
    assert "5/5" in capsys.readouterr().err
    retime(ramp(3), num_frames=5, progress=False, **BLEND)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": 0}, "fps as a number above 0, got 0"),
        ({"duration": -1}, "duration as a number above 0"),
        ({"fps": float("nan")}, "fps as a number above 0, got nan"),
        ({"num_frames": 1}, "2 to 1000000 frames, all counted; got 1"),
        ({"num_frames": 2.5}, "got 2.5"),
        ({"fps": 1e9}, "1 to 1000000 frames"),
        ({"fps": 0.1}, "1 to 1000000 frames, all counted; got 0"),
        ({"fps": 7, "num_frames": 8, "duration": 2}, "at most two of fps, num_frames and duration"),
        ({"times": [0], "num_frames": 3}, "times say everything"),
        ({"times": [0], "duration": 3}, "times say everything"),
        ({"times": [0], "curve": "ease-in"}, "times say everything"),
        ({"times": [0], "phase": 0.5}, "times say everything"),
        ({"phase": 1}, "phase from 0 to below 1 step, got 1"),
        ({"phase": -0.1}, "phase from 0"),
        ({"times": []}, "list of numbers, got shape"),
        ({"times": [[0.0]]}, "list of numbers, got shape"),
        ({"times": [0, 10**400]}, "list of numbers, got"),
        ({"times": [0, 2.01]}, r"from 0 to 2; got 0 to 2.01"),
        ({"times": [-0.1]}, "from 0 to 2"),
        ({"times": [3.1], "loop": True}, "from 0 to 3"),
        ({"times": [float("nan")]}, "got nan"),
        ({"duplicates": "drop"}, "keep or replace, got 'drop'"),
        ({"iters": 2}, "leave ref and iters alone"),
        ({"iters": 0}, "iters to be 1 or more"),
        ({"curve": "ease-inn"}, "did you mean 'ease-in'"),
        ({"interpolator": "blendd"}, "no interpolator or file 'blendd'"),
    ],
)
def test_wrong_arguments_are_refused(options, message):
    with pytest.raises((InterpolatorError, CurveError), match=message):
        retime(ramp(3), **{**BLEND, **options})


@pytest.mark.parametrize("name", ["loop", "cuts", "passthrough"])
def test_a_word_is_no_switch(name):
    with pytest.raises(ValueError, match=f"expected {name} as True or False, got 'no'"):
        retime(ramp(3), **BLEND, **{name: "no"})  # which Python takes for true


def test_frames_that_cannot_be_retimed_are_refused():
    for frames, message in (
        ([], "two frames or more.*got 0"),
        ([flat(1)], "two frames or more.*got 1"),
        ([flat(1), Image.new("RGB", (32, 16))], "frame 1 is 32 x 16, the ones before 24 x 16"),
        ([Image.new("RGB", (8, 8))] * 2, "at least 16 x 16 pixels, got 8 x 8"),
    ):
        with pytest.raises(InterpolatorError, match=message):
            retime(frames, num_frames=5, fps=7, **BLEND)
    for options in ({"fps": 7}, {"num_frames": 5}, {"times": [0.5]}, {"duration": 2}, {}):
        with pytest.raises(InterpolatorError, match="frames in a list have no rate"):
            retime([flat(1), flat(2)], **options, **BLEND)
