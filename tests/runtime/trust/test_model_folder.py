"""A model folder runs no code: whatever its index names, it is refused before diffusers sees it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from diffusers import DiffusionPipeline
from PIL import Image

from gen_inbetween.diffusion.pipeline import InbetweenPipeline
from gen_inbetween.generation.generate import inbetween
from gen_inbetween.models import layout
from gen_inbetween.models.configs import open_configs
from gen_inbetween.models.loading import open_pipeline
from gen_inbetween.models.registry import resolve_model
from gen_inbetween.runtime.hub import BUNDLED, ModelError
from gen_inbetween.runtime.trust.model_index import PARTS

CODE = "import sys\nsys.ran_by_a_model_folder = True\nclass Own:\n    pass\n"
INDEX_CHANGES = {
    "a class of the folder's own": {"unet": ["own", "Own"]},
    "a class of the folder's own, beside the known": {"scheduler": ["own", "EulerDiscreteScheduler"]},
    "another class of diffusers": {"vae": ["diffusers", "AutoencoderKL"]},
    "a class of another library": {"vae": ["os", "system"]},
    "a part more": {"helper": ["own", "Own"]},
    "a part more of diffusers": {"safety": ["diffusers", "UNet2DModel"]},
    "a part less": {"unet": None},
    "a part of another shape": {"unet": "UNetSpatioTemporalConditionModel"},
    "a part of three": {"unet": ["diffusers", "UNetSpatioTemporalConditionModel", "own"]},
    "a pipeline of the folder's own": {"_class_name": ["pipeline", "Own"]},
    "another pipeline": {"_class_name": "StableDiffusionPipeline"},
    "no pipeline": {"_class_name": None},
}


@pytest.fixture
def folder(tiny_folder, tmp_path):
    shutil.copytree(tiny_folder, tmp_path / "model")
    yield tmp_path / "model"
    vars(sys).pop("ran_by_a_model_folder", None)


def refuse(folder, opener):
    with pytest.raises(ModelError) as error:
        opener(folder)
    assert len(str(error.value).splitlines()) == 1 and not hasattr(sys, "ran_by_a_model_folder")
    return str(error.value)


@pytest.mark.parametrize("opener", [resolve_model, InbetweenPipeline.from_pretrained], ids=["name", "from_pretrained"])
@pytest.mark.parametrize("change", INDEX_CHANGES)
def test_an_index_that_names_anything_else_is_refused(change, opener, folder):
    index = json.loads((folder / "model_index.json").read_text()) | INDEX_CHANGES[change]
    (folder / "model_index.json").write_text(json.dumps(index))
    refuse(folder, opener)


@pytest.mark.parametrize("opener", [resolve_model, InbetweenPipeline.from_pretrained], ids=["name", "from_pretrained"])
@pytest.mark.parametrize("place", ["own.py", "unet/own.py", "pipeline.py", "unet/modeling.py"])
def test_a_folder_with_python_code_is_refused(place, opener, folder):
    (folder / place).write_text(CODE)
    assert f"holds Python code ({place})" in refuse(folder, opener)


def test_what_comes_from_the_hub_is_checked_before_it_is_opened(folder, monkeypatch):
    (folder / "unet" / "own.py").write_text(CODE)
    monkeypatch.setattr(DiffusionPipeline, "download", classmethod(lambda cls, name, **options: str(folder)))
    refuse("someone/something", InbetweenPipeline.from_pretrained)
    refuse("someone/something", InbetweenPipeline.download)


def test_weights_that_are_pickles_are_not_opened(folder):
    for path in folder.glob("unet/*.safetensors"):
        path.rename(path.with_suffix(".bin"))
    refuse(folder, resolve_model)
    with pytest.raises(OSError, match="safetensors"):
        InbetweenPipeline.from_pretrained(folder)


@pytest.mark.parametrize(
    "change",
    [
        ("unet/config.json", {"down_block_types": ["Own", "Own"]}),
        ("unet/config.json", {"block_out_channels": [32, 128]}),
        ("unet/config.json", {"num_attention_heads": [3, 5]}),
        ("vae/config.json", {"down_block_types": ["os.system"]}),
        ("image_encoder/config.json", {"hidden_act": "own"}),
        ("image_encoder/config.json", {"num_attention_heads": 7}),
        ("scheduler/scheduler_config.json", {"beta_schedule": "own"}),
        ("feature_extractor/preprocessor_config.json", {"size": "large"}),
        ("unet/diffusion_pytorch_model.safetensors", None),
    ],
)
def test_a_folder_that_cannot_be_opened_is_one_line(change, folder):
    name, content = change
    path = folder / name
    if content is None:
        path.write_bytes(path.read_bytes()[:-100])
    else:
        path.write_text(json.dumps(json.loads(path.read_text()) | content))
    with pytest.raises(ModelError, match="cannot load") as error:
        open_pipeline(folder, device="cpu", shared=False)
    assert len(str(error.value).splitlines()) == 1


def test_a_saved_folder_names_classes_that_every_transformers_has(tiny_pipe, tmp_path):
    tiny_pipe().save_pretrained(tmp_path)
    for folder in (tmp_path, Path(BUNDLED["pocket-2"])):
        index = json.loads((folder / "model_index.json").read_text())
        assert {name: index[name][1] for name in PARTS} == {name: classes[0] for name, (_, classes) in PARTS.items()}
    assert InbetweenPipeline.from_pretrained(tmp_path).feature_extractor is not None


@pytest.mark.parametrize("opener", [resolve_model, InbetweenPipeline.from_pretrained], ids=["name", "from_pretrained"])
@pytest.mark.parametrize("file", ["scheduler/scheduler_config.json", "feature_extractor/preprocessor_config.json"])
@pytest.mark.parametrize("content", ["[" * 100_000, "", "hole"])
def test_configurations_that_diffusers_reads_are_looked_at_first(content, file, opener, folder):
    (folder / file).write_text(content)
    if content == "hole":
        with (folder / file).open("wb") as hole:
            hole.truncate(50 * 2**30)
    assert file in refuse(folder, opener)


@pytest.mark.parametrize(
    "change",
    [{"num_train_timesteps": 10**12}, {"num_train_timesteps": 0}, {"sigma_max": float("nan")}, {"sigma_min": -1}],
)
def test_a_scheduler_without_end_is_refused(change, folder):
    path = folder / "scheduler/scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert next(iter(change)) in refuse(folder, resolve_model)


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("image_encoder", {"hidden_act": "x"}),
        ("unet", {"down_block_types": ["x" * 500]}),
        ("unet", {"up_block_types": ["x"] * 99}),
    ],
)
def test_what_no_part_can_be_is_named(file, change, folder):
    path = folder / file / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert next(iter(change)) in refuse(folder, open_configs)


def test_broken_weights_are_told_before_they_are_hashed(folder, monkeypatch):
    with next((folder / "unet").glob("*.safetensors")).open("wb") as hole:
        hole.truncate(50 * 2**30)
    monkeypatch.setattr(layout, "file_sha256", lambda path: pytest.fail("hashed"))
    picture = Image.new("RGB", (48, 32))
    assert "it has no header" in refuse(folder, lambda model: inbetween(picture, picture, model=model, method="svd"))
