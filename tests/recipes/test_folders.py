"""Recipes take their folders: nothing of others is replaced, no two of them train into one."""

from __future__ import annotations

import sys
from pathlib import Path

import grow_pocket
import more_latents
import pretrain_pocket
import pytest
import refine_decoder
import torch
import train_refinement

from gen_inbetween.runtime.outputs import CLAIM, OutputError
from gen_inbetween.runtime.recipe import claim_run, training_alone

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "train"
RECIPES = {
    "grow_pocket": (grow_pocket, "pocket_grown.yaml", "pipeline"),
    "refine_decoder": (refine_decoder, "pocket_decoder.yaml", "vae"),
    "pretrain_pocket": (pretrain_pocket, "pocket_vae.yaml", "codes.safetensors"),
    "train_refinement": (train_refinement, None, "checkpoint.pt"),
    "more_latents": (more_latents, None, "photo.png"),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_file_of_somebody_else_is_not_replaced(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, config, taken = RECIPES[name]
    (tmp_path / taken).write_text("mine")
    words = ["--output", str(tmp_path)] if config is None else [str(CONFIGS / config), f"output={tmp_path}"]
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *words])
    with pytest.raises(SystemExit) as left:
        recipe.main()
    assert left.value.code == 2 and "gen_inbetween did not make" in capsys.readouterr().err
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(taken, "mine")]


def test_a_folder_from_before_there_were_claims_is_known_by_its_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "pipeline" / "unet").mkdir(parents=True)
    with pytest.raises(OutputError):
        claim_run(tmp_path, ["checkpoint.pt"], ["pipeline"])
    torch.save({"step": 3, "weights": torch.zeros(2)}, tmp_path / "checkpoint.pt")
    claim_run(tmp_path, ["checkpoint.pt"], ["pipeline"])
    assert (tmp_path / CLAIM).is_file()


def test_two_trainings_into_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import finetune_backward

    monkeypatch.chdir(tmp_path)
    with training_alone(tmp_path / "out"), pytest.raises(SystemExit) as left:
        in_thread(lambda: finetune_backward.main([f"output={tmp_path / 'out'}"]))
    assert left.value.code == 2
    with training_alone(tmp_path / "out"):
        pass


def in_thread(call) -> None:
    """Call as another run would: what this one has reserved is not its own."""
    import contextvars

    contextvars.Context().run(call)
