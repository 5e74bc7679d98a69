"""The recipe of the bundled model, on a model small enough for a test: it resumes exactly, it writes what it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pretrain_pocket as recipe
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from gen_inbetween.runtime.config import ConfigError, load
from gen_inbetween.training.state import ResumeError

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "train"


@pytest.fixture
def small(tmp_path: Path) -> list[str]:
    """Overrides that make either stage small."""
    return [
        f"output={tmp_path}", f"data.folder={tmp_path / 'clips'}", "data.clips=3", "data.num_frames=4", "data.size=32",
        "optimiser.warmup=2", "checkpoint_every=2",
    ]  # fmt: skip


@pytest.fixture
def run(small: list[str]) -> recipe.Run:
    phase = "phases=[{start: 0, batch: 2, num_frames: 2, crop: 16}]"
    return load(recipe.Run, CONFIGS / "pocket_vae.yaml", [*small, phase, "optimiser.steps=6"])


def fit_line(run: recipe.Run, die_at: int | None = None, die_looking: bool = False) -> tuple[nn.Module, list[str]]:
    """A linear model through the shared loop; `die_at` stands for a kill in that step, or while the model is shown."""
    torch.manual_seed(0)
    model = nn.ModuleDict({"line": nn.Linear(3, 1)})
    steps, looks = [], []

    def loss_of(phase: recipe.Phase, generator: torch.Generator) -> Tensor:
        steps.append(1)
        if die_at is not None and len(steps) > die_at:
            raise KeyboardInterrupt
        x = torch.randn(8, 3, generator=generator)
        return (model["line"](x) - x.sum(1, keepdim=True)).square().mean()

    def look(model: nn.Module, name: str) -> None:
        if die_looking:
            raise KeyboardInterrupt
        looks.append(name)

    return recipe.train(run, model, loss_of, look), looks


def test_a_killed_run_ends_like_one_that_was_not(run: recipe.Run, tmp_path: Path) -> None:
    straight, looks = fit_line(run)
    (tmp_path / "vae.checkpoint.pt").unlink()
    with pytest.raises(KeyboardInterrupt):
        fit_line(run, die_at=5)
    resumed, _ = fit_line(run)
    for name, weight in straight.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name
    assert looks == ["vae_000006"]
    assert not list(tmp_path.glob("*.tmp"))


def test_a_run_goes_on_with_its_own_settings_but_for_its_end(run: recipe.Run) -> None:
    fit_line(run)
    assert fit_line(replace(run, checkpoint_every=3))[1] == []  # it is at its end
    with pytest.raises(ResumeError, match="seed was 0, is now 5"):
        fit_line(replace(run, seed=5))


def test_a_run_that_is_killed_while_it_writes_its_pipeline_writes_it_when_it_goes_on(run: recipe.Run) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit_line(run, die_looking=True)
    assert fit_line(run)[1] == ["vae_000006"]


def test_both_stages_write_a_pipeline(
    run: recipe.Run, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "ProcessPoolExecutor", InThisProcess)
    recipe.train_vae(run)
    assert (tmp_path / "sheets" / "vae_000006.png").exists()
    steps = ["optimiser.steps=2", "phases=[{start: 0, batch: 2, num_frames: 2}]", "model.num_frames=4"]
    recipe.train_unet(load(recipe.Run, CONFIGS / "pocket_unet.yaml", [*small, *steps]))
    weights = load_file(tmp_path / "pipeline" / "unet" / "diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    assert all(tensor.isfinite().all() for tensor in weights.values())
    assert (tmp_path / "sheets" / "unet_000002.png").exists()


def test_the_shipped_configs_are_read_and_a_typo_is_named() -> None:
    for name in ("pocket_vae", "pocket_unet"):
        assert load(recipe.Run, CONFIGS / f"{name}.yaml").optimiser.steps > 1000
    with pytest.raises(ConfigError, match="latent_noise"):
        load(recipe.Run, CONFIGS / "pocket_vae.yaml", ["latent_nose=1"])


class InThisProcess:
    """`ProcessPoolExecutor` without processes."""

    def __init__(self, workers: int | None) -> None:
        pass

    def __enter__(self) -> InThisProcess:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def map(self, function, *arguments, chunksize: int):  # noqa: ANN001, ANN201
        return map(function, *arguments)


def test_the_encoder_computes_the_patch_codes() -> None:
    """The convolutions written down by `write_into` are the projection on the components, also after fp16 storage."""
    frames = recipe.to_signal(torch.from_numpy(recipe.draw(3, 14, 64)[0]))
    codes = recipe.PatchCodes.fit(frames, 16)
    assert codes(frames).square().mean().item() == pytest.approx(1, abs=0.05)
    model = load(recipe.Run, CONFIGS / "pocket_vae.yaml").model
    vae = recipe.AutoencoderKLTemporalDecoder(**model)
    codes.write_into(vae, noise=0.05)
    vae.half().float()
    with torch.no_grad():
        posterior = vae.encode(frames[::5]).latent_dist
    assert torch.allclose(posterior.mode(), codes(frames[::5]), atol=0.02)
    assert torch.allclose(posterior.std, torch.tensor(0.05), rtol=1e-2)
