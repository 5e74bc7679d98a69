"""Learning that follows the painter's file, pictures as they come, and the search over settings."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from dataclasses import replace

import av
import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from gen_inbetween.cli.__main__ import app
from gen_inbetween.media.clip import Clip
from gen_inbetween.media.source import VideoError
from gen_inbetween.runtime.files import save_image
from gen_inbetween.runtime.traces.labels import read_label
from gen_inbetween.stylize.guides import flow_between
from gen_inbetween.stylize.lesson import prepare
from gen_inbetween.stylize.live import in_real_time, open_camera, open_pipe, translate_live, until_interrupted, watch
from gen_inbetween.stylize.network import StyleNetwork
from gen_inbetween.stylize.search import points_of, search, write_search
from gen_inbetween.stylize.sequence import Film, read_keys
from gen_inbetween.stylize.settings import StyleError, StyleSettings
from gen_inbetween.stylize.stylize import path_of_style, stylize, watch_video
from tests.film_cases import write_film

TINY = StyleSettings(
    widths=(8, 12, 16, 16, 12, 8), blocks=1, batch_size=2, patch_size=24, perceptual="none", check_every=5, steps=10
)
CPU = torch.device("cpu")


def film_of(frames) -> Film:
    return Film(lambda: iter(Image.fromarray(frame) for frame in frames), len(frames))


def test_learning_goes_on_when_the_painting_is_saved_anew(frames, painted, tmp_path):
    key, preview = tmp_path / "k3.png", tmp_path / "look.png"
    save_image(key, painted[3])
    done = threading.Event()
    learnt = []

    def learn():
        settings = replace(TINY, steps=10**6, minutes=60, patience=10**6)
        learnt.append(watch(film_of(frames), {3: key}, {}, settings, 0, CPU, preview, flow_between, until=done.is_set))

    thread = threading.Thread(target=learn)
    thread.start()
    try:
        deadline = time.monotonic() + 240
        while not preview.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert Image.open(preview).size == (6 * 48, 2 * 48)
        key.write_bytes(b"half a picture")  # as a program that is just saving leaves it
        time.sleep(0.3)
        save_image(key, Image.new("RGB", (48, 48), (250, 20, 20)))
        time.sleep(3)
    finally:
        done.set()
        thread.join(60)
    learner, lesson, keys = learnt[0]
    assert lesson.examples[0].painted[0, 0].tolist() == [250, 20, 20]
    assert lesson.judges and all(judge.wanted[judge.known].mean(0)[0] > 240 for judge in lesson.judges)
    assert learner.step > learner.best_step or learner.looks


def y4m(frames) -> io.BytesIO:
    pipe = io.BytesIO()
    with av.open(pipe, "w", format="yuv4mpegpipe") as container:
        stream = container.add_stream("wrapped_avframe", rate=8)
        stream.width, stream.height, stream.pix_fmt = 48, 48, "yuv444p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv444p")))
    pipe.seek(0)
    return pipe


def test_pictures_are_translated_as_they_come(frames, caplog):
    network = StyleNetwork(3, TINY.widths, TINY.blocks, TINY.head_kernel).eval()
    stream, rate = open_pipe(y4m(frames))
    coming = list(stream)
    assert len(coming) == len(frames) and rate == 8
    assert np.abs(coming[2].astype(int) - frames[2]).mean() < 3
    with caplog.at_level("INFO"):
        drawn = list(translate_live(iter(coming), network, 3, 512, every=0))
    assert [frame.shape for frame in drawn] == [(48, 48, 3)] * len(frames)
    assert "frames a second" in caplog.text
    with pytest.raises(StyleError, match="learnt with guides"):
        translate_live(iter(coming), network, 6, 512)
    with pytest.raises(VideoError, match="no y4m stream"):
        open_pipe(io.BytesIO(b"not a film at all"))


def test_a_camera_is_read_as_opencv_has_it(frames, painted, tmp_path, monkeypatch):
    Clip([Image.fromarray(frame) for frame in frames], 8).save(tmp_path / "camera.mp4")
    stream, rate = open_camera(str(tmp_path / "camera.mp4"))  # OpenCV opens devices and files by the same call
    seen = list(stream)
    assert len(seen) == len(frames) and rate == 8
    assert np.abs(seen[2].astype(int) - frames[2]).mean() < 8  # red is red
    device = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda number: device(str(tmp_path / "camera.mp4")))
    plain = replace(TINY, guides=False, temporal_radius=0)
    style = tmp_path / "s.safetensors"
    stylize(frames, {3: painted[3]}, settings=plain, model_file=style, progress=False)
    made = CliRunner().invoke(app, ["stylize", "--camera", "0", "--style", str(style), "-o", str(tmp_path / "o.mkv")])
    assert made.exit_code == 0, made.output
    drawn = Clip.open(tmp_path / "o.mkv")
    assert len(drawn) >= len(frames) and drawn.fps == 8


def test_live_pictures_last_as_long_as_they_took():
    times = iter([0.0, 0.55, 0.58, 1.0])
    assert list(in_real_time(iter("abc"), 10, lambda: next(times))) == [*"aaaaa", "b", *"cccc"]


def test_ctrl_c_ends_a_camera_and_what_came_is_kept(monkeypatch):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def coming():
        yield from "ab"
        os.kill(os.getpid(), signal.SIGINT)
        yield from "cd"

    try:
        assert list(until_interrupted(coming())) == ["a", "b"]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_watched_film_is_written_with_its_sound(frames, painted, tmp_path):
    film = write_film(tmp_path / "film.mp4", [Image.fromarray(frame) for frame in frames], tone=0.3)
    out, preview = tmp_path / "out.mp4", tmp_path / "look.png"
    painted[3].save(tmp_path / "k3.png")
    painted[6].save(tmp_path / "k6.png")
    keys = {3: tmp_path / "k3.png", 6: tmp_path / "k6.png"}
    told = watch_video(
        film, out, keys, preview=preview, settings=TINY, hold_out=6, progress=False, until=preview.exists
    )
    assert told["style"]["frames"] == [3, 6] and told["style"]["hold_out"] == 6
    with av.open(str(out)) as container:
        assert len(container.streams.audio) == 1 and container.streams.video[0].frames == len(frames)
    assert path_of_style(out).is_file()


def test_a_camera_that_is_not_there_is_named():
    with pytest.raises(StyleError, match="no camera 77"):
        open_camera(77)


def test_the_search_tries_what_it_says_and_writes_it_down(frames, painted, tmp_path):
    grid = {"learning_rate": (1e-3, 5e-3), "blocks": (1, 2)}
    assert len(points_of(grid, TINY, around=False)) == 4
    around = points_of(grid, TINY, around=True)
    tried = [(point["learning_rate"], point["blocks"]) for point in around]
    assert tried == [(1e-3, 1), (5e-3, 1), (1e-3, 2)]
    film = film_of(frames)
    lesson = prepare(film, read_keys({3: painted[3]}, None, film.size, film.count), TINY, 0, None, flow_between)
    trials = list(search(lesson, TINY, 0, CPU, minutes=1, grid=grid))
    assert [trial.settings for trial in trials] == around and all(trial.looks for trial in trials)
    write_search(tmp_path, trials, 1)
    table = (tmp_path / "search.md").read_text()
    assert f"| {min(trial.error for trial in trials):.2f} |" in table.splitlines()[7]
    assert Image.open(tmp_path / "search.png").width > 500
    with pytest.raises(StyleError, match="nothing can judge"):
        next(search(replace(lesson, judges=[]), TINY, 0, CPU, minutes=1, grid=grid))


def test_the_command_from_exporting_a_frame_to_the_film(film):
    def run(*words: str):
        return CliRunner().invoke(app, ["stylize", *words], catch_exceptions=False)

    exported = run(str(film / "film.mkv"), "--export", f"3={film / 'frame.png'}")
    assert exported.exit_code == 0 and "--key 3=" in exported.output
    assert Image.open(film / "frame.png").size == (48, 48)
    tiny = [f"--set={name}={value}" for name, value in (("patch_size", 24), ("batch_size", 2), ("perceptual", "none"))]
    keys = ["--key", f"3={film / 'k3.png'}", "--key", str(film / "k6.png")]
    made = run(
        str(film / "film.mkv"),
        *keys,
        "--steps",
        "10",
        "--preview",
        str(film / "p.png"),
        *tiny,
        "-o",
        str(film / "o.gif"),
    )
    assert made.exit_code == 0, made.output
    assert "learnt in 10 steps" in made.output
    assert read_label(film / "p.png") == ""  # the next run may replace it
    for words, message in (
        ([str(film / "film.mkv"), *keys], "say where the film goes"),
        ([str(film / "film.mkv"), "--key", "9=x.png", "-o", "o.gif"], "no such file: x.png"),
        ([str(film / "film.mkv"), *keys, "--set", "blocks=many", "-o", "o.gif"], "expected a number"),
        (["--camera", "0", "-o", "o.gif"], "expected a learnt style"),
        ([str(film / "film.mkv"), *keys, "--search", "1", "--watch", "-o", "d"], "--search and --watch: expected one"),
        ([str(film / "film.mkv"), *keys, "--search", "0", "-o", str(film / "d")], "greater than 0"),
        ([str(film / "film.mkv"), *keys, "--search", "1", "--hold-out", "5", "-o", str(film / "d")], "hold out"),
        ([str(film / "film.mkv"), *keys, "--export", "3=x.png", "--watch"], "--export and --watch: expected one"),
        ([str(film / "film.mkv"), "--export", "3=x.png", "-o", "o.gif"], "--out is of no use: --export 3=x.png writes"),
        ([str(film / "film.mkv"), "--export", "3=x.png", "--steps", "9"], "--steps is of no use: --export 3=x.png"),
        (
            [str(film / "film.mkv"), "--style", str(film / "k3.png"), "--steps", "3", "-o", "o.gif"],
            "--steps is for learning",
        ),
        (
            ["--camera", "0", "--style", str(film / "k3.png"), "--mask", "3=m.png", "-o", "o.gif"],
            "--mask is for learning",
        ),
        ([str(film / "film.mkv"), "--key", f"-1={film / 'k3.png'}", "-o", "o.gif"], "keyframe -1 is outside the film"),
        ([str(film / "film.mkv"), "--key", "9" * 5000 + "=k.png", "-o", "o.gif"], "no film has that many frames"),
    ):
        refused = CliRunner().invoke(app, ["stylize", *words])
        assert not (film / "d").exists()
        assert refused.exit_code == 2 and message in refused.output
