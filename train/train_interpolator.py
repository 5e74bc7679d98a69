"""Train an optical-flow interpolator.

    accelerate launch train/train_interpolator.py                        # tiny-di, the bundled one, on any machine
    accelerate launch train/train_interpolator.py --config configs/train/interpolator_rife.yaml videos.folder=clips
    accelerate launch train/train_interpolator.py --config configs/train/interpolator_rife.yaml videos=null
    accelerate launch train/train_interpolator.py ... --resume latest    # go on after a kill; else start
    accelerate launch train/train_interpolator.py ... key=value          # any setting: steps=100 network.kind=midpoint
    torchrun --nproc_per_node 2 train/train_interpolator.py ...          # several processes on a CPU

interpolator_tiny_di.yaml learns from moving layers and their exact motion; interpolator_rife.yaml (t = 1/2, a time or a
distance map, with a reference or without) and interpolator_superslomo.yaml follow the published recipes on videos, or
(videos=null) on moving layers.

Into `output` go checkpoint_*.pt, interpolator.safetensors with its record (what `load_interpolator` and the commands
take by its path), validation/ and the tracker's logs. What happens in step n depends on (seed, n) alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from tqdm import tqdm

from gen_inbetween.data.clips import ClipFolder
from gen_inbetween.interpolation.weights.files import INTERPOLATOR_FILE, weights_file
from gen_inbetween.runtime.config import to_mapping
from gen_inbetween.runtime.cost import measure_cost
from gen_inbetween.runtime.outputs import check_output
from gen_inbetween.runtime.processes import raise_on_signals
from gen_inbetween.runtime.recipe import run_recipe
from gen_inbetween.training.accelerator import open_accelerator
from gen_inbetween.training.interpolator.batches import draw_batches, open_distances, open_windows
from gen_inbetween.training.interpolator.checks import fill_and_check, kind_of
from gen_inbetween.training.interpolator.recipes import Recipe, index_input, open_recipe
from gen_inbetween.training.interpolator.runs import InterpolatorTraining, open_training, save_result, source_of
from gen_inbetween.training.interpolator.settings import Run, weight_settings
from gen_inbetween.training.interpolator.validation import HeldOut, open_held_out
from gen_inbetween.training.state import find_checkpoint, read_checkpoint

DEFAULT_CONFIG = Path(__file__).parents[1] / "configs" / "train" / "interpolator_tiny_di.yaml"


def train(run: Run, resume: str | None) -> None:
    """The recipe. What can be wrong is looked for first."""
    run = fill_and_check(run)
    accelerator = open_accelerator(
        to_mapping(run),
        run.output,
        report_to=run.report_to,
        mixed_precision=run.mixed_precision,
        gradient_accumulation_steps=run.gradient_accumulation_steps,
    )
    rank, processes, device = accelerator.process_index, accelerator.num_processes, accelerator.device

    # Load.
    settings = weight_settings(run) | {"processes": processes}
    checkpoint = find_checkpoint(run.output, resume)
    earlier = None if checkpoint is None else read_checkpoint(checkpoint, settings)
    check_output(run.output / INTERPOLATOR_FILE, manifest=False)
    if run.network.start:
        weights_file(run.network.start)  # raises if there is none, before videos are looked through
    recipe, distances = open_recipe(run, device), open_distances(run, device)
    windows = None if run.videos is None else open_windows(run.videos)
    if windows:
        used = len(windows.files) - len(windows.faults)
        accelerator.print(f"{len(windows)} windows of {used} videos; {len(windows.faults)} cannot be used")
    validate = open_held_out(run, distances, device) if accelerator.is_main_process else None

    # Build.
    training = open_training(run, accelerator, settings, source_of(windows))
    start = 0 if earlier is None else training.restore(earlier)
    if start >= run.steps:
        accelerator.end_training()
        accelerator.print(f"{run.output / INTERPOLATOR_FILE}: all {run.steps} steps were done before")
        return

    # Loop and save.
    batches = draw_batches(run, windows, distances, start, rank, processes, device)
    bar = tqdm(
        range(start, run.steps), run.output.name, initial=start, total=run.steps,
        disable=not accelerator.is_main_process,
    )  # fmt: skip
    if validate and start == 0:
        look(accelerator, training, validate, 0)  # before anything is learned
    with measure_cost(device) as cost:
        for step in bar:
            loss = take_step(run, accelerator, training, recipe, batches)
            bar.set_postfix(loss=f"{loss:.4f}")
            if accelerator.is_main_process:
                keep(run, accelerator, training, windows, step + 1, validate)
            accelerator.wait_for_everyone()
    accelerator.end_training()
    accelerator.print(
        f"{run.output / INTERPOLATOR_FILE}: {run.steps} steps; {cost['seconds']:.0f} s, {cost['peak_memory']}"
    )


def take_step(
    run: Run, accelerator: Accelerator, training: InterpolatorTraining, recipe: Recipe, batches: Iterator[Any]
) -> float:
    """One change of the weights; returns the loss over all its triplets, of all processes."""
    losses = []
    for _ in range(run.gradient_accumulation_steps):
        turn, triplets = next(batches)
        index = index_input(triplets, kind_of(run.network))
        with accelerator.accumulate(training.wrapped):
            with accelerator.autocast():
                estimate = training.wrapped(triplets.a, triplets.b, index, *recipe.given(triplets, turn.small))
            loss = recipe.loss(estimate, triplets)
            check_finite(loss, turn.step)
            accelerator.backward(loss)
            if accelerator.sync_gradients and run.optimizer.max_grad_norm:
                accelerator.clip_grad_norm_(training.bare.parameters(), run.optimizer.max_grad_norm)
            training.optimizer.step()
            training.optimizer.zero_grad()
        losses.append(loss.detach())
    training.schedule.step()
    mean = accelerator.reduce(torch.stack(losses).mean(), "mean").item()
    accelerator.log({"loss": mean, "lr": training.schedule.get_last_lr()[0]}, step=training.schedule.last_epoch)
    return mean


def check_finite(loss: torch.Tensor, step: int) -> None:
    """To be asked before going backward: there a flow that is no number ends the process without a word."""
    if not math.isfinite(loss.item()):
        raise ValueError(
            f"the loss is {loss.item()} at step {step}: start anew with a smaller optimizer.lr or distillation, a "
            "larger optimizer.weight_decay, or optimizer.max_grad_norm=1"
        )


def keep(
    run: Run,
    accelerator: Accelerator,
    training: InterpolatorTraining,
    windows: ClipFolder | None,
    done: int,
    validate: HeldOut | None,
) -> None:
    """After so many steps: the weights, the validation and the checkpoint that are due."""
    last = done == run.steps
    if checkpoint_due := done % run.checkpointing_steps == 0 or last:
        save_result(run, training, windows, done)
    if validate and run.validation and (done % run.validation.every == 0 or last):
        look(accelerator, training, validate, done)
    if checkpoint_due:  # last: who resumes from it has all of the above
        training.save(run.output, done, run.checkpoints_total_limit)


def look(accelerator: Accelerator, training: InterpolatorTraining, validate: HeldOut, done: int) -> None:
    """Validate what `done` steps have made of the network, in files, to the tracker and in a line."""
    figures = validate(training.bare, done)
    flows = figures.pop("flows", None)
    accelerator.log({f"held out/{name}": value for name, value in figures.items()}, step=done)
    line = ", ".join(f"{name} {value:.2f} dB" for name, value in figures.items())
    apart = "" if flows is None else f", flows {', '.join(f'{error:.2f}' for error in flows)} px from the true ones"
    tqdm.write(f"step {done}: {line}{apart}")


def main(arguments: Sequence[str] | None = None) -> None:
    run_recipe(train, Run, DEFAULT_CONFIG, __doc__, arguments)


if __name__ == "__main__":
    raise_on_signals()
    main()
