"""The recipe of the flow networks on tiny ones: each kind learns, opens by its path, and survives kills."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import train_interpolator as recipe
from accelerate.state import AcceleratorState
from PIL import Image
from torch import Tensor

from gen_inbetween.interpolation.interpolator import InterpolatorError
from gen_inbetween.interpolation.networks.superslomo import MEAN, SuperSloMo
from gen_inbetween.interpolation.networks.tiny_di import TinyDI
from gen_inbetween.interpolation.registry import load_interpolator
from gen_inbetween.interpolation.weights.architectures import all_sizes, build_network
from gen_inbetween.interpolation.weights.convert import convert_interpolator
from gen_inbetween.interpolation.weights.files import INTERPOLATOR_FILE, read_weights, write_weights
from gen_inbetween.media.video_writer import write_video
from gen_inbetween.runtime.config import load
from gen_inbetween.training.interpolator.batches import layers_at, turns
from gen_inbetween.training.interpolator.checks import fill_and_check
from gen_inbetween.training.interpolator.losses import super_slomo_loss, tiny_di_loss
from gen_inbetween.training.interpolator.moving_layers import draw_triplets
from gen_inbetween.training.interpolator.recipes import VGG16, index_input, open_recipe, vgg16_features
from gen_inbetween.training.interpolator.runs import rate
from gen_inbetween.training.interpolator.settings import Optimizer, Phase, Run
from gen_inbetween.training.interpolator.validation import open_held_out
from gen_inbetween.training.sample_order import seeded
from gen_inbetween.training.state import checkpoints

ROOT = Path(__file__).resolve().parents[2]
IFNET = "network={architecture: ifnet, kind: %s, widths: [8, 8, 8], depth: 1, context_width: 2}"
NETWORKS = {
    "tiny-di": "network={widths: [8, 8], depth: 1, matching_width: 8, context_width: 2}",
    "superslomo": "network={architecture: superslomo, widths: [4, 6, 8]}",
    **{kind: IFNET % kind for kind in ("midpoint", "time", "index", "time+ref", "index+ref")},
}


@pytest.fixture
def run(tmp_path: Path):
    """`run("name", "key=value", ..., resume=None)`: four steps of two triplets, into the folder it returns."""
    config = tmp_path / "run.yaml"
    config.write_text(
        f"output: {tmp_path}\nsteps: 4\nphases: [{{start: 0, batch: 2, size: 32}}]\n"
        "network: {architecture: ifnet, widths: [8, 8, 8], depth: 1, context_width: 2}\n"
        "optimizer: {lr: 0.01, lr_warmup_steps: 1}\ncheckpointing_steps: 2\nvalidation: null\n"
    )

    def start(name: str, *overrides: str, resume: str | None = None) -> Path:
        of_layers = [] if any("videos" in each for each in overrides) else ["moving_layers.photographs=false"]
        arguments = ["--config", str(config), f"output={tmp_path / name}", *of_layers, *overrides]
        recipe.main([*arguments, "--resume", resume] if resume else arguments)
        return tmp_path / name

    return start


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two videos of 9 frames, 48 x 40 pixels, a square on the move over noise; and a file that is none."""
    rng = np.random.default_rng(0)
    for name in ("left", "right"):
        behind = rng.integers(0, 120, (40, 48, 3), dtype=np.uint8)
        frames = []
        for number in range(9):
            picture = behind.copy()
            x = 3 * number if name == "right" else 30 - 3 * number
            picture[10:25, x : x + 15] = (250, 200, 40)
            frames.append(Image.fromarray(picture))
        write_video(frames, tmp_path / "clips" / name, 10)
    (tmp_path / "clips" / "broken.mp4").write_bytes(b"no video")
    return tmp_path / "clips"


def videos_of(folder: Path, **more: object) -> str:
    return "videos=" + json.dumps({"folder": str(folder), "width": 48, "height": 40, "frames": 3, **more})


def weights_of(folder: Path) -> dict[str, Tensor]:
    return read_weights(folder / INTERPOLATOR_FILE)[0]


def state_of(folder: Path) -> dict:
    return torch.load(checkpoints(folder)[-1][1], weights_only=True)


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor], atol: float = 0.0) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=atol)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_learns_and_opens_by_its_path(run, name: str) -> None:
    folder = run("out", NETWORKS[name], "steps=2")
    interpolator = load_interpolator(folder)
    wanted = {"tiny-di": "index+ref", "superslomo": "time"}.get(name, name)
    assert interpolator.info.kind == wanted and "2 steps on moving layers" in interpolator.info.version
    a, b = torch.rand(2, 1, 3, 40, 36, generator=torch.Generator().manual_seed(0))
    frame = interpolator(a, b, 0.5)
    assert frame.shape == a.shape and 0 <= float(frame.min()) <= float(frame.max()) <= 1
    state, header = read_weights(folder / INTERPOLATOR_FILE)
    drawn = _drawn_anew(header)
    assert state.keys() == drawn.keys() and not any(name.startswith("block_tea") for name in state)
    assert any(not torch.equal(state[name], drawn[name]) for name in state)
    assert json.loads((folder / "interpolator.safetensors.inbetween.json").read_text()) == header
    assert {"steps", "seed", "recipe", "data", "license", "versions", "parameters"} <= header.keys()


def test_a_second_stage_goes_on_from_weights(run, capsys) -> None:
    first = run("first", NETWORKS["tiny-di"], "steps=2")
    start = f"network.start={first / INTERPOLATOR_FILE}"
    second = run("second", NETWORKS["tiny-di"], start, "steps=1", "optimizer.lr=1e-12", "flow_power=0.5")
    assert_same(weights_of(second), weights_of(first), atol=1e-6)
    assert read_weights(second / INTERPOLATOR_FILE)[1]["recipe"]["network.start"] == INTERPOLATOR_FILE  # no path
    of_rife = run("of rife", NETWORKS["time"], "steps=1")  # its file holds no teacher; the next stage has a new one
    more = run("more", NETWORKS["index"], f"network.start={of_rife}", "steps=1", "optimizer.lr=1e-12")
    assert_same(weights_of(more), weights_of(of_rife), atol=1e-6)
    with pytest.raises(SystemExit):
        run("third", NETWORKS["tiny-di"].replace("8, 8", "4, 4"), start, "steps=1")
    assert "is (4, 23, 3, 3), expected (2, 23, 3, 3)" in capsys.readouterr().err


def _drawn_anew(header: dict) -> dict[str, Tensor]:
    torch.manual_seed(header["seed"])
    sizes = dict(header["network"])
    return build_network(sizes.pop("architecture"), header["kind"], sizes).state_dict()


def test_tiny_di_takes_the_steps_it_was_shipped_with(run) -> None:
    """The loop, as plain as it can be written: what is drawn, the loss and the rate are these and no others."""
    folder = run("out", NETWORKS["tiny-di"], "phases=[{start: 0, batch: 2, size: 32}, {start: 3, batch: 1, size: 64}]")
    torch.manual_seed(0)
    network = TinyDI(widths=(8, 8), depth=1, matching_width=8, context_width=2)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, weight_decay=1e-4)
    for step in range(4):
        reach = 0.12 + min(1.0, step / 2) * (0.33 - 0.12)
        batch, size = (2, 32) if step < 3 else (1, 64)
        drawn = draw_triplets(seeded(0, 0, step), batch, size, reach=reach)
        index = torch.cat((drawn.index, drawn.reference_index, drawn.reference), 1)
        estimate = network(drawn.a, drawn.b, index, 1)
        tiny_di_loss(estimate, drawn.target, drawn.flow, drawn.between, drawn.seen_between).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.param_groups[0]["lr"] = 0.01 * min(1, (step + 1) / 2) * 0.5 * (1 + math.cos(math.pi * step / 4))
        optimizer.step()
        optimizer.zero_grad()
    assert_same(weights_of(folder), network.state_dict(), atol=1e-7)


@pytest.mark.parametrize("source", ["layers", "videos"])
def test_a_killed_run_ends_like_one_that_was_not(run, clips, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    options = [videos_of(clips, hop=1)] if source == "videos" else []
    options += [
        "phases=[{start: 0, batch: 2, size: 32}, {start: 3, batch: 1, size: 32}]",
        "gradient_accumulation_steps=2",
    ]
    straight = run("straight", *options)
    steps = []
    take_step = recipe.take_step

    def killed(*arguments):
        steps.append(1)
        if len(steps) == 4:  # one step after the checkpoint of step 2
            raise KeyboardInterrupt
        return take_step(*arguments)

    monkeypatch.setattr(recipe, "take_step", killed)
    with pytest.raises(KeyboardInterrupt):
        run("resumed", *options)
    monkeypatch.undo()
    resumed = run("resumed", *options, resume="latest")
    assert_same(weights_of(resumed), weights_of(straight))
    states = [state_of(folder) for folder in (straight, resumed)]
    assert_same(states[0]["parts"]["network"], states[1]["parts"]["network"])
    assert states[0]["step"] == states[1]["step"] == 4
    assert any(name.startswith("block_tea") for name in states[0]["parts"]["network"])
    assert [step for step, _ in checkpoints(resumed)] == [2, 4] and not list(resumed.glob(".*"))


def test_videos_teach_and_what_cannot_be_read_is_named(run, clips, capsys, caplog) -> None:
    pytest.importorskip("cv2")
    folder = run("out", NETWORKS["index+ref"], videos_of(clips, frames=5, hop=2), "steps=2")
    assert "6 windows of 2 videos; 1 cannot be used" in capsys.readouterr().out
    assert "broken.mp4" in caplog.text
    header = read_weights(folder / INTERPOLATOR_FILE)[1]
    assert header["data"] == "6 windows of videos" and str(clips) not in json.dumps(header)
    assert any((weights_of(folder)[name] != value).any() for name, value in _drawn_anew(header).items())


def test_how_a_step_is_cut_into_batches_changes_nothing_but_rounding(run, clips) -> None:
    whole = run("whole", videos_of(clips, hop=1))
    parts = run(
        "parts", videos_of(clips, hop=1), "phases=[{start: 0, batch: 1, size: 32}]", "gradient_accumulation_steps=2"
    )
    assert_same(weights_of(parts), weights_of(whole), atol=4e-3)  # AdamW's first steps have the size of lr, 1e-2


@pytest.mark.parametrize("processes", [1, 2])
def test_all_processes_together_take_each_triplet_once(tmp_path: Path, processes: int) -> None:
    run = Run(tmp_path, 4, (Phase(0, 3, 32), Phase(2, 1, 32, (2, 1))), gradient_accumulation_steps=2)
    taken = [turn for rank in range(processes) for turn in turns(run, 0, rank, processes)]
    places = [turn.place + item for turn in taken for item in range(turn.phase.batch)]
    assert sorted(places) == list(range(2 * processes * (3 + 3 + 1 + 1)))
    assert len({turn.number for turn in taken}) == len(taken) == 8 * processes
    resumed = [turn for rank in range(processes) for turn in turns(run, 3, rank, processes)]
    assert resumed == [turn for turn in taken if turn.step == 3]
    assert [turn.small for turn in turns(run, 2, 0, 1)] == [2, 2, 1, 1]


def test_rates_are_the_published_ones() -> None:
    rife = Optimizer(lr=3e-4, final_lr=3e-6, lr_warmup_steps=2000)
    steps = 240_000
    assert rate(rife, steps, 1000) == pytest.approx(0.5, abs=1e-3) and rate(rife, steps, 2000) == pytest.approx(1, 1e-3)
    assert rate(rife, steps, 121_000) * 3e-4 == pytest.approx(1.515e-4, rel=0.02)
    assert rate(rife, steps, steps) * 3e-4 == pytest.approx(3e-6)
    slomo = Optimizer(lr=1e-4, lr_warmup_steps=0, drops=(0.5, 0.75))
    epochs = [rate(slomo, 200, epoch) for epoch in (0, 99, 100, 149, 150, 199)]
    assert epochs == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_time_kinds_are_told_the_time_and_midpoints_nothing(tmp_path: Path) -> None:
    drawn = draw_triplets(torch.Generator().manual_seed(0), 2, 32, reach=0.3, uniform=0.0)
    assert torch.equal(index_input(drawn, "index"), drawn.index)
    assert torch.equal(index_input(drawn, "time"), drawn.time.expand(2, 1, 32, 32))
    stack = index_input(drawn, "time+ref")
    assert stack.shape == (2, 5, 32, 32) and torch.equal(stack[:, 2:], drawn.reference)
    assert index_input(drawn, "midpoint") is None
    settings = {"architecture": "ifnet", "kind": "midpoint"}
    run = fill_and_check(Run(tmp_path, 4, (Phase(0, 2, 32),), **_network(settings)))
    assert layers_at(run, run.phases[0], 0, seeded(0, 0, 0)).time.flatten().tolist() == [0.5, 0.5]


def _network(settings: dict) -> dict:
    from gen_inbetween.training.interpolator.settings import MovingLayers, Network

    return {"network": Network(**settings), "moving_layers": MovingLayers(photographs=False)}


def test_bfloat16_keeps_flows_in_float32(run) -> None:
    torch.manual_seed(0)
    a, b = torch.rand(2, 1, 3, 32, 32)
    for name, kind in (("ifnet", "time"), ("superslomo", "time")):
        network = build_network(name, kind, {"widths": (8, 8, 8)}, teacher=name == "ifnet")
        exact = network(a, b, torch.full_like(a[:, :1], 0.5))
        with torch.autocast("cpu", torch.bfloat16):
            estimate = network(a, b, torch.full_like(a[:, :1], 0.5))
        assert {flow.dtype for flow in (*estimate.flows, *estimate.merged, estimate.frame)} == {torch.float32}
        torch.testing.assert_close(estimate.frame, exact.frame, atol=0.03, rtol=0)
    AcceleratorState._reset_state()  # accelerate holds a process to its first precision
    folder = run("out", "mixed_precision=bf16", "steps=2")
    AcceleratorState._reset_state()
    assert all(value.isfinite().all() for value in weights_of(folder).values())


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights by torchvision's names and shapes, those after conv4_3 left away."""
    generator = torch.Generator().manual_seed(0)
    state, channels, number = {}, 3, 0
    for width in VGG16:
        if width:
            kernel = torch.randn(width, channels, 3, 3, generator=generator) * 2 / math.sqrt(9 * channels)
            state |= {f"features.{number}.weight": kernel, f"features.{number}.bias": torch.zeros(width)}
            channels = width
        number += 2 if width else 1
    assert "features.21.weight" in state  # conv4_3
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    torch.save(state | {"classifier.0.bias": torch.zeros(4096)}, path)
    return path


def test_the_perceptual_term_is_there_when_vgg16_is_given(run, vgg16: Path, tmp_path: Path, caplog) -> None:
    device = torch.device("cpu")
    features = vgg16_features(vgg16, device)
    frames = torch.rand(1, 3, 32, 32)
    assert features(frames).shape == (1, 512, 4, 4)
    mean = torch.tensor(MEAN).view(1, 3, 1, 1)
    assert float(features(mean.expand(1, 3, 32, 32)).abs().max()) < 1e-5  # what it is shown is less the mean
    drawn = draw_triplets(seeded(0, 0, 0), 1, 32, reach=0.2)
    network = SuperSloMo(widths=(4, 6, 8))
    estimate = network(drawn.a, drawn.b, index_input(drawn, "time"))
    losses = []
    for given in (vgg16, None):
        with caplog.at_level(logging.WARNING):
            settings = fill_and_check(
                Run(tmp_path, 4, (Phase(0, 2, 32),), vgg16=given, **_network({"architecture": "superslomo"}))
            )
            losses.append(open_recipe(settings, device).loss(estimate, drawn).item())
        assert ("without its perceptual term" in caplog.text) == (given is None)
    assert losses[0] > losses[1] == super_slomo_loss(drawn.a, drawn.b, estimate, drawn.target).item()
    torch.save({"features.0.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(InterpolatorError, match="torchvision's VGG16"):
        vgg16_features(tmp_path / "other.pth", device)


def test_validation_writes_figures_and_a_sheet_and_disturbs_nothing(run) -> None:
    folder = run("out", NETWORKS["tiny-di"], "validation={every: 2, triplets: 3, size: 32, sheet: 2}")
    files = sorted(path.name for path in (folder / "validation").iterdir())
    assert files == [f"{step}.{kind}" for step in ("0000000", "0000002", "0000004") for kind in ("json", "png")]
    figures = [json.loads((folder / "validation" / f"000000{step}.json").read_text()) for step in (0, 2, 4)]
    assert len({each["cross-fade"] for each in figures}) == 1  # the same triplets
    assert len({each["frames"] for each in figures}) == 3 == len({tuple(each["flows"]) for each in figures})
    assert Image.open(folder / "validation" / "0000004.png").width > 5 * 160
    assert_same(weights_of(folder), weights_of(run("bare", NETWORKS["tiny-di"])))


def test_held_out_figures_are_those_of_the_file(run, clips) -> None:
    pytest.importorskip("cv2")
    validation = f"validation={{folder: {clips}, triplets: 5, size: 32, sheet: 0}}"
    options = [NETWORKS["index"], videos_of(clips, hop=2), validation]
    folder = run("out", *options)
    figures = json.loads((folder / "validation" / "0000004.json").read_text())
    assert not list((folder / "validation").glob("*.png")) and "flows" not in figures
    told = load(Run, folder.parent / "run.yaml", [f"output={folder}", *options])
    held_out = open_held_out(fill_and_check(told), None, torch.device("cpu"))
    triplets = held_out.batches[0]
    assert triplets.time.flatten().tolist() == [0.5] * 5 and len({float(a.mean()) for a in triplets.a}) == 5
    faded = ((triplets.a + triplets.b) / 2 - triplets.target).square().mean((1, 2, 3))
    assert figures["cross-fade"] == pytest.approx(float(-10 * faded.log10().mean()), abs=0.01)


def test_our_own_file_says_its_sizes_and_is_converted_with_them(run, tmp_path: Path) -> None:
    folder = run("out", "steps=1", "save_dtype=float16", "license=CC0")
    assert {value.dtype for value in weights_of(folder).values()} == {torch.float16}
    interpolator = load_interpolator(folder / INTERPOLATOR_FILE)
    sizes = {"widths": [8, 8, 8], "depth": 1, "context_width": 2}
    assert read_weights(folder / INTERPOLATOR_FILE)[1]["network"] == {"architecture": "ifnet", **sizes}
    assert all_sizes("ifnet", {"depth": 3}) == {"widths": (240, 150, 90), "depth": 3, "context_width": 16}
    assert interpolator.info.license == "CC0" and interpolator.info.architecture == "IFNet"
    a, b = torch.rand(2, 1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    info = convert_interpolator(folder / INTERPOLATOR_FILE, tmp_path / "again.safetensors")
    assert info.parameters == interpolator.info.parameters
    torch.testing.assert_close(load_interpolator(tmp_path / "again.safetensors")(a, b, 0.3), interpolator(a, b, 0.3))
    with pytest.raises(InterpolatorError, match="not index"):
        load_interpolator(folder, "index")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"network": {"architecture": "ifnet", "widths": [8, 8]}, "kind": "time"}, "ifnet has 3 widths"),
        ({"network": {"architecture": "ifnet", "widths": [8, 8, 16]}, "kind": "time"}, "the weights lack"),
        ({"network": {"architecture": "ifnet", "depth": "1; drop"}, "kind": "time"}, "whole numbers"),
        ({"network": {"architecture": "ifnet"}, "kind": "sideways"}, "may be of kind"),
        ({"network": {"architecture": "raft"}, "kind": "time"}, "expected an architecture out of"),
        ({"network": "ifnet", "kind": "time"}, "network: Input should be a valid dictionary"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(tmp_path: Path, record: dict, message: str) -> None:
    network = build_network("ifnet", "time", {"widths": (8, 8, 8), "depth": 1, "context_width": 2})
    write_weights(tmp_path / "own.safetensors", network.state_dict(), record)
    with pytest.raises(InterpolatorError) as error:
        load_interpolator(tmp_path / "own.safetensors")
    assert message in str(error.value) and "own.safetensors" in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["optimizer.lrr=1"], "did you mean 'optimizer.lr'"),
        (["phases=[{start: 0, batch: 2, size: 32, smal: [2]}]"], "did you mean 'phases.0.small'"),
        (["phases=[{start: 0, batch: 2, size: 40}]"], "multiple of 32"),
        (["phases=[{start: 1, batch: 2, size: 32}]"], "start at step 0"),
        (["phases=[{start: 0, batch: 2, size: 32, small: [2]}]"], "only tiny-di"),
        ([NETWORKS["tiny-di"], "phases=[{start: 0, batch: 2, size: 32, small: [3]}]"], "powers of two"),
        (["phases=[{start: 0, batch: 2, size: 32, small: []}]"], "at least 1 item"),
        (["steps=0"], "steps"),
        (["network.widths=[8, 8]"], "ifnet has 3 widths"),
        (["network.matching_width=8"], "ifnet has no matching_width"),
        (["network.kind=sideways"], "network.kind"),
        (["network={architecture: superslomo, kind: index}"], "superslomo may be of kind time"),
        (["vgg16=some.pth"], "ifnet has none"),
        ([NETWORKS["superslomo"], "distillation=0.01"], "superslomo has none"),
        (["flow_power=0.5"], "ifnet learns from frames alone"),
        (["network.start=nowhere.safetensors", "videos={folder: nowhere}"], "no file of weights at"),
        ([NETWORKS["superslomo"], "vgg16=nowhere.pth"], "no file of weights at"),
        (["optimizer={drops: [0.5], final_lr: 0.1}"], "give one of them"),
        (["validation={folder: nowhere}"], "give videos too"),
        (["videos={folder: nowhere}"], "no such folder of clips"),
        (["videos={folder: nowhere}", "moving_layers={ramp: 0.1}"], "got both"),
        ([NETWORKS["tiny-di"], "videos={folder: nowhere}"], "exact motion"),
        ([NETWORKS["midpoint"], "videos={folder: nowhere}"], "set videos.frames=3"),
        (["videos={folder: nowhere, height: 16}"], "do not fit into frames of 448x16"),
        (["videos={folder: nowhere, span: 7}"], "no two frames"),
        (["videos={folder: nowhere, flows: dis}"], "does not take"),
        ([NETWORKS["index"], "videos={folder: nowhere, blur: 4}"], "odd number"),
        ([NETWORKS["index"], "videos={folder: nowhere, flows: disc}"], "no interpolator or file 'disc'"),
        (["report_to=tensorbored"], "'tensorbored' is not installed"),
    ],
)
def test_bad_input_is_one_line(run, capsys, monkeypatch, overrides: list[str], message: str) -> None:
    monkeypatch.setattr(recipe, "take_step", lambda *_: pytest.fail("the training began"))
    with pytest.raises(SystemExit) as exit:
        run("bad", *overrides)
    said = capsys.readouterr().err.splitlines()[-1]
    assert exit.value.code == 2 and message in said and said.startswith("error: ")


def test_a_loss_that_is_no_number_ends_the_run_and_says_what_to_do(run, capsys) -> None:
    with pytest.raises(SystemExit):
        run("bad", "optimizer={lr: 1.0e+30, lr_warmup_steps: 0, max_grad_norm: null}")
    assert "smaller optimizer.lr" in capsys.readouterr().err


def test_resuming_is_refused_where_it_would_lie(run, clips, capsys) -> None:
    folder = run("out", videos_of(clips), "steps=1")
    (clips.parent / "fewer").mkdir()
    (clips / "right").rename(clips.parent / "fewer" / "right")
    table = [
        ([], None, "holds an earlier run"),
        (["optimizer.lr=0.5"], "latest", "optimizer.lr was 0.01, is now 0.5"),
        (["seed=3"], "latest", "seed was 0, is now 3"),
        ([], "latest", "trained on other videos"),
        ([], "checkpoint_0000007.pt", "no checkpoint at"),
    ]
    for overrides, resume, message in table:
        with pytest.raises(SystemExit):
            run("out", videos_of(clips), "steps=1", *overrides, resume=resume)
        assert message in capsys.readouterr().err
    (clips.parent / "fewer" / "right").rename(clips / "right")
    before = weights_of(folder)
    run("out", videos_of(clips), "steps=1", "dataloader_num_workers=0", "save_dtype=float16", resume="latest")
    assert "all 1 steps were done before" in capsys.readouterr().out
    assert_same(weights_of(folder), before)


def test_the_shipped_configurations_are_read_and_make_sense() -> None:
    paths = sorted((ROOT / "configs" / "train").glob("interpolator_*.yaml"))
    runs = {path.stem: fill_and_check(load(Run, path)) for path in paths}
    assert recipe.DEFAULT_CONFIG in paths and len(runs) == 5
    for path in paths:
        first = path.read_text().splitlines()[0]
        assert first.startswith("# accelerate launch train/train_interpolator.py") and (
            path.name in first or len(first) < 50
        )
    shipped, twin = runs["interpolator_tiny_di"], runs["interpolator_tiny_di_time"]
    assert (shipped.network.kind, twin.network.kind) == ("index+ref", "time+ref")
    assert shipped.phases == twin.phases and shipped.optimizer == twin.optimizer and shipped.seed == twin.seed
    fine = runs["interpolator_tiny_di_fine"]
    assert fine.network.start == shipped.output / "interpolator.safetensors"
    rife = runs["interpolator_rife"]
    assert rife.phases[0].size == 224 and rife.optimizer.weight_decay == 1e-3 and rife.optimizer.max_grad_norm is None
    slomo = runs["interpolator_superslomo"].videos
    assert (slomo.frames, slomo.span, set(slomo.augment)) == (12, 8, {"mirror", "reverse"})
