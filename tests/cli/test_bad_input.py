"""Bad input: exit status 2 and one line, before any model is opened; never a traceback, nothing written."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gen_inbetween.diffusion.pipeline import InbetweenPipeline
from gen_inbetween.media.video_writer import write_video
from gen_inbetween.memory import apply

RUN = "run a.png b.png -o out.gif --model pocket-2"
SMOOTH = "run a.png b.png -o out.gif --method interpolate"
RETIME = "retime film.mp4 -o out.mp4 --interpolator nearest"
EDIT = "edit a.png b.png -o out.gif"

LINES = [
    # what typer cannot read
    "", "fly", "run", "run a.png", "run a.png b.png", "run a.png b.png -o", "run a.png b.png c.png -o out.gif",
    f"{RUN} --seed one", f"{RUN} --frames 2.5", f"{RUN} --steps many", f"{RUN} --sede 1", f"{RUN} --vram-gb lots",
    "models fetch", "models fly", "retime film.mp4", "slowmo film.mp4 --scale x -o out.mp4", "plan --frames many",
    # files that are not what they should be
    "run gone.png b.png -o out.gif", "run a.png gone.png -o out.gif", "run folder b.png -o out.gif",
    "run text.png b.png -o out.gif", "run a.png empty.png -o out.gif", "run film.mp4 b.png -o out.gif",
    "run cut.png b.png -o out.gif", "run a.png https://example.com/b.png -o out.gif",
    "retime gone.mp4 --fps 20 -o out.mp4", "retime text.png --fps 20 -o out.mp4", "retime folder --fps 20 -o out.mp4",
    "retime empty.png --fps 20 -o out.mp4", "retime a.png --fps 20 -o out.mp4",
    "slowmo gone.mp4 -o out.mp4", "slowmo text.mp4 -o out.mp4", "slowmo https://example.com/film.mp4 -o out.mp4",
    "replay gone.json", "replay text.png", "replay list.jsonl", "replay folder", "replay number.json",
    "replay clip.json --still gone.png",
    "batch gone.jsonl -o clips", "batch empty.png -o clips", "batch folder -o clips", "batch a.png -o clips",
    "convert gone.safetensors to.safetensors", "convert text.png to.safetensors", "convert folder to.safetensors",
    "convert a.png to.safetensors --interpolator", "convert gone.pkl to.safetensors --interpolator",
    "convert number.json to.safetensors --unet pocket-2",
    "edit gone.png b.png -o out.gif", "edit gone.mp4 -o out.gif", "edit text.png -o out.gif",
    # outputs
    "run a.png b.png -o out.xyz", "run a.png b.png -o text.png/out.gif",
    "retime film.mp4 --fps 20 -o out.xyz", "edit a.png b.png -o out.xyz", "run a.png b.png -o folder",
    f"run a.png b.png -o {'x' * 300}.gif",
    "run a.png b.png -o .gif", "retime film.mp4 --fps 20 -o loop.mp4", "run a.png b.png -o loop.mp4",
    "retime film.mp4 --fps 20 -o .mp4", "edit a.png b.png -o .png",
    # numbers
    f"{RUN} --seed -1", f"{RUN} --seed 99999999999999999999", f"{RUN} --set seed=true", f"{RUN} --set seed='7'",
    f"{RUN} --set seed=1.5", f"{RUN} --frames 0", f"{RUN} --frames 1", f"{RUN} --frames -3", f"{RUN} --frames 1000",
    f"{RUN} --steps 0", f"{RUN} --steps -1", f"{RUN} --steps 1000000000",
    f"{RUN} --set renoise_steps=1000000000", f"{RUN} --best-of 2000000000", f"{RUN} --set num_inference_steps=true",
    f"{RUN} --set num_inference_steps='8'", f"{RUN} --set fps=0", f"{RUN} --set fps=.inf", f"{RUN} --set fps=.nan",
    f"{RUN} --set fps=true", f"{RUN} --set fps='7'", f"{RUN} --set fps=7.5", f"{RUN} --set fps=1e9",
    f"{RUN} --set motion_bucket_id=300", f"{RUN} --set motion_bucket_id=true", f"{RUN} --set noise_aug_strength=-1",
    f"{RUN} --set noise_aug_strength=.nan", f"{RUN} --set max_guidance_scale=.inf",
    f"{RUN} --set max_guidance_scale=high", f"{RUN} --set min_guidance_scale=true", f"{RUN} --set renoise_ratio=2",
    f"{RUN} --set renoise_steps=-1", f"{RUN} --set decode_chunk_size=0", f"{RUN} --set decode_chunk_size='8'",
    f"{RUN} --set forward_chunking=-1", f"{RUN} --set vram_gb=0", f"{RUN} --set vram_gb=.inf", f"{RUN} --vram-gb nan",
    f"{RUN} --set exact_ends=maybe", f"{RUN} --set exact_ends=1", f"{RUN} --set split_guidance='yes'",
    f"{RUN} --set background=[1,2]", f"{RUN} --set background=[1,2,300]", f"{RUN} --set background=[true,2,3]",
    # sizes and words
    f"{RUN} --size 0x0", f"{RUN} --size 64", f"{RUN} --size 64x", f"{RUN} --size 65x64", f"{RUN} --size 99999x99999",
    f"{RUN} --size 16384x16384", f"{RUN} --set width=-64", f"{RUN} --set width='64'", f"{RUN} --fit zoom",
    f"{RUN} --method magic", f"{RUN} --set method=3", f"{RUN} --set dtype=int8", f"{RUN} --set kernel=magic",
    f"{RUN} --set offload=disk", f"{RUN} --set decode=slowly", f"{RUN} --set fusion=mean", f"{RUN} --set seed",
    f"{RUN} --set a.b=1", f"{RUN} --set seed.a=1", f"{RUN} --config gone.yaml", f"{RUN} --config list.yaml",
    f"{RUN} --config broken.yaml", f"{RUN} --config words.yaml", f"{RUN} --motion gone.safetensors",
    "run a.png b.png -o out.gif --model svd-tx", "run a.png b.png -o out.gif --model gone/folder/here",
    "run a.png b.png -o out.gif --model folder", "run a.png b.png -o out.gif --model text.png",
    # devices
    f"{RUN} --device cuda", f"{RUN} --device cuda:99", f"{RUN} --device meta", f"{RUN} --device gpu",
    f"{RUN} --device ''", f"{RUN} --device cpu:3", f"{SMOOTH} --device meta", f"{RETIME} --fps 20 --device meta",
    f"{RETIME} --fps 20 --device cuda", f"{EDIT} --device meta",
    # interpolation
    f"{SMOOTH} --interpolator gone.pkl", f"{SMOOTH} --interpolator text.png", f"{SMOOTH} --interpolator rife",
    f"{SMOOTH} --frames 1", f"{SMOOTH} --frames 0", f"{SMOOTH} --frames 999999999", f"{SMOOTH} --size 8x8",
    f"{SMOOTH} --steps 5", f"{SMOOTH} --set iters=0", f"{SMOOTH} --set iters=true", f"{SMOOTH} --set iters=2",
    f"{SMOOTH} --size 16384x16384",
    # films
    "retime film.mp4 -o out.mp4", f"{RETIME} --fps 0", f"{RETIME} --fps -5", f"{RETIME} --fps inf",
    f"{RETIME} --fps nan", f"{RETIME} --fps 1e9", f"{RETIME} --fps 20 --phase 1", f"{RETIME} --fps 20 --phase nan",
    f"{RETIME} --curve wobbly", f"{RETIME} --curve 0:0,0.5:2", f"{RETIME} --fps 20 --audio loud",
    f"{RETIME} --fps 20 --duplicates drop", f"{RETIME} --fps 20 --start 99", f"{RETIME} --fps 20 --start nan",
    f"{RETIME} --fps 20 --start 0.5 --stop 0.2", f"{RETIME} --fps 20 --stop 0", f"{RETIME} --fps 20 --folder-rate 0",
    "slowmo film.mp4 -o out.mp4 --scale 0", "slowmo film.mp4 -o out.mp4 --scale nan",
    "slowmo film.mp4 -o out.mp4 --scale inf", "slowmo film.mp4 -o out.mp4 --scale -2",
    "slowmo film.mp4 -o out.mp4 --interpolator blnd",
    # moving things
    f"{EDIT} --click 5", f"{EDIT} --click 5,5", f"{EDIT} --mask gone.png --curve linear",
    f"{EDIT} --mask text.png --curve linear", f"{EDIT} --click 500,500 --curve linear",
    f"{EDIT} --click 5,5 --curve wobbly", f"{EDIT} --background wobbly", f"{EDIT} --frames 1", f"{EDIT} --frames 0",
    f"{EDIT} --fps 0", f"{EDIT} --fps nan", f"{EDIT} --feather 2", f"{EDIT} --iters 0",
    f"{EDIT} --interpolator superslomo",
    f"{EDIT} --interpolator gone.pkl", f"{EDIT} --off 5,5", "edit film.mp4 -o out.gif --iters 2",
    "edit a.png b.png film.mp4 -o out.gif",
    # joins: settings are looked at before clips are read
    "bridge film.mp4 film.mp4 -o z.mp4 --set num_frames=3", "loop film.mp4 -o z.mp4 --set context=2",
    "retake film.mp4 2 4 -o z.mp4 --set carry_pace=false", "loop film.mp4 -o z.mp4 --set max_guidance_scale=.nan",
    "bridge text.mp4 film.mp4 -o z.mp4 --seed -1", f"{RUN} --config deep.yaml", f"{RUN} --set seed={'[' * 2000}",
    "retake film.mp4 9 10 -o z.mp4 --mask a.png --show-masks z.png",
    "stylize film.mp4 --key 2=a.png -o s.mp4 --minutes inf", "stylize film.mp4 --key 2=a.png -o s.mp4 --minutes 1e300",
    "stylize film.mp4 --key 2=a.png -o s.mp4 --set learning_rate=.inf",
    "stylize film.mp4 --key 2=a.png -o s.mp4 --set colour_sigma=.nan",
    "stylize film.mp4 --key 2=a.png -o s.mp4 --preview look.xyz", "stylize film.mp4 --export 2=frame.xyz",
    "stylize film.mp4 --key 2=a.png -o s.mp4 --set batch_size=1000000000",
    "stylize film.mp4 --key 2=a.png -o s.mp4 --set temporal_radius=1000000000",
    # services
    "serve --folder jobs --model svd-tx", "serve --folder jobs --model folder", "serve --folder jobs --device meta",
    "serve --folder jobs --set models=[]", "serve --folder jobs --device cuda", "app --folder page --model svd-tx",
    "app --folder page --device meta", "app --folder page --set models=[]", "app --folder page --set max_mb=.nan",
    "serve --folder jobs --host ''", "serve --folder jobs --host no.such.host.invalid", "app --folder page --host ''",
    # planning, lists, weights, the demonstration
    "plan --size 100x100", "plan --method magic", "plan --model svd-tx", "plan --frames 0", "plan --frames -1",
    "plan --steps 0", "plan --steps 1000000000", "plan --vram-gb 0", "plan --vram-gb nan", "plan --size 0x0",
    "plan --method interpolate --steps 3", "plan --method interpolate --interpolator gone.pkl",
    "batch list.jsonl -o clips --shard 3/2", "batch list.jsonl -o clips --shard 0/2",
    "batch list.jsonl -o clips --shard x",
    "batch list.jsonl -o clips --set sede=1", "batch list.jsonl -o clips --set seed=true",
    "batch list.jsonl -o clips --config gone.yaml", "batch list.jsonl -o text.png",
    "models fetch film", "models fetch nothing", "demo --steps 0", "demo --steps 1000000000",
    "demo --seed -1", "demo --model svd-tx",
    "demo --out text.png", "replay clip.json --frame0 gone.png",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures, a film, and files that are something else than their names say."""
    folder = tmp_path_factory.mktemp("bad")
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(folder / name)
    frames = [Image.new("RGB", (64, 48), (20 * number,) * 3) for number in range(8)]
    write_video(frames, folder / "film.mp4", 10)
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:2000])
    for name in ("text.png", "text.mp4"):
        (folder / name).write_text("no picture")
    (folder / "empty.png").write_bytes(b"")
    (folder / "folder").mkdir()
    (folder / "folder" / "notes.txt").write_text("kept")
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "list.jsonl").write_text(json.dumps({"frame0": "a.png", "frame1": "b.png"}))
    (folder / "number.json").write_text("3")
    (folder / "clip.json").write_text(json.dumps({"format": 2}))
    (folder / "list.yaml").write_text("- 1")
    (folder / "deep.yaml").write_text("seed: " + "[" * 3000 + "]" * 3000)
    (folder / "broken.yaml").write_text("seed: [")
    (folder / "words.yaml").write_text("seed: 'three'")
    return folder


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **settings: object) -> None:
        raise AssertionError("a diffusion model was opened")

    monkeypatch.setattr(InbetweenPipeline, "from_pretrained", refuse)


@pytest.mark.parametrize("line", LINES)
def test_bad_input_is_one_line_and_status_2(line, folder, inbetween, no_model, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GEN_INBETWEEN_MODELS", str(folder / "models"))
    before = {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}
    status, out, err = inbetween(*words_of(line))
    said = [row for row in err.splitlines() if row.startswith("error: ")]
    assert status == 2, (status, out, err)
    assert "Traceback" not in err and (len(said) == 1 or line == ""), err
    assert not said or (said[0] == err.splitlines()[-1] and len(said[0]) < 700), err
    assert {path: path.lstat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize(
    ("line", "command"),
    [("serve --folder", "inbetween serve"), ("slowmo film.mp4", "inbetween slowmo"), ("fly", "inbetween")],
)
def test_the_help_that_is_named_is_the_commands_own(line, command, inbetween):
    assert f"`{command} --help` shows the options" in inbetween(*line.split())[2]


@pytest.mark.parametrize("command", ["serve", "app"])
def test_a_port_that_is_taken_is_told_at_once(command, inbetween):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, _, err = inbetween(command, "--folder", "jobs", "--port", str(port))
    assert status == 2 and f"error: cannot listen at 127.0.0.1:{port}: Address already in use" in err


def test_what_is_far_too_large_for_this_machine_is_refused(folder, tiny_folder, inbetween, no_model, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(apply, "device_memory_gb", lambda device: 1e-6)
    status, _, err = inbetween("run", "a.png", "b.png", "-o", "out.gif", "--model", tiny_folder)
    assert status == 2 and "6 frames of 32x32 take about 0." in err and "1e-06 are free on cpu" in err


def words_of(line: str) -> list[str]:
    """The words of a line as a shell takes it apart, but that quotes inside of --set values reach YAML."""
    return ["" if word == "''" else word for word in line.split()]


def test_the_table_is_long_enough():
    assert len(LINES) == len(set(LINES)) >= 100
