"""The decoder's recipe: a cut run ends the same, a round trip that trembles costs more than a steady one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from clip_banks import Bank
from refine_decoder import Run, Trainer, decoder_loss, held_out_scores

from gen_inbetween.runtime.config import load
from gen_inbetween.training.state import ResumeError

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "train" / "pocket_decoder.yaml"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    shape = {"bank_frames": 3, "num_frames": 2, "sizes": (32, 64), "batch": 1}
    return Run(tmp_path, (Bank("plain", 2),), tmp_path / "clips", steps=2, decay=1, warmup=1, **shape)


def test_a_cut_run_ends_with_the_weights_of_one_that_was_not(run: Run) -> None:
    straight, cut = Trainer(run), Trainer(run)
    straight.step()
    straight.step()
    cut.step()
    cut.save()
    resumed = Trainer(run)
    assert resumed.done == 1
    resumed.step()
    for mine, theirs in zip(straight.averaged.parameters(), resumed.averaged.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    encoder = straight.averaged_vae().encoder.state_dict()
    assert all(torch.equal(encoder[name], weight) for name, weight in Trainer(run).vae.encoder.state_dict().items())


def test_a_run_goes_on_with_its_own_settings_but_for_its_end(run: Run) -> None:
    Trainer(run).save()
    assert Trainer(replace(run, steps=9)).done == 0
    with pytest.raises(ResumeError, match="seed was 0, is now 1"):
        Trainer(replace(run, seed=1))


def test_an_error_that_changes_in_time_costs_more_than_one_that_does_not() -> None:
    true = torch.zeros(1, 4, 3, 8, 8)
    steady = torch.full_like(true, 0.1)
    trembling = steady * torch.tensor([1.0, -1.0, 1.0, -1.0]).view(1, -1, 1, 1, 1)
    assert decoder_loss(trembling, true) > decoder_loss(steady, true) > decoder_loss(true, true) == 0


def test_scores_come_for_each_size_and_world(run: Run) -> None:
    scores = held_out_scores(Trainer(run).vae, run, 1)
    assert [line.split(":")[0] for line in scores.split("; ")] == [
        f"{world}, {size} px" for size in (32, 64) for world in ("plain", "rich")
    ]


def test_the_config_is_read() -> None:
    run = load(Run, CONFIG)
    assert replace(run, steps=1).latent_noise > 0
