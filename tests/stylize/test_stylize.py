"""A style learnt and spread: better than doing nothing, the same again, resumable, and what is refused before it."""

from __future__ import annotations

import contextvars
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from gen_inbetween.media.clip import Clip
from gen_inbetween.media.image import FrameError
from gen_inbetween.runtime.config import ConfigError
from gen_inbetween.runtime.files import OutputError, sweep
from gen_inbetween.runtime.outputs import BusyError, reserved
from gen_inbetween.runtime.processes import Stopped
from gen_inbetween.stylize import model_file
from gen_inbetween.stylize.examples import Judge, windows_of
from gen_inbetween.stylize.guides import flow_between
from gen_inbetween.stylize.learner import Learner
from gen_inbetween.stylize.lesson import prepare, translated
from gen_inbetween.stylize.sequence import Film, Sequence256, parse_keys, place_in, published_layout, read_keys
from gen_inbetween.stylize.settings import StyleError, StyleSettings
from gen_inbetween.stylize.stylize import restyle_video, stylize, stylize_video

TINY = StyleSettings(
    widths=(8, 12, 16, 16, 12, 8), blocks=1, batch_size=4, patch_size=24, perceptual="none", minutes=5, check_every=20
)
QUICKER = replace(TINY, check_every=2)
QUICK = {"settings": TINY, "steps": 40, "progress": False}


def error(clip, painted) -> float:
    """Mean absolute difference from the painting of every frame, grey levels."""
    return float(np.mean([np.abs(np.asarray(a, float) - np.asarray(painted[n])).mean() for n, a in enumerate(clip)]))


def test_one_painted_frame_brings_all_of_them_near_the_painting(frames, painted):
    clip = stylize(frames, {3: painted[3]}, settings=TINY, steps=120, progress=False)
    nothing = error([Image.fromarray(frame) for frame in frames], painted)
    assert len(clip) == len(frames) and clip.size == (48, 48)
    assert error(clip, painted) < 0.4 * nothing
    style = clip.manifest["style"]
    assert style["frames"] == [3] and 0 < style["best_step"] <= style["steps"] == 120 and style["error"] < 40


def test_the_same_steps_and_seed_are_the_same_clip(frames, painted):
    first, again, other = (stylize(frames, {3: painted[3]}, seed=seed, **QUICK) for seed in (0, 0, 1))
    assert [frame.tobytes() for frame in first] == [frame.tobytes() for frame in again]
    assert [frame.tobytes() for frame in first] != [frame.tobytes() for frame in other]


def test_learning_that_was_stopped_goes_on_as_if_it_had_not_been(frames, painted, tmp_path):
    film = Film(lambda: iter(Image.fromarray(frame) for frame in frames), len(frames))
    settings = replace(TINY, steps=40, check_every=10)
    lesson = prepare(film, read_keys({3: painted[3]}, None, film.size, film.count), settings, 0, None, flow_between)
    device, sequence = torch.device("cpu"), Sequence256("film", "keys")
    whole = Learner(lesson.examples, lesson.judges, settings, 0, device)
    whole.learn()
    half = Learner(lesson.examples, lesson.judges, settings, 0, device)
    half.learn(lambda look: look.step == 20)
    model_file.save(half, sequence, tmp_path / "s.safetensors", finished=False)
    rest = Learner(lesson.examples, lesson.judges, settings, 0, device)
    assert not model_file.go_on(rest, sequence, tmp_path / "s.safetensors") and rest.step == 20
    rest.learn()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, rest.network.state_dict()[name]), name
    assert [look.error for look in whole.looks] == [look.error for look in rest.looks]
    other = Learner(lesson.examples, lesson.judges, settings, 0, device)
    assert not model_file.go_on(other, Sequence256("other", "keys"), tmp_path / "s.safetensors") and other.step == 0


KILLED = """
import os, signal, sys
from pathlib import Path
from gen_inbetween.stylize import learning
from gen_inbetween.stylize.stylize import stylize_video
from tests.stylize.test_stylize import QUICKER

learning.SAVE_EVERY = 0.0
folder = Path(sys.argv[1])

def on_look(look, preview):
    if look.step == 4:
        os.kill(os.getpid(), signal.SIGKILL)

stylize_video(folder / "film.mkv", folder / "out.mp4", {3: folder / "k3.png"}, settings=QUICKER, steps=6,
              progress=False, on_look=on_look)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_run_that_was_killed_ends_as_one_that_was_not(film, caplog):
    root = Path(__file__).parents[2]
    process = subprocess.run([sys.executable, "-c", KILLED, str(film)], cwd=root, timeout=240)
    assert process.returncode == -signal.SIGKILL and not (film / "out.mp4").exists()
    run = {"settings": QUICKER, "steps": 6, "progress": False}
    with caplog.at_level("INFO"):
        rest = stylize_video(film / "film.mkv", film / "out.mp4", {3: film / "k3.png"}, **run)
    assert "going on after 4 steps" in caplog.text
    sweep(film)  # as every process does once, before it writes into a folder; this one did so for film.mkv
    names = {path.name for path in film.iterdir() if path.name[0] == "." or path.name.startswith("out")}
    assert names == {"out.mp4", "out.mp4.inbetween.json", "out.mp4.style.safetensors"}
    whole = stylize_video(film / "film.mkv", film / "whole.mp4", {3: film / "k3.png"}, **run)
    assert rest["style"]["sha256"] == whole["style"]["sha256"] and rest["style"]["steps"] == 6


def test_frames_that_an_earlier_run_wrote_are_not_drawn_again(frames, painted):
    film = Film(lambda: iter(Image.fromarray(frame) for frame in frames), len(frames))
    lesson = prepare(film, read_keys({3: painted[3]}, None, film.size, film.count), TINY, 0, None, flow_between)
    network = Learner(lesson.examples, lesson.judges, TINY, 0, torch.device("cpu")).best_network()
    whole, rest = (list(translated(film, network, lesson, TINY, begin)) for begin in (0, 5))
    assert len(rest) == 3 and all(np.array_equal(a, b) for a, b in zip(whole[5:], rest, strict=True))


def test_looks_and_previews_cost_the_same_at_any_size():
    picture, known = np.zeros((1080, 1920, 3), np.uint8), np.zeros((1080, 1920), bool)
    known[300:, 500:] = True
    parts = windows_of(Judge(0, picture, None, picture, known))
    assert len(parts) == 4 and all(part.known.size <= 128**2 and part.known.any() for part in parts)
    assert len({part.source.__array_interface__["data"] for part in parts}) == 4  # four places
    small = Judge(0, picture[:200, :200], picture[:200, :200], picture[:200, :200], known[:200, :200])
    assert windows_of(small) == [small]
    frames = [Image.fromarray(picture[:400, :600])] * 2
    settings = replace(TINY, guides=False, temporal_radius=0)
    sizes = []

    def on_look(look, preview):
        sizes.append(preview().size)
        return True

    stylize(frames, {0: frames[0]}, settings=settings, steps=1, progress=False, on_look=on_look)
    assert sizes == [(2 * 256, 2 * 256)]


def test_masks_and_transparency_say_where_it_is_painted(frames, painted):
    half = np.zeros((48, 48), np.uint8)
    half[:, :24] = 255
    spoiled = np.array(painted[3])
    spoiled[:, 26:] = 0  # what is outside of the mask must not be learnt
    masked = stylize(frames, {3: spoiled}, {3: Image.fromarray(half)}, **QUICK)
    clear = stylize(frames, {3: np.dstack([spoiled, half])}, **QUICK)
    assert [frame.tobytes() for frame in masked] == [frame.tobytes() for frame in clear]
    assert np.asarray(masked[3])[:, 28:].mean() > 60  # not black, as it was painted there


def test_alpha_goes_along(frames, painted):
    clear = [np.dstack([frame, np.full((48, 48), 10 * number + 20, np.uint8)]) for number, frame in enumerate(frames)]
    clip = stylize(clear, {3: painted[3]}, **QUICK)
    assert [np.asarray(frame)[0, 0, 3] for frame in clip] == [10 * number + 20 for number in range(len(frames))]


def test_a_held_out_keyframe_judges_and_is_not_learnt_from(frames, painted):
    alone = QUICK | {"settings": replace(TINY, carry=0)}  # the network is judged, without what is carried
    clip = stylize(frames, {1: painted[1], 6: painted[6]}, hold_out=6, **alone)
    told = clip.manifest["style"]
    truth = np.abs(np.asarray(clip[6], float) - np.asarray(painted[6])).mean()
    assert told["hold_out"] == 6 and told["error"] == pytest.approx(truth, abs=0.6)
    for wrong, keys in ((5, (1, 6)), (1, (1,))):
        with pytest.raises(StyleError, match="expected to hold out one of two painted keyframes"):
            stylize(frames, {number: painted[number] for number in keys}, hold_out=wrong, **QUICK)


def test_looks_show_previews_and_can_end_it(frames, painted):
    seen = []

    def on_look(look, preview):
        seen.append((look.step, preview().size))
        return True

    clip = stylize(frames, {3: painted[3]}, on_look=on_look, **QUICK)
    assert seen == [(20, (6 * 48, 2 * 48))] and clip.manifest["style"]["steps"] == 20


def test_a_film_keeps_its_length_rate_and_style_and_is_not_learnt_twice(film, caplog):
    out = film / "out.mp4"
    made = stylize_video(film / "film.mkv", out, {3: film / "k3.png"}, **QUICK)
    clip, first = Clip.open(out), out.read_bytes()
    assert len(clip) == 8 and clip.fps == 8 and clip.manifest["style"] == made["style"]
    assert clip.manifest["source"]["path"] == str(film / "film.mkv")
    with caplog.at_level("INFO"):
        again = stylize_video(film / "film.mkv", out, {3: film / "k3.png"}, **QUICK)
    assert "learnt already, in 40 steps" in caplog.text and again["style"]["sha256"] == made["style"]["sha256"]
    assert [f.tobytes() for f in Clip.open(out)] == [f.tobytes() for f in clip] and first


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Stopped])
def test_ctrl_c_goes_on_with_the_best_and_sigterm_ends_but_keeps_it(film, monkeypatch, stop):
    out, learn = film / "out.mp4", Learner.learn

    def stopped(learner, look_on):
        def and_stop(look):
            look_on(look)
            raise stop(15)

        return learn(learner, and_stop)

    def make():
        return stylize_video(film / "film.mkv", out, {3: film / "k3.png"}, **QUICK)

    monkeypatch.setattr(Learner, "learn", stopped)
    if stop is KeyboardInterrupt:
        assert make()["style"]["steps"] < 40 and out.is_file()
        return
    with pytest.raises(Stopped):
        make()
    assert not out.exists() and (film / "out.mp4.style.safetensors").is_file()
    monkeypatch.undo()
    assert make()["style"]["steps"] == 40


def test_a_style_is_bound_to_its_film(film, caplog):
    plain = replace(TINY, guides=False, carry=0)
    stylize_video(film / "film.mkv", film / "a.mp4", {3: film / "k3.png"}, settings=plain, steps=20, progress=False)
    style = film / "a.mp4.style.safetensors"
    restyle_video(film / "film.mkv", film / "b.mp4", model_file=style, progress=False)
    assert "another film" not in caplog.text
    one, two = (Clip.open(film / name) for name in ("a.mp4", "b.mp4"))
    assert [frame.tobytes() for frame in one] == [frame.tobytes() for frame in two]
    Clip([film / "k3.png"] * 3, 8).save(film / "other.mkv")
    restyle_video(film / "other.mkv", film / "c.mp4", model_file=style, progress=False)
    assert "was learnt on another film" in caplog.text
    stylize_video(film / "film.mkv", film / "g.mp4", {3: film / "k3.png"}, settings=TINY, steps=20, progress=False)
    with pytest.raises(StyleError, match="learnt with guides"):
        restyle_video(film / "film.mkv", film / "d.mp4", model_file=film / "g.mp4.style.safetensors", progress=False)


@pytest.mark.parametrize(
    ("keys", "masks", "message"),
    [
        ({}, None, "expected one painted keyframe or more"),
        ({8: "painted"}, None, "keyframe 8 is outside the film, whose frames are 0 to 7"),
        ({-1: "painted"}, None, "keyframe -1 is outside"),
        ({3: np.zeros((40, 48, 3), np.uint8)}, None, "is 48x40 pixels, the film 48x48: paint over a frame"),
        ({3: "painted"}, {3: np.zeros((48, 48), np.uint8)}, "the mask of keyframe 3 is empty"),
        ({3: "painted"}, {4: np.ones((48, 48), np.uint8)}, "a mask is given for frame 4, which has no painted"),
        ({3: "painted"}, {3: np.ones((8, 8), np.uint8)}, "the mask of keyframe 3 is 8x8 pixels"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(frames, painted, keys, masks, message):
    keys = {number: painted[3] if isinstance(key, str) else key for number, key in keys.items()}
    with pytest.raises(StyleError, match=message):
        stylize(frames, keys, masks, **QUICK)


def test_settings_are_checked(frames, painted):
    with pytest.raises(StyleError, match="patches of 64 pixels do not fit"):
        stylize(frames, {3: painted[3]}, settings=replace(TINY, patch_size=64), progress=False)
    with pytest.raises(ConfigError, match="minutes"):
        stylize(frames, {3: painted[3]}, settings=TINY, minutes=0)
    with pytest.raises(FrameError, match="nowhere.png"):
        stylize(frames, {3: "nowhere.png"}, **QUICK)


def test_one_run_at_a_time_learns_into_a_file(film):
    def learn():
        stylize_video(film / "film.mkv", film / "b.mp4", {3: film / "k3.png"}, model_file=film / "a.style", **QUICK)

    with reserved(film / "a.style"), pytest.raises(BusyError, match="another run"):
        contextvars.Context().run(learn)
    assert not (film / "b.mp4").exists()


def test_an_input_is_never_replaced(film):
    with pytest.raises(OutputError, match="is an input"):
        stylize_video(film / "film.mkv", film / "film.mkv", {3: film / "k3.png"}, **QUICK)
    (film / "mine.safetensors").write_bytes(b"somebody's")
    with pytest.raises(OutputError, match="did not make"):
        stylize_video(
            film / "film.mkv", film / "o.mp4", {3: film / "k3.png"}, model_file=film / "mine.safetensors", **QUICK
        )


@pytest.mark.parametrize("spoil", ["cut", "no header", "other tensors", "huge"])
def test_files_that_are_no_style_are_refused_in_a_line(film, spoil):
    stylize_video(film / "film.mkv", film / "a.mp4", {3: film / "k3.png"}, **{**QUICK, "steps": 1})
    path = film / "a.mp4.style.safetensors"
    with safe_open(path, "pt") as file:
        said, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if spoil == "cut":
        path.write_bytes(path.read_bytes()[:200])
    elif spoil == "no header":
        save_file(tensors, path)
    elif spoil == "other tensors":
        save_file({"best.x": torch.zeros(3)}, path, said)
    else:
        content = json.loads(said[model_file.HEADER])
        content["settings"]["blocks"] = -5
        save_file(tensors, path, {model_file.HEADER: json.dumps(content)})
    with pytest.raises(StyleError, match="is no style|is damaged"):
        model_file.open_style(path, torch.device("cpu"))


def test_keys_are_named_by_number_or_by_their_files_number():
    assert parse_keys(["3=a.png", "shot2/b_0012.png"]).keys() == {3, 12}
    with pytest.raises(StyleError, match="two pictures for frame 3"):
        parse_keys(["3=a.png", "x_0003.png"])
    with pytest.raises(StyleError, match="expected FRAME=PICTURE"):
        parse_keys(["painted.png"])


def test_frames_of_a_folder_go_by_the_numbers_of_their_names(tmp_path):
    for number in (1, 2, 3):
        Image.new("RGB", (4, 4)).save(tmp_path / f"f_{number:04d}.png")
    assert [place_in(tmp_path, number) for number in (1, 3)] == [0, 2]
    with pytest.raises(StyleError, match="has the number 0: they are numbered 1 to 3"):
        place_in(tmp_path, 0)
    assert place_in(tmp_path / "film.mp4", 12) == 12


def test_the_published_layout_is_read_as_it_is(tmp_path, frames, painted):
    for folder, numbers in (
        ("walk_gen/input_filtered", range(8)),
        ("walk_train/output", (3,)),
        ("walk_train/mask", (3,)),
    ):
        (tmp_path / folder).mkdir(parents=True)
        for number in numbers:
            picture = painted[number] if "output" in folder else Image.fromarray(frames[number])
            picture.save(tmp_path / folder / f"{number:03d}.png")
    for place in (tmp_path, tmp_path / "walk_train", tmp_path / "walk_gen"):
        gen, keys, masks = published_layout(place)
        assert gen == tmp_path / "walk_gen" / "input_filtered"
        assert list(keys) == list(masks) == [3]
    assert published_layout(tmp_path / "walk_gen" / "input_filtered") is None
    (tmp_path / "walk_train" / "output" / "099.png").write_bytes(b"")
    with pytest.raises(StyleError, match="belongs to no frame"):
        published_layout(tmp_path)
