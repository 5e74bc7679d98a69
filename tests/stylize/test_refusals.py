"""What cannot be learnt, read or written: told in a line, and nothing is left half-written."""

from __future__ import annotations

import json
import resource
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from typer.testing import CliRunner

from gen_inbetween.cli.__main__ import app
from gen_inbetween.models.backbones.weights import CACHE_VARIABLE, MissingWeights
from gen_inbetween.runtime.files import OutputError, save_tensors, sweep
from gen_inbetween.stylize import model_file
from gen_inbetween.stylize.guides import flow_between
from gen_inbetween.stylize.learner import Learner
from gen_inbetween.stylize.lesson import prepare
from gen_inbetween.stylize.losses import open_perceptual
from gen_inbetween.stylize.search import search
from gen_inbetween.stylize.sequence import Film, Sequence256, read_keys
from gen_inbetween.stylize.settings import StyleError, StyleSettings
from gen_inbetween.stylize.stylize import stylize

TINY = StyleSettings(
    widths=(8, 12, 16, 16, 12, 8), blocks=1, batch_size=2, patch_size=24, perceptual="none", minutes=5, check_every=4
)
CPU = torch.device("cpu")


def learner_of(frames, painted, settings) -> Learner:
    film = Film(lambda: iter(Image.fromarray(frame) for frame in frames), len(frames))
    lesson = prepare(film, read_keys({3: painted[3]}, None, film.size, film.count), settings, 0, None, flow_between)
    return Learner(lesson.examples, lesson.judges, settings, 0, CPU)


def learnt(frames, painted, folder, *, finished) -> tuple[Path, Sequence256]:
    """A file of a style of four steps, and the sequence it belongs to."""
    path, sequence = folder / "s.safetensors", Sequence256("film", "keys")
    learner = learner_of(frames, painted, replace(TINY, steps=4))
    learner.learn()
    model_file.save(learner, sequence, path, finished=finished)
    return path, sequence


def content_of(path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """The header and the tensors of a file."""
    with safe_open(path, "pt") as file:
        return file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def test_without_the_weights_of_vgg_a_setting_of_stylize_is_named_that_needs_none(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv(CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingWeights, match=r"perceptual=vgg16 needs .*Without a download: perceptual=auto$"):
        open_perceptual("vgg16", CPU)


def test_a_film_that_ends_early_is_told_before_any_learning(frames):
    film = Film(lambda: iter(Image.fromarray(frame) for frame in frames[:5]), 8)
    with pytest.raises(StyleError, match="5 of its 8 frames can be read"):
        list(film.pictures())


@pytest.mark.parametrize(
    ("keys", "masks", "message"),
    [
        ([3], None, "expected keyframes as pictures by the number of their frame"),
        ({3: "painted"}, [3], "expected masks as pictures by the number"),
        ({"3": "painted"}, None, "expected the number of a painted frame as a whole number, got '3'"),
        ({3.0: "painted"}, None, "as a whole number, got 3.0"),
        ({True: "painted"}, None, "as a whole number, got True"),
    ],
)
def test_keyframes_that_are_none_are_told(frames, painted, keys, masks, message, tmp_path):
    if isinstance(keys, dict):
        keys = dict.fromkeys(keys, painted[3])
    with pytest.raises(StyleError, match=message):
        stylize(frames, keys, masks, settings=TINY, progress=False)


def test_numbers_of_numpy_are_numbers(frames, painted):
    size, count = (48, 48), len(frames)
    white = np.full((48, 48), 255, np.uint8)
    (key,) = read_keys({np.int64(3): painted[3]}, {np.int32(3): white}, size, count)
    assert key.number == 3 and type(key.number) is int and key.mask.all()
    (key,) = read_keys({3: painted[3]}, {3: np.eye(48, dtype=bool)}, size, count)
    assert key.mask.sum() == 48


@pytest.mark.parametrize("seed", [-1, 10**30, 1.5, "a"])
def test_seeds_that_are_none_are_told(frames, painted, seed):
    with pytest.raises(ValueError, match="expected seed as a whole number from 0 to"):
        stylize(frames, {3: painted[3]}, settings=TINY, seed=seed, progress=False)


def test_every_seed_of_the_other_commands_is_one_here(frames, painted):
    whole = {"settings": replace(TINY, steps=2), "progress": False}
    assert len(stylize(frames, {3: painted[3]}, seed=2**63 - 1, **whole)) == len(frames)
    learner = learner_of(frames, painted, TINY)
    drawn = []
    learner.bank = SimpleNamespace(draw=lambda size, generator: drawn.append(generator.initial_seed()) or 1 / 0)
    for seed, first in ((10**12, 10**12 * 1_000_003), (2**63 - 1, (2**63 - 1) * 1_000_003 % 2**63)):
        learner.seed = seed
        with pytest.raises(ZeroDivisionError):
            Learner.take_step(learner)
        assert drawn[-1] == first  # what a smaller seed drew before


def test_learning_that_diverges_is_told_and_a_search_goes_on(frames, painted):
    wild = replace(TINY, learning_rate=1e20, steps=8)
    with pytest.raises(StyleError, match="learning diverged within 4 steps: expected a smaller learning_rate"):
        stylize(frames, {3: painted[3]}, settings=wild, progress=False)
    learner = learner_of(frames, painted, TINY)
    film = Film(lambda: iter(Image.fromarray(frame) for frame in frames), len(frames))
    lesson = prepare(film, read_keys({3: painted[3]}, None, film.size, film.count), TINY, 0, None, flow_between)
    grid = {"learning_rate": (1e-3, 1e20)}
    tame, torn = search(lesson, replace(TINY, steps=4), 0, CPU, minutes=1, grid=grid)
    assert np.isfinite(tame.error) and torn.error == np.inf
    learner.take_step()
    learner.look()
    with torch.no_grad():
        next(learner.network.parameters()).fill_(float("nan"))
    assert not learner.look().best and learner.best_step == 1  # what was good is kept


def test_a_finished_style_goes_on_with_more_and_begins_anew_with_fewer(frames, painted, tmp_path):
    file, sequence = learnt(frames, painted, tmp_path, finished=True)
    more = learner_of(frames, painted, replace(TINY, steps=8))
    assert not model_file.go_on(more, sequence, file) and more.step == 4
    more.learn()
    whole = learner_of(frames, painted, replace(TINY, steps=8))
    whole.learn()
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, more.network.state_dict()[name]), name
    model_file.save(more, sequence, file, finished=True)
    fewer = learner_of(frames, painted, replace(TINY, steps=4))
    assert not model_file.go_on(fewer, sequence, file) and fewer.step == 0
    other_tiles = learner_of(frames, painted, replace(TINY, steps=8, tile=64, carry=3))
    assert model_file.go_on(other_tiles, sequence, file)


def test_settings_of_another_kind_are_told(frames, painted):
    with pytest.raises(StyleError, match="expected settings as StyleSettings"):
        stylize(frames, {3: painted[3]}, settings={"blocks": 1}, progress=False)


def test_a_folder_in_place_of_a_style_is_told_before_learning(frames, painted, tmp_path):
    with pytest.raises(StyleError, match="is a folder: expected the name of a file for the style"):
        stylize(frames, {3: painted[3]}, settings=TINY, model_file=tmp_path, progress=False)


def test_a_damaged_state_is_told(frames, painted, tmp_path):
    path, sequence = learnt(frames, painted, tmp_path, finished=False)
    said, tensors = content_of(path)
    save_file({name: value for name, value in tensors.items() if not name.startswith("network.")}, path, said)
    with pytest.raises(StyleError, match="is damaged: delete it"):
        model_file.go_on(learner_of(frames, painted, replace(TINY, steps=8)), sequence, path)


WRONG = (None, -1, 10**30, float("nan"), "y" * 300, [[]])
WILD = {"widths": [10**6] * 6, "blocks": 10**9, "head_kernel": 10**6, "patch_size": 10**9, "tile": 7, "nothing": 1}


def test_a_style_that_says_something_else_is_one_line(frames, painted, tmp_path):
    path, sequence = learnt(frames, painted, tmp_path, finished=True)
    header, tensors = content_of(path)
    said = json.loads(header[model_file.HEADER])
    left_out = [{name: value for name, value in said.items() if name != gone} for gone in said]
    changed = [said | {name: wrong} for name in said for wrong in WRONG]
    settings = [said | {"settings": said["settings"] | {name: value}} for name, value in WILD.items()]
    texts = [json.dumps(each) for each in (*left_out, *changed, *settings)]
    texts += ["[" * 100_000, '{"a":' * 100_000, "7", "", "{"]
    refused, more = 0, learner_of(frames, painted, replace(TINY, steps=8))
    for text in texts:
        save_file(tensors, path, {model_file.HEADER: text})
        for use in (lambda: model_file.open_style(path, CPU), lambda: model_file.go_on(more, sequence, path)):
            try:
                use()
            except StyleError as error:
                assert str(error).isprintable()
                refused += 1
    assert refused > len(texts)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: {"optimizer0.0.exp_avg": torch.zeros(3)},
        lambda tensors: {"optimizer0.0.exp_avg": None},
        lambda tensors: {"optimizer0.999.exp_avg": torch.zeros(3)},
        lambda tensors: {"optimizer0.x.exp_avg": torch.zeros(3)},
        lambda tensors: {"optimizer1.7": torch.zeros(3)},
        lambda tensors: {"best.at_full.0.bias": None},
        lambda tensors: {"best.at_full.0.bias": torch.zeros(3)},
        lambda tensors: {"best.at_full.0.bias": tensors["best.at_full.0.bias"] * torch.nan},
        lambda tensors: {"network.at_full.0.bias": torch.zeros(3)},
    ],
)
def test_a_state_whose_tensors_do_not_fit_is_told(frames, painted, change, tmp_path):
    path, sequence = learnt(frames, painted, tmp_path, finished=False)
    said, tensors = content_of(path)
    tensors = {name: value for name, value in (tensors | change(tensors)).items() if value is not None}
    save_file(tensors, path, said)
    with pytest.raises(StyleError, match="is damaged: delete it"):
        model_file.go_on(learner_of(frames, painted, replace(TINY, steps=8)), sequence, path)


@pytest.mark.parametrize("change", [{"head_kernel": 2}, {"blocks": 65}, {"widths": (8, 8, 8, 8, 8, 1025)}])
def test_networks_that_nobody_learns_are_told(change, frames, painted):
    with pytest.raises(ValueError, match=next(iter(change))):
        stylize(frames, {3: painted[3]}, settings=replace(TINY, **change), progress=False)


@pytest.fixture
def small_disk():
    """Files take `limit` bytes and no more, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_weights_on_a_full_disk_are_told_and_leave_nothing(tmp_path, small_disk):
    small_disk(2000)
    with pytest.raises(OutputError, match="could not write .*w.safetensors.*nothing was left"):
        save_tensors(tmp_path / "w.safetensors", {"w": torch.zeros(10_000)}, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("learnt", [False, True])  # too little room for the style, and for the film
def test_a_full_disk_is_told_in_a_line_and_leaves_no_half_film(film, small_disk, learnt):
    words = [str(film / "film.mkv"), "--key", f"3={film / 'k3.png'}", "-o", str(film / "out.avi"), "--steps", "1"]
    words += ["--set", "widths=[4,4,4,4,4,4]", "--set", "blocks=1", "--set", "batch_size=2", "--set", "patch_size=24"]
    line = ["stylize", *words, "--set", "perceptual=none"]
    if learnt:
        assert CliRunner().invoke(app, line).exit_code == 0
        (film / "out.avi").unlink()
        (film / "out.avi.inbetween.json").unlink()
    before = {path.name for path in film.iterdir()}
    small_disk(2000)
    refused = CliRunner().invoke(app, line)
    assert refused.exit_code == 2 and "could not write" in refused.output, refused.output
    sweep(film)
    assert {path.name for path in film.iterdir()} == before
