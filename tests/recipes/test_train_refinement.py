"""Training of the refinement: crops of film with their flow, batches by seed, exact resume."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import train_refinement
from PIL import Image
from safetensors.torch import load_file
from scipy.ndimage import gaussian_filter

from gen_inbetween.data.clips import DataError
from gen_inbetween.interpolation import InterpolatorError, load_interpolator
from gen_inbetween.interpolation.dis_flow import dis_flow
from gen_inbetween.interpolation.networks.motion_refinement import Refinement
from gen_inbetween.training.interpolator.film_crops import film_crops


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 frames that pan by a pixel each."""
    folder = tmp_path_factory.mktemp("films") / "pan"
    folder.mkdir()
    noise = np.random.default_rng(0).standard_normal((220, 260, 3))
    detail, shapes = (gaussian_filter(noise, (sigma, sigma, 0)) for sigma in (2, 12))
    pixels = 127 + 30 * detail / detail.std() + 40 * shapes / shapes.std()
    picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    for number in range(24):
        picture.crop((number, 0, number + 230, 220)).save(folder / f"{number:02}.png")
    return folder


def test_crops_are_triplets_of_one_place_with_their_flow(film: Path) -> None:
    crops = film_crops(film, 6, 192, dis_flow, seed=0)
    assert crops.frames.shape == (6, 3, 3, 192, 192) and crops.flows.shape == (6, 4, 192, 192)
    assert ((crops.times > 0) & (crops.times < 1)).all()
    for flows, time, frames in zip(crops.flows, crops.times, crops.frames, strict=True):
        across = float(np.median(flows[0]))
        np.testing.assert_allclose(np.median(flows[2]), -across, atol=0.5)  # the way back
        moved = round(across * float(time.squeeze()))
        inner = (slice(None), slice(24, -24), slice(48, -48))
        there = np.roll(frames[0], moved, axis=2)[inner].astype(int)
        assert np.abs(there - frames[1][inner]).mean() < 0.7 * np.abs(frames[0].astype(int) - frames[1])[inner].mean()
    again = film_crops(film, 6, 192, dis_flow, seed=0)
    assert all(np.array_equal(one, other) for one, other in zip(crops, again, strict=True))
    assert not np.array_equal(film_crops(film, 6, 192, dis_flow, seed=1).frames, crops.frames)


def test_a_film_that_stands_still_gives_no_crops(film: Path, tmp_path: Path) -> None:
    still = tmp_path / "still"
    still.mkdir()
    for number in range(4):
        Image.new("RGB", (200, 200), (9, 9, 9)).save(still / f"{number}.png")
    none = film_crops(still, 2, 192, dis_flow, seed=0)
    assert [len(part) for part in none] == [0, 0, 0]
    assert len(train_refinement.all_films([still, film], 2, 0).frames) == 2
    with pytest.raises(DataError, match="in which something moves"):
        train_refinement.all_films([still], 2, 0)


def test_batches_turn_flows_with_the_frames(film: Path) -> None:
    """However a batch is mirrored, transposed or turned in time, its flow still leads from a to b."""
    crops = film_crops(film, 6, 192, dis_flow, seed=0)
    turned = set()
    for step in range(8):
        a, _, b, flows, times = train_refinement.batch_at(crops, step, 2, seed=0)
        assert times.shape == (2, 1, 128, 128)
        turned.add(tuple(flows[0, :2].flatten(1).median(1).values.sign().tolist()))
        inner = (..., slice(40, -40), slice(40, -40))
        found = train_refinement.pair_motion(a, b, flows[:, :2], flows[:, 2:])
        assert float(found.explained0[inner].mean()) > 0.5 and float(found.trust0[inner].mean()) > 0.5
    assert len(turned) > 1


def test_a_run_goes_on_as_if_it_had_never_stopped(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def run(name: str, steps: int, every: int, more: str = "--per-film 4") -> dict[str, torch.Tensor]:
        words = f"--films {film.parent} --output {tmp_path / name} --steps {steps} --every {every} --batch 1"
        monkeypatch.setattr(sys, "argv", ["train_refinement.py", *f"{words} --drawn 8 {more}".split()])
        monkeypatch.setattr(train_refinement, "rate_at", lambda step, steps: 1.0)  # the planned end does not matter
        train_refinement.main()
        return load_file(tmp_path / name / "refinement.safetensors")

    whole = run("whole", 4, 4)
    run("parts", 2, 2)
    parts = run("parts", 4, 2)
    assert whole.keys() == Refinement().state_dict().keys()
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    assert float(whole["head.1.weight"].abs().max()) > 0
    opened = load_interpolator(tmp_path / "whole" / "refinement.safetensors")
    assert "4 steps" in opened.info.version and opened.info.kind == "index" and opened.info.parameters > 4e5
    a, b = torch.rand(2, 1, 3, 40, 50, generator=torch.Generator().manual_seed(0)).unbind()
    assert opened(a, b, 0.5).shape == a.shape
    run("parts", 5, 2)  # the last steps, too, are kept
    assert "5 steps" in load_interpolator(tmp_path / "parts" / "refinement.safetensors").info.version
    with pytest.raises(InterpolatorError, match="is of kind index"):
        load_interpolator(tmp_path / "whole" / "refinement.safetensors", "time")
    with pytest.raises(SystemExit):
        run("parts", 6, 2, "--per-film 3")
    assert "per_film was 4, is now 3" in capsys.readouterr().err


def test_crops_of_other_options_are_made_anew(tmp_path: Path) -> None:
    asked = []

    def build() -> train_refinement.Crops:
        asked.append(1)
        return train_refinement.Crops(*(np.full(2, len(asked)) for _ in train_refinement.Crops._fields))

    of_two, again, of_three = (
        train_refinement.kept(tmp_path / "crops.npz", made_of, build) for made_of in ("2", "2", "3")
    )
    assert (of_two.frames == 1).all() and (again.frames == 1).all() and (of_three.frames == 2).all()


def test_the_learning_rate_rises_stays_and_falls() -> None:
    rates = [train_refinement.rate_at(step, 1000) for step in (0, 49, 99, 400, 699, 850, 999)]
    assert rates == pytest.approx([0.01, 0.5, 1, 1, 1, 0.5, 1 / 300])
    assert train_refinement.rate_at(400, 1000) == train_refinement.rate_at(400, 5000)
