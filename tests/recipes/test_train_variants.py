"""The variants of the ablation: each is the shipped recipe with its one change, and is trained once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import finetune_backward as recipe
import pytest
import train_variants

from gen_inbetween.diffusion.checkpoints import load_motion
from gen_inbetween.runtime.config import load
from gen_inbetween.runtime.hub import MOTION_FILE
from gen_inbetween.training.settings import Run, weight_settings

ROOT = Path(__file__).resolve().parents[2]
VARIANTS = """
base: {base}
output: {output}
settings: [steps=1]
variants: {{plain: [], unrotated: [update.rotate=false], long: [steps=2, "milestones=[1]"]}}
"""
RECIPE = """
model: {model}
output: unused
steps: 1
report_to: none
clip: {{num_frames: 3, width: 16, height: 16}}
data: {{synthetic: {{first_seed: 0, count: 1}}}}
"""


def test_each_shipped_variant_differs_from_the_shipped_motion_by_what_its_name_says(monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    asked = load(train_variants.Variants, train_variants.VARIANTS)
    shipped = weight_settings(load(Run, asked.base, ["mixed_precision=bf16"]))  # as the model's card has it
    changes = {}
    for name, command in train_variants.commands(asked, [], []).items():
        run = load(Run, command[command.index("--config") + 1], command[command.index("latest") + 1 :])
        assert run.output == asked.output / name and run.validation is not None and run.validation.every > run.steps
        changes[name] = {key: value for key, value in weight_settings(run).items() if value != shipped[key]}
        assert ("data.synthetic.count" in changes[name]) == (run.data.cache != load(Run, asked.base).data.cache)
    assert changes.pop("no_rotation_vo") == {"update.rotate": False}
    assert changes.pop("no_rotation_qkvo") == {"update.rotate": False, "update.projections": "qkvo"}
    assert changes.pop("full") == {}
    assert changes.pop("lora_rank_16") == {"update.kind": "lora"}
    for name, changed in changes.items():
        kind, number = name.rsplit("_", 1)
        key = {"lora_rank": "update.rank", "clips": "data.synthetic.count"}[kind]
        assert changed.pop(key) == int(number) and changed in ({}, {"update.kind": "lora"})


@pytest.fixture
def variants(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`variants("--only", ...)` runs the script with the trainer in this process; its return is what was trained."""
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(model=tiny_folder))
    config = tmp_path / "variants.yaml"
    config.write_text(VARIANTS.format(base=tmp_path / "recipe.yaml", output=tmp_path / "out"))

    def in_process(command: list[str], check: bool) -> SimpleNamespace:
        assert command[:2] == [sys.executable, str(ROOT / "train" / "finetune_backward.py")]
        try:
            recipe.main(command[2:])
        except SystemExit as exit:
            return SimpleNamespace(returncode=exit.code)
        return SimpleNamespace(returncode=0)

    def start(*arguments: str) -> dict[str, list[str]]:
        monkeypatch.setattr(subprocess, "run", in_process)
        train_variants.main(["--config", str(config), *arguments])
        return {path.name: sorted(file.name for file in path.glob("*.safetensors")) for path in tmp_path.glob("out/*")}

    return start


def test_what_is_missing_is_trained_and_what_is_there_is_left(variants, tiny_pipe, tmp_path: Path, capsys) -> None:
    assert variants("--only", "unrotated") == {"unrotated": [MOTION_FILE]}
    assert not load_motion(tiny_pipe().unet, tmp_path / "out" / "unrotated").rotate
    before = (tmp_path / "out" / "unrotated" / MOTION_FILE).stat().st_mtime_ns
    assert variants() == {
        "plain": [MOTION_FILE],
        "unrotated": [MOTION_FILE],
        "long": [MOTION_FILE, "backward_motion_1.safetensors"],
    }
    assert (tmp_path / "out" / "unrotated" / MOTION_FILE).stat().st_mtime_ns == before
    said = capsys.readouterr().out
    assert "unrotated (2 of 3): update.rotate=false" in said and "all 1 steps were done before" in said


def test_a_variant_of_other_settings_is_refused_by_name(variants, capsys) -> None:
    variants("--only", "plain")
    with pytest.raises(SystemExit) as exit:
        variants("--only", "plain", "--set", "optimizer.lr=0.5")
    said = capsys.readouterr().err
    assert exit.value.code == 2 and "optimizer.lr was" in said and "error: plain was not trained" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "unrotatd"], "no variant unrotatd; expected some of plain, unrotated, long"),
        (["--set", "optimizer.lrr=1"], "did you mean 'optimizer.lr'"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_mistakes_are_found_before_the_first_run(variants, capsys, monkeypatch, arguments, message) -> None:
    monkeypatch.setattr(recipe, "main", lambda *_: pytest.fail("a training began"))
    with pytest.raises(SystemExit):
        variants(*arguments)
    assert message in capsys.readouterr().err
