"""The recipe of backward motion on a tiny random model: it survives kills, its caches change nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import finetune_backward as recipe
import pytest
import torch
from diffusers.training_utils import EMAModel
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from gen_inbetween.data.clips import SyntheticClips
from gen_inbetween.diffusion.checkpoints import load_motion, save_motion
from gen_inbetween.diffusion.motion import motion_state_dict
from gen_inbetween.memory.counter import counted
from gen_inbetween.runtime.config import load
from gen_inbetween.runtime.hub import MOTION_FILE
from gen_inbetween.training.gradient_checkpointing import enable_gradient_checkpointing
from gen_inbetween.training.latents import Encoder
from gen_inbetween.training.loss import batch_loss
from gen_inbetween.training.sample_order import batches_of_sample_indices, clip_index, seeded
from gen_inbetween.training.settings import Optimizer, Run
from gen_inbetween.training.setup import open_optimizer
from gen_inbetween.training.state import TrainingState, checkpoints
from gen_inbetween.training.validation import held_out_losses, noise_levels

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tiny_folder: Path, tmp_path: Path):
    """`run("name", "key=value", ..., resume=None)`: four steps, two clips each, into the folder it returns."""
    config = tmp_path / "run.yaml"
    config.write_text(
        f"model: {tiny_folder}\noutput: {tmp_path}\nsteps: 4\nbatch_size: 2\nema: 0.5\nreport_to: none\n"
        "clip: {num_frames: 3, width: 16, height: 16}\ndata: {synthetic: {first_seed: 0, count: 3}}\n"
        "optimizer: {lr: 0.01, lr_warmup_steps: 2}\ncheckpointing_steps: 2\n"
    )

    def start(name: str, *overrides: str, resume: str | None = None) -> Path:
        arguments = ["--config", str(config), f"output={tmp_path / name}", *overrides]
        recipe.main([*arguments, "--resume", resume] if resume else arguments)
        return tmp_path / name

    return start


def update_of(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / MOTION_FILE)


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor], atol: float = 0.0) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=atol)


def test_a_killed_run_ends_like_one_that_was_not(run, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = run("straight")
    steps = []
    take_step = recipe.take_step

    def killed(*arguments):
        steps.append(1)
        if len(steps) == 4:  # one step after the checkpoint of step 2
            raise KeyboardInterrupt
        return take_step(*arguments)

    monkeypatch.setattr(recipe, "take_step", killed)
    with pytest.raises(KeyboardInterrupt):
        run("resumed")
    monkeypatch.undo()
    resumed = run("resumed", resume="latest")
    assert any(value.any() for value in update_of(straight).values())
    assert_same(update_of(resumed), update_of(straight))
    states = [torch.load(checkpoints(folder)[-1][1], weights_only=True) for folder in (straight, resumed)]
    assert_same(states[0]["update"], states[1]["update"])
    assert states[0]["step"] == states[1]["step"] == 4


def test_a_checkpoint_holds_the_update_and_not_the_unet(run, tiny_pipe) -> None:
    folder = run("out")
    state = torch.load(checkpoints(folder)[-1][1], weights_only=True)
    names = motion_state_dict(tiny_pipe(motion="full").unet).keys()
    assert state["update"].keys() == names and len(state["ema"]["shadow_params"]) == len(names)
    assert set(state["parts"]) == {"optimizer", "schedule"}
    assert [step for step, _ in checkpoints(folder)] == [2, 4]
    assert not list(folder.glob(".*"))


def test_training_from_the_cache_is_training_without_it(run, tmp_path: Path) -> None:
    plain = run("plain")
    cached = run("cached", f"data.cache={tmp_path / 'latents'}")
    again = run("again", f"data.cache={tmp_path / 'latents'}")
    assert_same(update_of(cached), update_of(plain))
    assert_same(update_of(again), update_of(plain))


def test_how_a_step_is_cut_into_batches_changes_nothing_but_rounding(run) -> None:
    whole = run("whole")
    parts = run("parts", "batch_size=1", "gradient_accumulation_steps=2", "gradient_checkpointing=false")
    assert_same(update_of(parts), update_of(whole), atol=1e-3)  # AdamW's first steps have the size of lr, 1e-2


@pytest.mark.parametrize("processes", [1, 2])
def test_all_processes_together_take_each_place_once(processes: int) -> None:
    of_step = []
    for step in range(2):
        parts = [batches_of_sample_indices(range(step, step + 1), 2, 3, rank, processes) for rank in range(processes)]
        of_step.append(sorted(place for part in parts for batch in part for place in batch))
    count = 6 * processes
    assert of_step == [list(range(count)), list(range(count, 2 * count))]


def test_recomputing_keeps_less_and_gives_the_same_gradients(tiny_pipe) -> None:
    pipe = tiny_pipe(motion="full", dtype=torch.float64)
    clip = Encoder(tiny_pipe(), 0.02, seed=0)(SyntheticClips(0, 1, num_frames=3, size=16)[0], 0)
    told = {"seed": 0, "mean": 0.7, "std": 1.6, "device": torch.device("cpu"), "dtype": torch.float64}
    gradients, kept = [], []
    for switch in (lambda unet: None, lambda unet: unet.enable_gradient_checkpointing(), enable_gradient_checkpointing):
        switch(pipe.unet.train())
        with counted() as cost:
            loss = batch_loss(pipe.unet, [0], [clip], **told)
            kept.append(cost.live)
        loss.backward()
        gradients.append({name: weight.grad for name, weight in pipe.unet.named_parameters() if weight.requires_grad})
        pipe.unet.zero_grad()
    assert kept[0] > 1.2 * kept[1] > 1.2 * 1.2 * kept[2]
    for part in gradients[1:]:
        assert_same(part, gradients[0], atol=1e-12)


def test_every_clip_comes_once_an_epoch() -> None:
    drawn = [clip_index(place, 5, seed=1) for place in range(15)]
    epochs = [drawn[first : first + 5] for first in (0, 5, 10)]
    assert all(sorted(epoch) == list(range(5)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_a_place_has_its_noise_in_any_batch(tiny_pipe) -> None:
    pipe = tiny_pipe(motion="full", dtype=torch.float64)
    encoder = Encoder(tiny_pipe(), 0.02, seed=0)
    source = SyntheticClips(0, 2, num_frames=3, size=16)
    clips = [encoder(source[index], index) for index in range(2)]
    told = {"seed": 0, "mean": 0.7, "std": 1.6, "device": torch.device("cpu"), "dtype": torch.float64}
    with torch.no_grad():
        apart = [batch_loss(pipe.unet, [place], [clip], **told) for place, clip in enumerate(clips)]
        together = batch_loss(pipe.unet, [0, 1], clips, **told)
    torch.testing.assert_close(together, (apart[0] + apart[1]) / 2)
    assert apart[0] != apart[1]


def test_lora_learns_and_loads(run, tiny_pipe) -> None:
    folder = run("lora", "update={kind: lora, rank: 2, alpha: 4}", "ema=null", "gradient_checkpointing=true")
    unet = tiny_pipe().unet
    info = load_motion(unet, folder / MOTION_FILE)
    assert (info.rank, info.alpha, info.num_frames, info.metadata["steps"]) == (2, 4.0, 3, 4)
    factors = motion_state_dict(unet)
    assert all(value.any() for name, value in factors.items() if name.endswith("lora_B.weight"))


def test_a_motion_without_rotation_learns_and_loads(run, tiny_pipe) -> None:
    folder = run("unrotated", "update={rotate: false, projections: qkvo}")
    info = load_motion(unet := tiny_pipe().unet, folder / MOTION_FILE)
    assert not info.rotate and info.metadata["recipe"]["update.projections"] == "qkvo"
    assert all(value.any() for value in motion_state_dict(unet).values())


def test_a_milestone_is_the_motion_of_a_run_that_ended_there(run) -> None:
    short = run("short", "steps=3")
    folder = run("long", "milestones=[1, 3]")
    assert sorted(path.name for path in folder.glob("*.safetensors")) == [
        "backward_motion.safetensors", "backward_motion_1.safetensors", "backward_motion_3.safetensors",
    ]  # fmt: skip
    assert_same(load_file(folder / "backward_motion_3.safetensors"), update_of(short))


def test_a_milestone_beyond_the_last_step_is_refused_before_the_model_is_opened(run, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit):
        run("beyond", "milestones=[1, 500]")
    assert "milestones: 500 is beyond the run's 4 steps" in capsys.readouterr().err


def test_validation_writes_comparable_losses_and_a_sheet(run, tiny_pipe) -> None:
    validation = "{data: {synthetic: {first_seed: 90, count: 1}}, every: 2, num_inference_steps: 1, sheet_clips: 1}"
    folder = run("validated", f"validation={validation}")
    files = sorted(path.name for path in (folder / "validation").iterdir())
    steps = ("0000000", "0000002", "0000004")  # the first: before anything is learned
    assert files == [f"{step}.{kind}" for step in steps for kind in ("json", "png")]
    assert Image.open(folder / "validation" / "0000004.png").width > 0
    assert_same(update_of(folder), update_of(run("bare")))  # looking does not disturb


def test_held_out_losses_have_fixed_noise(tiny_pipe) -> None:
    pipe = tiny_pipe(motion="full")
    clip = Encoder(pipe, 0.02, seed=0)(SyntheticClips(0, 1, num_frames=3, size=16)[0], 0)
    levels = noise_levels(0.7, 1.6)
    told = {"seed": 3, "device": pipe.device, "dtype": torch.float32}
    first, second = (held_out_losses(pipe.unet, [clip], levels, **told) for _ in range(2))
    assert first == second and len(first) == len(levels) + 1
    assert levels[2] == pytest.approx(2.01, abs=0.01)
    alike = held_out_losses(pipe.unet, [clip], noise_levels(0.7, 1e-4), **told)
    (loss,) = (value for name, value in alike.items() if name != "mean")
    assert 0.5 * loss < alike["mean"] < 2 * loss


def test_weight_decay_pulls_towards_svd() -> None:
    update = torch.nn.Parameter(torch.ones(3))
    optimizer, schedule = open_optimizer(
        [update], Optimizer(lr=0.1, lr_warmup_steps=1, weight_decay=0.5), torch.device("cpu")
    )
    for _ in range(2):
        update.grad = torch.zeros(3)
        optimizer.step()
        schedule.step()
    torch.testing.assert_close(update.data, torch.full((3,), (1 - 0.05 * 0.5) * (1 - 0.1 * 0.5)))


def test_the_average_lags_and_is_lent(tiny_pipe) -> None:
    unet = tiny_pipe(motion="full").unet
    state = TrainingState(unet, {}, None, {}, {})
    state.ema = EMAModel(state.learning, decay=0.9)
    before = [weight.detach().clone() for weight in state.learning]
    for _ in range(2):
        with torch.no_grad():
            for weight in state.learning:
                weight.add_(1)
        state.ema.step(state.learning)  # the decay is 0 at first, then (1 + 1) / (10 + 1)
    with state.averaged():
        for weight, start in zip(state.learning, before, strict=True):
            torch.testing.assert_close(weight.detach(), start + 1 * 2 / 11 + 2 * 9 / 11)
    for weight, start in zip(state.learning, before, strict=True):
        torch.testing.assert_close(weight.detach(), start + 2)


def test_a_run_goes_on_from_a_motion(run, tiny_pipe, tmp_path: Path) -> None:
    save_motion(tiny_pipe(motion="full").unet, tmp_path / "start.safetensors", {"base_model": "tiny"})
    folder = run("more", f"update.start={tmp_path / 'start.safetensors'}", "steps=1", "optimizer.lr=1e-9")
    assert_same(update_of(folder), load_file(tmp_path / "start.safetensors"), atol=1e-3)


def test_seeds_and_purposes_do_not_meet() -> None:
    draws = {
        torch.rand(1, generator=seeded(*numbers)).item() for numbers in [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    }
    assert len(draws) == 4


@pytest.mark.parametrize(
    ("overrides", "resume", "message"),
    [
        (["optimizer.lrr=1"], None, "did you mean 'optimizer.lr'"),
        (["steps=0"], None, "steps"),
        (["data.folder=nowhere"], None, "either data.folder or data.synthetic, got both"),
        (["data.synthetic=null"], None, "either data.folder or data.synthetic, got none"),
        (["data={folder: nowhere}"], None, "no such folder of clips"),
        (["clip.width=18"], None, "multiples of 4"),
        (["clip.height=32"], None, "synthetic clips are square"),
        (["model=nowhere/at/all"], None, "no model folder"),
        (["report_to=tensorbored"], None, "'tensorbored' is not installed"),
        (["update.start=nowhere"], None, "no motion file"),
        (["update.projections=qkvo"], None, "set rotate=false, or keep projections=vo"),
        ([], "checkpoint_0000007.pt", "no checkpoint at"),
        (
            ["validation={data: {synthetic: {first_seed: 9, count: 1}, cache: held_out}}"],
            None,
            "validation.data.cache: held-out clips are encoded once",
        ),
    ],
)
def test_bad_input_is_one_line(
    run, capsys, monkeypatch, overrides: list[str], resume: str | None, message: str
) -> None:
    monkeypatch.setattr(recipe, "take_step", lambda *_: pytest.fail("the training began"))
    with pytest.raises(SystemExit) as exit:
        run("bad", *overrides, resume=resume)
    said = capsys.readouterr().err.splitlines()[-1]
    assert exit.value.code == 2 and message in said and said.startswith("error: ")


def test_a_loss_that_is_no_number_ends_the_run_in_a_line(run, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    run("out", "steps=2")
    monkeypatch.setattr(
        recipe, "batch_loss", lambda unet, *_, **__: sum(p.sum() for p in unet.parameters()) * torch.nan
    )
    with pytest.raises(SystemExit) as exit:
        run("out", resume="latest")
    said = capsys.readouterr().err.splitlines()[-1]
    assert exit.value.code == 2 and said.startswith("error: the loss is nan at step 2: start anew")
    monkeypatch.undo()
    assert [step for step, _ in checkpoints(run("out", resume="latest"))] == [2, 4]  # nothing of it was kept


def test_eight_bit_says_what_to_install(run, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(SystemExit):
        run("bad", "optimizer.use_8bit_adam=true")
    assert "pip install" in capsys.readouterr().err


def test_resuming_is_refused_where_it_would_lie(run, capsys, tiny_pipe, tmp_path: Path) -> None:
    folder = run("out", "steps=1")
    save_motion(tiny_pipe(motion="lora").unet, tmp_path / "lora.safetensors", {"base_model": "tiny"})
    own = tiny_pipe(motion="full", rotate=False, projections="qkvo").unet
    save_motion(own, tmp_path / "own.safetensors", {"base_model": "tiny"})
    tiny_pipe(seed=1).save_pretrained(tmp_path / "other")
    table = [
        ([], None, "holds an earlier run"),
        (["optimizer.lr=0.5"], "latest", "optimizer.lr was 0.01, is now 0.5"),
        (["batch_size=4"], "latest", "clips_per_step was 2, is now 4"),
        (["update.kind=lora"], "latest", "update.kind"),
        (["update.rotate=false"], "latest", "update.rotate was True, is now False"),
        ([f"model={tmp_path / 'other'}"], "latest", "model was"),
        (
            [
                f"update={{kind: lora, rank: 4, alpha: 16, start: {tmp_path / 'lora.safetensors'}}}",
                f"output={tmp_path / 'b'}",
            ],
            None,
            "set update.alpha=8",
        ),
        ([f"update.start={tmp_path / 'lora.safetensors'}", f"output={tmp_path / 'b'}"], None, "set update.kind=lora"),
        (
            [f"update.start={tmp_path / 'own.safetensors'}", f"output={tmp_path / 'b'}"],
            None,
            "set update.rotate=False, up",
        ),
    ]
    for overrides, resume, message in table:
        with pytest.raises(SystemExit):
            run("out", *overrides, resume=resume)
        assert message in capsys.readouterr().err
    (folder / "checkpoint_0000001.pt").write_bytes(b"cut off")
    with pytest.raises(SystemExit):
        run("out", resume="latest")
    assert "not a checkpoint that can be read" in capsys.readouterr().err


def test_resuming_on_other_weights_is_refused(run, capsys, tiny_pipe, tmp_path: Path) -> None:
    tiny_pipe().save_pretrained(tmp_path / "base")
    run("out", f"model={tmp_path / 'base'}", "steps=1")
    tiny_pipe(seed=1).save_pretrained(tmp_path / "base")
    with pytest.raises(SystemExit):
        run("out", f"model={tmp_path / 'base'}", "steps=2", resume="latest")
    assert "trained on" in capsys.readouterr().err


def test_resuming_on_other_clips_is_refused(run, capsys, tmp_path: Path) -> None:
    films = tmp_path / "films"

    def film(name: str) -> None:
        (films / name).mkdir(parents=True)
        for number in range(6):
            Image.new("RGB", (16, 16), (40 * number, 0, 0)).save(films / name / f"{number}.png")

    data = (f"data={{folder: {films}, stride: 1, skip_scene_cuts: false}}",)
    film("b")
    folder = run("out", *data, "steps=1")
    film("a")
    with pytest.raises(SystemExit):
        run("out", *data, "steps=2", resume="latest")
    assert "trained on other clips" in capsys.readouterr().err
    checkpoint = folder / "checkpoint_0000001.pt"
    state = torch.load(checkpoint, weights_only=True)
    torch.save({key: value for key, value in state.items() if key != "clips"}, checkpoint)
    run("out", *data, "steps=2", resume="latest")  # an earlier version's


def test_latest_of_nothing_is_a_start_and_of_the_end_is_the_end(run, capsys) -> None:
    folder = run("out", "steps=2", resume="latest")
    before = update_of(folder)
    run("out", "steps=2", resume="latest")
    assert_same(update_of(folder), before)
    assert "all 2 steps were done before" in capsys.readouterr().out
    longer = run("out", "steps=3", resume="latest")
    assert [step for step, _ in checkpoints(longer)] == [2, 3]


def test_the_shipped_configurations_are_read() -> None:
    assert recipe.DEFAULT_CONFIG.name == "backward_pocket.yaml"
    runs = {path.stem: load(Run, path) for path in sorted((ROOT / "configs" / "train").glob("backward_*.yaml"))}
    published = runs["backward_svd"]
    assert (published.optimizer.lr, published.noise.mean, published.noise.std) == (1e-4, 0.7, 1.6)
    assert published.batch_size * published.gradient_accumulation_steps == 4 and published.data.stride == 2
    assert runs["backward_lora"].update.kind == "lora" and runs["backward_pocket"].model == "pocket-2"
