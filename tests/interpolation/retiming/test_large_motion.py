"""Pairs whose motion is too large to follow: drawn, cross-faded, held or generated, said, and the same after a kill."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from doubt_cases import JUMP, jumping, jumping_film
from film_cases import Painter

from gen_inbetween.generation.films import pair_generator
from gen_inbetween.generation.films.pair_generator import open_pair_generator
from gen_inbetween.interpolation.interpolator import InterpolatorError
from gen_inbetween.interpolation.retiming.retime import retime
from gen_inbetween.interpolation.retiming.retime_video import retime_video
from gen_inbetween.media import segments
from gen_inbetween.media.clip import Clip

OPTIONS = {"fps": 20, "interpolator": "dis-splat", "progress": False}
MIDDLE = 2 * JUMP + 1  # the frame of the output that is drawn in the jump


def shown(path):
    return np.stack([np.asarray(frame, np.int16) for frame in Clip.open(path).frames])


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return jumping_film(tmp_path_factory.mktemp("jump"))


@pytest.fixture(scope="module")
def drawn(film):
    out = film.with_name("drawn")
    retime_video(film, out, **OPTIONS)
    return shown(out)


@pytest.mark.parametrize("way", ["blend", "hold"])
def test_only_the_doubtful_pair_is_treated(film, drawn, way, caplog):
    out = film.with_name(f"{way}")
    with caplog.at_level(logging.WARNING, "gen_inbetween"):
        retime_video(film, out, large_motion=way, **OPTIONS)
    source, frames = shown(film), shown(out)
    expected = {"blend": (source[JUMP] + source[JUMP + 1]) / 2, "hold": source[JUMP + 1]}[way]
    assert np.abs(frames[MIDDLE] - expected).max() <= 1  # rounding
    others = np.arange(len(frames)) != MIDDLE
    assert np.abs(frames[others] - drawn[others]).max() == 0
    said = [record.getMessage() for record in caplog.records if "large motion" in record.getMessage()]
    assert len(said) == 1 and said[0].startswith("jump.mp4: large motion at 00:00.4-00:00.5 (0.1 of 0.9 s)")
    manifest = json.loads((film.parent / f"{way}/inbetween.json").read_text())
    assert manifest["settings"]["large_motion"] == way
    assert manifest["quality"]["spans"]["doubtful"] == [[0.4, 0.5]]
    assert manifest["quality"]["pairs"]["drawn"] == len(source) - 1


def test_pairs_in_which_no_frame_falls_are_not_measured(film):
    out = film.with_name("fewer")
    retime_video(film, out, **OPTIONS | {"fps": 10})
    quality = json.loads((film.parent / "fewer/inbetween.json").read_text())["quality"]
    assert quality["pairs"]["passed"] == len(jumping()) - 1 and quality["doubtful_seconds"] == 0


def test_generated_frames_stand_where_they_belong_and_between_them_it_is_drawn(film, drawn):
    painter = Painter()
    out = film.with_name("painted")
    retime_video(film, out, large_motion="generate", generator=painter, **OPTIONS | {"fps": 80, "scale": 1})
    frames = shown(out)
    assert painter.calls == 1
    levels = frames[8 * JUMP + 1 : 8 * JUMP + 8].mean((1, 2, 3))
    assert np.abs(levels[[1, 3, 5]] - [40, 80, 120]).max() < 3
    assert 40 < levels[2] < 80 and 80 < levels[4] < 120
    record = json.loads((film.parent / "painted/inbetween.json").read_text())["settings"]
    assert record["large_motion"] == "generate" and record["generator"] == {"model": "painter"}


@pytest.mark.parametrize("way", ["blend", "hold", "generate"])
def test_a_killed_run_goes_on_to_the_same_frames_and_figures(film, way, monkeypatch):
    monkeypatch.setattr(segments, "FRAMES", 3)
    options = {
        **OPTIONS,
        "fps": 40,
        "interpolator": "nearest",
        "large_motion": way,
        "generator": Painter() if way == "generate" else None,
    }
    whole, stopped = film.with_name(f"whole_{way}"), film.with_name(f"stopped_{way}")
    retime_video(film, whole, **options)

    class Killed(BaseException):
        pass

    write = segments.Segments.write_piece

    def until_the_jump(self, number, frames):
        if number == 6:  # it holds frames 18 to 20; 16 to 19 are in the jump
            raise Killed
        write(self, number, frames)

    monkeypatch.setattr(segments.Segments, "write_piece", until_the_jump)
    with pytest.raises(Killed):
        retime_video(film, stopped, **options)
    monkeypatch.setattr(segments.Segments, "write_piece", write)
    assert retime_video(film, stopped, **options).resumed == 18
    assert (shown(stopped) == shown(whole)).all()
    manifests = [json.loads((path / "inbetween.json").read_text()) for path in (whole, stopped)]
    assert manifests[0]["quality"] == manifests[1]["quality"]


def test_other_ways_never_go_on_from_each_others_pieces(film, monkeypatch):
    monkeypatch.setattr(segments.Segments, "join", lambda *a: pytest.fail("stop here"))
    out = film.with_name("mixed")
    for way in ("hold", "blend"):
        with pytest.raises(pytest.fail.Exception):
            retime_video(film, out, large_motion=way, **OPTIONS)
    assert len(list(film.parent.glob(".mixed.*.parts"))) == 2


def test_a_curve_treats_the_same_seconds(film):
    out = film.with_name("curve")
    retime_video(film, out, large_motion="hold", curve="ease-in-out", **OPTIONS)
    quality = json.loads((film.parent / "curve/inbetween.json").read_text())["quality"]
    assert quality["spans"]["doubtful"] == [[0.4, 0.5]]


def test_a_clip_in_memory_is_treated_and_noted_too(caplog):
    frames = jumping()
    with caplog.at_level(logging.WARNING, "gen_inbetween"):
        clip = retime(Clip(frames, 10), num_frames=19, large_motion="hold", interpolator="dis-splat", progress=False)
    assert np.array_equal(np.asarray(clip[MIDDLE]), np.asarray(frames[JUMP + 1]))
    assert clip.manifest["quality"]["spans"]["doubtful"] == [[0.4, 0.5]]
    assert clip.manifest["settings"]["large_motion"] == "hold"
    assert "large motion at 00:00.4-00:00.5" in caplog.text


def test_what_cannot_be_is_refused_before_the_work(film, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with pytest.raises(InterpolatorError, match="large_motion is draw, blend, hold, generate; got 'guess'"):
        retime_video(film, out, large_motion="guess", **OPTIONS)
    with pytest.raises(InterpolatorError, match="takes a diffusion model"):
        retime_video(film, out, large_motion="generate", **OPTIONS)
    with pytest.raises(InterpolatorError, match="leave one away"):
        retime_video(film, out, generator=Painter(), **OPTIONS)
    monkeypatch.setattr(pair_generator, "lacking_for_svd", lambda: "no GPU and no svd-xt weights")
    with pytest.raises(ValueError, match="cannot be generated: there is no GPU and no svd-xt weights here; svd-xt"):
        open_pair_generator()
    with pytest.raises(ValueError, match="method that samples, got interpolate"):
        open_pair_generator("pocket-2", method="interpolate")
    with pytest.raises(ValueError, match="loop: not for frames of a film"):
        open_pair_generator("pocket-2", loop=True)
    assert not list(tmp_path.iterdir())


def test_a_tiny_model_generates_the_pair(film, tiny_folder):
    generator = open_pair_generator(tiny_folder, method="trf", num_inference_steps=1, seed=3, dtype="float32")
    assert generator.record["settings"]["seed"] == 3 and generator.record["model"]["sha256"]
    first, last = (Clip.open(film)[number] for number in (JUMP, JUMP + 1))
    assert [frame.tobytes() for frame in generator(first, last)] == [f.tobytes() for f in generator(first, last)]
    out = film.with_name("tiny")
    retime_video(film, out, large_motion="generate", generator=generator, **OPTIONS)
    frames, source = shown(out), shown(film)
    assert np.abs(frames[MIDDLE] - (source[JUMP] + source[JUMP + 1]) / 2).mean() > 5  # neither drawn nor blended
    assert np.abs(frames[MIDDLE - 1] - source[JUMP]).max() == 0
