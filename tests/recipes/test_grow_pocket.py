"""Growing the bundled model: widening keeps its function, Muon turns gradients orthogonal, a cut run ends the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import grow_pocket
import pytest
import torch
from clip_banks import Bank, open_banks
from diffusers import UNetSpatioTemporalConditionModel
from grow_pocket import LEVELS, Run, Trainer, held_out_losses, steady_loss, train
from muon import Muon, orthogonalised
from widening import shares, widen_top

from gen_inbetween.diffusion.edm import denoise, edm_loss
from gen_inbetween.runtime.config import load
from gen_inbetween.training.state import ResumeError

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "train" / "pocket_grown.yaml"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    banks = (Bank("plain", 2), Bank("rich", 1))
    return Run(
        tmp_path, banks, tmp_path / "clips", copies=1, num_frames=3, sizes=(32, 64), batch=1, steps=4, decay=2, warmup=2
    )


def small_unet() -> UNetSpatioTemporalConditionModel:
    torch.manual_seed(0)
    return UNetSpatioTemporalConditionModel(
        sample_size=4, in_channels=4, out_channels=2, num_frames=3, layers_per_block=1, cross_attention_dim=8,
        block_out_channels=(32, 64), num_attention_heads=(2, 4), addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=24,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
    ).eval()  # fmt: skip


def test_a_widened_unet_predicts_nearly_the_same_and_its_copies_differ() -> None:
    unet = small_unet()
    wide = widen_top(unet, 3).eval()
    assert wide.config.block_out_channels == [96, 64] and wide.config.num_attention_heads == [6, 4]
    inputs = torch.randn(2, 3, 4, 4, 4), torch.tensor([-0.5, 0.3]), torch.randn(2, 1, 8), torch.ones(2, 3)
    with torch.no_grad():
        before, after = (model(*inputs, return_dict=False)[0] for model in (unet, wide))
    assert (before - after).square().mean() < 0.1 * before.square().mean(), "two norms shift their groups, no more"
    split = wide.down_blocks[0].downsamplers[0].conv.weight
    assert not torch.allclose(split[:, 0], split[:, 1])
    with pytest.raises(ValueError, match="different widths"):
        widen_top(unet, 2)


def test_shares_of_a_column_sum_to_one() -> None:
    columns = torch.tensor([0, 0, 0, 1, 1, -1])
    factors = shares(columns, 4)
    assert torch.allclose(factors[:, :3].sum(1), torch.ones(4)) and torch.allclose(
        factors[:, 3:5].sum(1), torch.ones(4)
    )
    assert not factors[:, 5].any()


def test_orthogonalised_keeps_directions_and_evens_their_sizes() -> None:
    gradient = torch.randn(2, 6, 20, generator=torch.Generator().manual_seed(0))
    singular = torch.linalg.svdvals(orthogonalised(gradient) / (0.2 * 20**0.5))
    assert singular.min() > 0.6 and singular.max() < 1.3
    assert torch.equal(orthogonalised(gradient.mT), orthogonalised(gradient).mT)


def test_muon_fits_a_matrix_and_a_vector() -> None:
    torch.manual_seed(0)
    layer, wanted = torch.nn.Linear(5, 5), torch.nn.Linear(5, 5)
    optimiser = Muon(layer.parameters(), lr=0.03)
    for _ in range(200):
        x = torch.randn(16, 5)
        loss = (layer(x) - wanted(x)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.02


def test_the_loss_without_steadiness_is_edms() -> None:
    clean, sigma = torch.randn(2, 3, 4, 4, 4), torch.tensor([0.5, 3.0])
    denoised = clean + torch.randn(clean.shape)
    assert torch.isclose(steady_loss(denoised, clean, sigma, 0.0).mean(), edm_loss(denoised, clean, sigma))
    still = clean + torch.ones(clean.shape)
    assert torch.isclose(steady_loss(still, clean, sigma, 9.0).mean(), edm_loss(still, clean, sigma))


def test_a_cut_run_ends_with_the_weights_of_one_that_was_not(run: Run) -> None:
    straight, cut = Trainer(run), Trainer(run)
    for _ in range(4):
        straight.step()
    for _ in range(2):
        cut.step()
    cut.save()
    resumed = Trainer(run)
    assert resumed.done == 2 and len(resumed.record) == 2
    for _ in range(2):
        resumed.step()
    for mine, theirs in zip(straight.averaged.parameters(), resumed.averaged.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert straight.record == resumed.record


def test_a_run_goes_on_with_its_own_settings_but_for_its_end(run: Run) -> None:
    Trainer(run).save()
    assert Trainer(replace(run, steps=9, decay=3)).done == 0
    with pytest.raises(ResumeError, match="lr was 0.0005, is now 0.1"):
        Trainer(replace(run, lr=0.1))


def test_a_setting_that_is_none_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr("sys.argv", ["grow_pocket.py", str(CONFIG), "no_such=1"])
    with pytest.raises(SystemExit) as left:
        grow_pocket.main()
    assert left.value.code == 2
    assert "no_such" in capsys.readouterr().err.splitlines()[-1]


def test_a_run_that_is_killed_while_it_writes_its_pipeline_writes_it_when_it_goes_on(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []

    def killed(trainer: Trainer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "tell", lambda trainer: None)
    monkeypatch.setattr(Trainer, "look", killed)
    with pytest.raises(KeyboardInterrupt):
        train(Trainer(replace(run, steps=1)))
    monkeypatch.setattr(Trainer, "look", lambda trainer: looks.append(trainer.done))
    train(Trainer(replace(run, steps=1)))
    assert looks == [1]


def test_a_rate_warms_up_stays_and_falls_to_nothing(run: Run) -> None:
    rate = Trainer(replace(run, steps=10, decay=4)).rate
    assert rate(0) < rate(1) == rate(5) == run.lr and rate(8) == pytest.approx(run.lr / 2) and rate(10) == 0


def test_steps_take_the_sizes_in_turn(run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    sides: list[int] = []

    def seen(unet: torch.nn.Module, noisy: torch.Tensor, *rest: object, **told: object) -> torch.Tensor:
        sides.append(noisy.shape[-1])
        return denoise(unet, noisy, *rest, **told)

    trainer = Trainer(replace(run, held_out=1))
    monkeypatch.setattr(grow_pocket, "denoise", seen)
    for _ in range(3):
        trainer.step()
    assert sides == [4, 8, 4], "latents are an eighth of 32 and 64 pixels"
    trainer.tell()
    told = capsys.readouterr().out
    assert all(f"held out, {world}, {size} px" in told for world in ("plain", "rich") for size in (32, 64))


def test_banks_are_drawn_once(tmp_path: Path) -> None:
    banks = (Bank("plain", 2, first_seed=7), Bank("rich", 1))
    first = open_banks(banks, 3, 32, tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = open_banks(banks, 3, 32, tmp_path)
    assert first["frames"].shape == (3, 3, 32, 32, 3) and torch.equal(first["frames"], again["frames"])
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_held_out_losses_come_for_each_level(run: Run) -> None:
    trainer = Trainer(run)
    losses, at_rest = held_out_losses(trainer.pipe, trainer.unet, "rich", 32, replace(run, held_out=2))
    assert len(losses) == len(at_rest) == len(LEVELS) and all(0 < loss < 2 for loss in losses)
    assert at_rest[0] < at_rest[-1], "the more noise, the larger the error"


def test_the_config_is_read() -> None:
    assert load(Run, CONFIG).copies == 3
