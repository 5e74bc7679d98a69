"""Every node, run as ComfyUI runs it, on the bundled models."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
import torch
from cases import picture
from doubt_cases import jumping_film
from film_cases import Painter, film, write_film
from safetensors.torch import save_file

from gen_inbetween.generation.films import pair_generator
from gen_inbetween.generation.generate import inbetween
from gen_inbetween.media.clip import Clip
from gen_inbetween.models import loading


def image(*seeds: int, size=(64, 64)) -> torch.Tensor:
    """An IMAGE of drawn pictures."""
    frames = [np.asarray(picture(seed, size), np.float32) / 255 for seed in seeds]
    return torch.from_numpy(np.stack(frames))


@pytest.fixture
def film_with_sound(tmp_path):
    """A film of one second, ten frames, with a tone."""
    return write_film(tmp_path / "film.mp4", film(10), unit=Fraction(1, 10), tone=1.0)


@pytest.fixture
def model(execute):
    """Load Inbetween Model, the smallest one."""
    return execute("GenInbetweenLoadModel", model="pocket-2")[0]


FEW = {"method": "gi", "method.num_inference_steps": 2, "method.renoise_steps": 0}


def test_inbetween_makes_the_clip_that_the_library_makes(execute, model, heard):
    frames, video, manifest = execute(
        "GenInbetween", model=model, seed=3, num_frames=5, **{"keyframes.keyframe0": image(1)},
        **{"keyframes.keyframe1": image(2)}, **FEW,
    )  # fmt: skip
    assert not loading._open.cache_info().currsize  # the model was given back
    assert frames.shape == (5, 64, 64, 3) and frames.dtype == torch.float32
    settings = {"num_inference_steps": 2, "renoise_steps": 0, "num_frames": 5, "seed": 3, "progress": False}
    clip = inbetween(picture(1, (64, 64)), picture(2, (64, 64)), model="pocket-2", method="gi", **settings)
    assert json.loads(manifest)["latents_sha256"] == clip.manifest["latents_sha256"]
    assert torch.equal((frames * 255).round().to(torch.uint8), torch.from_numpy(np.stack([*map(np.asarray, clip)])))
    assert video.get_components().images.shape == frames.shape and video.get_components().frame_rate == 7
    steps = [(value, total) for value, total, preview in heard if preview is not None]
    assert steps == [(1, 2), (2, 2)] and heard[0][2][0] == "JPEG"


def test_a_motion_bucket_is_found_where_none_is_said(execute, model):
    keyframes = {f"keyframes.keyframe{side}": image(side + 1) for side in (0, 1)}
    _, _, manifest, *_ = execute("GenInbetween", model=model, num_frames=3, motion_bucket_id=-1, **keyframes, **FEW)
    said = json.loads(manifest)
    assert said["settings"]["motion_bucket_id"] == said["motion_bucket"]["bucket"]


def test_more_keyframes_with_places_a_held_region_and_a_draft(execute, model):
    hold = torch.zeros(1, 64, 64)
    hold[:, :32] = 1
    frames, _, manifest = execute(
        "GenInbetween", model=model, num_frames=7, hold=hold, draft=image(1, 1, 1, 2, 2, 3, 3), positions="0, 4, end",
        strengths="1,0.5,1", **{"keyframes.keyframe0": image(1, 2), "keyframes.keyframe1": image(3)}, **FEW,
    )  # fmt: skip
    said = json.loads(manifest)
    assert len(frames) == 7 and said["settings"]["draft_strength"] == 0.6
    assert torch.equal(frames[0], image(1)[0]) and torch.equal(frames[-1], image(3)[0])
    assert torch.equal(frames[4][:32], image(2)[0][:32])  # what is held
    assert not torch.equal(frames[4][40:], image(2)[0][40:])  # strength 0.5: the model may change it


def test_stop_ends_a_run_at_its_next_step(execute, model, comfy, heard):
    management = comfy.model_management
    comfy.utils.set_progress_bar_global_hook(lambda *_, **__: management.interrupt_current_processing())
    pair = {"keyframes.keyframe0": image(1), "keyframes.keyframe1": image(2)}
    with pytest.raises(management.InterruptProcessingException):
        execute("GenInbetween", model=model, **pair)
    with pytest.raises(management.InterruptProcessingException):
        execute("GenInbetweenLoop", model=model, images=image(1, 2, 3, 4, 5, 6), context=2, num_frames=10)
    with pytest.raises(management.InterruptProcessingException):
        execute("GenInbetweenInterpolate", images=image(1, 2, 3), interpolator="blend")
    assert not loading._open.cache_info().currsize


@pytest.mark.parametrize(
    ("target", "count", "fps"),
    [
        ({"target": "multiply", "target.factor": 3}, 7, 21.0),
        ({"target": "fps", "target.fps": 14.0}, 6, 14.0),
        ({"target": "count", "target.num_frames": 9}, 9, 7.0),
        ({"target": "times", "target.times": "0, 0.25, 2"}, 3, 7.0),
    ],
)
def test_interpolate(target, count, fps, execute):
    frames, video, manifest, rate = execute(
        "GenInbetweenInterpolate", images=image(1, 2, 3), interpolator="blend", **target
    )
    assert len(frames) == count and video.get_components().frame_rate == rate
    assert torch.equal(frames[0], image(1)[0]) and json.loads(manifest)["interpolator"]["name"] == "blend"
    if target["target"] != "count":
        assert rate == fps


def test_retime_video_keeps_the_sound_and_the_frames_off_memory(execute, folders, film_with_sound, comfy):
    video = comfy.latest.InputImpl.VideoFromFile(str(film_with_sound))
    made, manifest = execute("GenInbetweenRetimeVideo", video=video, fps=20.0, interpolator="blend")
    file = made.get_stream_source()
    assert file.startswith(str(folders / "temp")) and json.loads(manifest)["settings"]["fps"] == 20
    import av

    with av.open(file) as container:
        assert container.streams.audio and container.streams.video[0].average_rate == 20
    left = (folders / "temp" / "gen_inbetween").iterdir()
    assert {path.suffix for path in left} == {".mp4", ".json"}  # nothing half-made


def test_a_video_in_memory_is_retimed_too(execute, comfy):
    parts = comfy.latest.Types.VideoComponents(image(1, 2, 3), Fraction(10))
    video = comfy.latest.InputImpl.VideoFromComponents(parts)
    made, _ = execute("GenInbetweenRetimeVideo", video=video, scale=2.0, interpolator="blend")
    assert len(Clip.open(made.get_stream_source())) == 6


@pytest.mark.parametrize("way", ["hold", "generate"])
def test_large_motion_and_overlays_of_a_video(execute, comfy, model, tmp_path, way, monkeypatch):
    asked = []
    monkeypatch.setattr(pair_generator, "open_pair_generator", lambda **settings: asked.append(settings) or Painter())
    video = comfy.latest.InputImpl.VideoFromFile(str(jumping_film(tmp_path)))
    options = {"fps": 20.0, "interpolator": "dis-splat", "large_motion": way, "overlays": "hold", "cadence": "smooth"}
    _, manifest = execute("GenInbetweenRetimeVideo", video=video, model=model, **options)
    said = json.loads(manifest)
    assert said["settings"]["large_motion"] == way and said["quality"]["spans"]["doubtful"] == [[0.4, 0.5]]
    assert said["settings"]["overlays"] == "hold" and said["settings"]["duplicates"] == "replace"
    assert [each["model"] for each in asked] == ["pocket-2"] * (way == "generate")


def test_what_is_to_be_generated_needs_a_model(execute, comfy, film_with_sound):
    video = comfy.latest.InputImpl.VideoFromFile(str(film_with_sound))
    with pytest.raises(ValueError, match="connect Load Inbetween Model"):
        execute("GenInbetweenRetimeVideo", video=video, fps=20.0, large_motion="generate")


class TrimmedVideo:
    """A VIDEO of which ComfyUI's Trim Video left a part: its stream is the whole film, `save_to` writes the part."""

    def __init__(self, file, start, duration):
        self.file, self.start, self.duration = str(file), start, duration

    def get_stream_source(self):
        return self.file

    def get_active_trim_window(self):
        return self.start, self.duration

    def save_to(self, path):
        frames = Clip.open(self.file)
        first = round(self.start * frames.fps)
        Clip(list(frames)[first : first + round(self.duration * frames.fps)], frames.fps).save(path)


def test_of_a_trimmed_video_only_the_part_is_retimed(execute, folders, film_with_sound):
    video = TrimmedVideo(film_with_sound, 0.2, 0.4)
    made, _ = execute("GenInbetweenRetimeVideo", video=video, fps=20.0, interpolator="blend")
    assert len(Clip.open(made.get_stream_source())) == 8
    assert not list((folders / "temp").rglob("source*"))  # the part that was written for it has gone


def test_pictures_with_alpha(execute, model):
    """LoadImage drops alpha, other nodes hand it on: what is transparent stays so in IMAGE, a VIDEO is opaque."""
    clear = torch.cat([image(1, 2), torch.ones(2, 64, 64, 1)], dim=-1)
    clear[:, :, :20, 3] = 0
    frames, video, _, _ = execute("GenInbetweenInterpolate", images=clear, interpolator="blend")
    assert frames.shape == (3, 64, 64, 4) and not frames[1, :, :16, 3].any() and frames[1, :, 24:, 3].all()
    assert video.get_components().images.shape == (3, 64, 64, 3)
    pair = {"keyframes.keyframe0": clear[:1], "keyframes.keyframe1": clear[1:]}
    frames, *_ = execute("GenInbetween", model=model, num_frames=3, **pair, **FEW)
    assert frames.shape[:3] == (3, 64, 64)
    text, _, sheet = execute("GenInbetweenReport", images=torch.cat([clear, clear]))
    assert "badness" in text and sheet.shape[-1] == 3


def test_keep_loaded_leaves_the_model_and_the_next_run_gives_it_back(execute, model, comfy, monkeypatch):
    pair = {"keyframes.keyframe0": image(1), "keyframes.keyframe1": image(2), "num_frames": 3, **FEW}
    emptied = []
    monkeypatch.setattr(comfy.model_management, "soft_empty_cache", lambda *_: emptied.append(1))
    (kept,) = execute("GenInbetweenLoadModel", model="pocket-2", keep_loaded=True)
    execute("GenInbetween", model=kept, **pair)
    assert loading._open.cache_info().currsize == 1 and not emptied
    execute("GenInbetween", model=kept, **pair)
    assert loading._open.cache_info().hits >= 1 and loading._open.cache_info().currsize == 1  # opened once
    execute("GenInbetween", model=model, **pair)
    assert not loading._open.cache_info().currsize and emptied


def test_loop_and_bridge_by_the_model_and_without_one(execute, model, heard):
    frames, _, manifest = execute(
        "GenInbetweenLoop", model=model, images=image(*range(6)), context=2, num_frames=9, **FEW
    )
    assert len(frames) == 9 and torch.equal(frames[:6], image(*range(6)))
    assert json.loads(manifest)["join"]["kind"] == "loop" and heard[-1][2] is not None
    frames, *_ = execute("GenInbetweenBridge", clip_a=image(1, 2), clip_b=image(3, 4), context=1, num_frames=3)
    assert len(frames) == 7 and torch.equal(frames[-2:], image(3, 4))


def test_edit_motion_of_a_pair_and_of_a_clip(execute):
    mask = torch.zeros(1, 64, 64)
    mask[:, 8:30, 8:30] = 1
    moved = {"masks.mask0": mask, "curves": "ease-in"}
    assert len(execute("GenInbetweenEditMotion", images=image(1, 2), num_frames=5, **moved)[0]) == 5
    assert len(execute("GenInbetweenEditMotion", images=image(1, 1, 1), interpolator="blend", **moved)[0]) == 3
    with pytest.raises(ValueError, match="mask 1: expected a thing painted"):
        execute("GenInbetweenEditMotion", images=image(1, 2), **{"masks.mask0": torch.zeros(1, 64, 64)})


def test_stylise_learns_in_a_few_steps(execute, heard):
    frames, _, manifest = execute(
        "GenInbetweenStylise", images=image(1, 2, 3), minutes=0.2, steps=2, **{"keys.key0": image(4)}, numbers="1"
    )
    assert len(frames) == 3 and json.loads(manifest)["style"]["frames"] == [1]


def test_clip_report_names_what_counts(execute):
    there = image(1, 2, 3)
    text, badness, sheet = execute(
        "GenInbetweenReport", images=torch.cat([there, there.flip(0)]), keyframes=image(1, 1)
    )
    assert text.count("\n") == 6 and badness > 0 and sheet.shape[-1] == 3
    assert "bounce" in text and "badness" in text.splitlines()[0]


@pytest.mark.parametrize(
    ("node", "live", "said"),
    [
        ("GenInbetweenLoadModel", {"model": "svd-xt"}, "is not on this machine"),
        ("GenInbetweenReport", {"images": image(1, 2)}, "three frames or more"),
        ("GenInbetweenReport", {"images": image(1, 2, 3), "keyframes": image(1, size=(32, 32))}, "of the clip's size"),
        ("GenInbetweenStylise", {"images": image(1, 2), "keys.key0": image(1), "numbers": "x"}, "whole frame numbers"),
        (
            "GenInbetweenStylise",
            {"images": image(1), "keys.key0": image(1), "numbers": "0, 1"},
            "one for each of the 1",
        ),
        (
            "GenInbetweenInterpolate",
            {"images": image(1, 2), "target": "times", "target.times": "0, b"},
            "expected numbers by commas",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(node, live, said, execute):
    with pytest.raises(ValueError, match=said) as error:
        execute(node, **live)
    assert "\n" not in str(error.value)


def test_models_and_motions_are_found_in_comfyui_s_folders(execute, nodes, folders, tiny_folder):
    (folders / "models" / "diffusers" / "my_svd").symlink_to(tiny_folder)
    motion = folders / "models" / "gen_inbetween" / "backward.safetensors"
    motion.write_bytes(b"")
    (choice,) = execute("GenInbetweenLoadModel", model="my_svd", motion=motion.name, precision="float32")
    assert choice.settings() == {
        "model": str(tiny_folder), "motion": str(motion), "dtype": "float32", "vram_gb": None, "device": "cpu"
    }  # fmt: skip


@pytest.mark.slow
def test_the_single_file_that_users_own_opens_and_runs(execute, folders):
    """svd_xt.safetensors in models/checkpoints; here a tiny one under the published names."""
    from single_file_cases import drawn_parts, published

    save_file(published(drawn_parts()), folders / "models" / "checkpoints" / "svd_xt.safetensors")
    (model,) = execute("GenInbetweenLoadModel", model="svd_xt.safetensors", motion="none")
    assert model.model == str(folders / "models" / "checkpoints" / "svd_xt.safetensors")
    pair = {"keyframes.keyframe0": image(1), "keyframes.keyframe1": image(2)}
    few = {"method": "trf", "method.num_inference_steps": 1, "method.renoise_steps": 0}
    frames, _, manifest = execute("GenInbetween", model=model, num_frames=3, width=64, height=64, **pair, **few)
    assert frames.shape == (3, 64, 64, 3) and frames.isfinite().all()
    assert json.loads(manifest)["settings"]["method"] == "trf"


def test_a_checkpoint_of_another_model_is_named_for_what_it_is(execute, folders):
    tensors = {"conditioner.embedders.1.model.ln_final.weight": torch.zeros(1)}
    save_file(tensors, folders / "models" / "checkpoints" / "sdxl.safetensors")
    with pytest.raises(ValueError, match="Stable Diffusion XL, which makes pictures"):
        execute("GenInbetweenLoadModel", model="sdxl.safetensors")
