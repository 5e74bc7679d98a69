"""Teach an image-to-video model backward motion.

    accelerate launch train/finetune_backward.py                      # the bundled model, synthetic clips, any machine
    accelerate launch train/finetune_backward.py --config configs/train/backward_svd.yaml data.folder=clips
    accelerate launch train/finetune_backward.py ... --resume latest  # go on after a kill; without a checkpoint: start
    accelerate launch train/finetune_backward.py ... key=value        # any setting: optimiser.lr=3e-4 update.kind=lora
    torchrun --nproc_per_node 2 train/finetune_backward.py ...        # several processes on a CPU

On a CPU `accelerate launch --cpu` starts one process, whatever its --num_processes or configuration say (accelerate
1.15): there torchrun it is. `accelerate launch -q` leaves an error the one line that it is, without a traceback of the
launcher's own.

Only to_v and to_out.0 of the temporal self-attention layers learn, in full or as LoRA, under the turned attention of
the frozen forward motion (for the ablation, update.rotate and update.projections change that). Into `output` go
checkpoint_*.pt, backward_motion.safetensors (what `load_motion` and `inbetween(..., motion=...)` take), validation/
and the tracker's logs.
"""

from __future__ import annotations

import argparse
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from tqdm import tqdm

from gen_inbetween.diffusion.checkpoints import save_motion
from gen_inbetween.diffusion.motion_files import MOTION_FILE
from gen_inbetween.models.registry import resolve_model
from gen_inbetween.runtime.config import load, to_mapping
from gen_inbetween.runtime.cost import measured
from gen_inbetween.runtime.files import check_writable
from gen_inbetween.runtime.processes import open_accelerator
from gen_inbetween.training.gradient_checkpointing import disable_recomputing, enable_recomputing
from gen_inbetween.training.sample_order import batches_of_places, draw_batches, loss_at
from gen_inbetween.training.settings import Run, decisive
from gen_inbetween.training.setup import (
    DTYPES,
    Encoder,
    base_record,
    fill_shape,
    install_update,
    motion_metadata,
    open_base,
    open_clips,
    open_latents,
    open_optimiser,
    park_encoders,
)
from gen_inbetween.training.state import AveragedUpdate, TrainingState, find_checkpoint, read_checkpoint
from gen_inbetween.training.validation import Validator, noise_levels

DEFAULT_CONFIG = Path(__file__).parents[1] / "configs" / "train" / "backward_pocket.yaml"
Batches = Iterator[tuple[list[int], list[Any]]]


def train(run: Run, resume: str | None) -> None:
    """The recipe. What can be wrong is looked for first."""
    accelerator = open_accelerator(
        to_mapping(run), run.output, tracker=run.tracker, precision=run.precision, accumulation=run.accumulation
    )

    # Load.
    clips_per_step = run.batch_size * run.accumulation * accelerator.num_processes
    settings = decisive(run) | {"clips_per_step": clips_per_step}
    checkpoint = find_checkpoint(run.output, resume)
    earlier = None if checkpoint is None else read_checkpoint(checkpoint, settings)
    check_writable(run.output / MOTION_FILE)
    shape = fill_shape(run.clip, resolve_model(run.model))
    clips: Any = open_clips(run.data, shape)
    held_out = None if run.validation is None else open_clips(run.validation.data, shape, "validation.data")
    pipe = open_base(run.model, accelerator.device, run.precision)
    base = base_record(run.model)

    # Build.
    unet, state = build(run, accelerator, pipe.unet, settings, base)
    start = 0 if earlier is None else state.restore(earlier)
    if start >= run.steps:
        accelerator.end_training()
        accelerator.print(f"{run.output / MOTION_FILE}: all {run.steps} steps were done before")
        return
    encode = Encoder(pipe, run.clip.noise_aug_strength, run.seed)
    validate = open_validator(run, pipe, held_out, encode) if accelerator.is_main_process else None
    if run.data.cache is not None:
        with accelerator.main_process_first():
            clips = open_latents(run.data.cache, clips, encode, base)
        park_encoders(pipe)
    describe = partial(motion_metadata, settings, base, shape, len(clips))

    # Loop and save.
    steps = range(start, run.steps)
    rank, processes = accelerator.process_index, accelerator.num_processes
    places = batches_of_places(steps, run.batch_size, run.accumulation, rank, processes)
    batches = draw_batches(clips, encode, places, seed=run.seed, workers=run.workers)
    bar = tqdm(steps, run.output.name, initial=start, total=run.steps, disable=not accelerator.is_main_process)
    if validate and start == 0:
        look(accelerator, state, validate, 0)  # before anything is learned: what later losses are compared with
    with measured(accelerator.device) as cost:
        for step in bar:
            loss = take_step(run, accelerator, unet, state, batches)
            bar.set_postfix(loss=f"{loss:.4f}")
            if accelerator.is_main_process:
                keep(run, accelerator, state, step + 1, describe, validate)
            accelerator.wait_for_everyone()
    accelerator.end_training()
    accelerator.print(f"{run.output / MOTION_FILE}: {run.steps} steps; {cost['seconds']:.0f} s, {cost['peak_memory']}")


def build(
    run: Run, accelerator: Accelerator, bare: Any, settings: dict[str, Any], base: dict[str, str]
) -> tuple[Any, TrainingState]:
    """The UNet as accelerate wraps it, with a zero (or given) update, and what a checkpoint of the run holds."""
    learning = install_update(bare, run.update, run.seed)
    (enable_recomputing if run.gradient_checkpointing else disable_recomputing)(bare)
    bare.train()  # nothing is computed again in eval mode; there is no dropout
    optimiser, schedule = open_optimiser(learning, run.optimiser, accelerator.device)
    unet, optimiser = accelerator.prepare(bare, optimiser)
    parts = {"optimiser": optimiser, "schedule": schedule}
    parts |= {} if accelerator.scaler is None else {"scaler": accelerator.scaler}
    average = AveragedUpdate(bare, run.ema) if run.ema else None
    return unet, TrainingState(bare, parts, average, settings, base)


def take_step(run: Run, accelerator: Accelerator, unet: Any, state: TrainingState, batches: Batches) -> float:
    """One change of the weights; returns the loss over all its clips, of all processes."""
    optimiser, schedule = state.parts["optimiser"], state.parts["schedule"]
    levels = {"seed": run.seed, "mean": run.noise.mean, "std": run.noise.std}
    losses: list[Tensor] = []
    for _ in range(run.accumulation):
        places, clips = next(batches)
        with accelerator.accumulate(unet):
            loss = loss_at(unet, places, clips, device=accelerator.device, dtype=DTYPES[run.precision], **levels)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(optimiser.param_groups[0]["params"], run.optimiser.clip_norm)
            optimiser.step()
            optimiser.zero_grad()
        losses.append(loss.detach())
    schedule.step()
    if state.average:
        state.average.follow(state.unet)
    mean = accelerator.reduce(torch.stack(losses).mean(), "mean").item()
    if not math.isfinite(mean):
        raise RuntimeError(f"the loss is {mean}: try precision=bf16 or a smaller optimiser.lr, and --resume latest")
    accelerator.log({"loss": mean, "lr": schedule.get_last_lr()[0]}, step=schedule.last_epoch)
    return mean


def keep(
    run: Run,
    accelerator: Accelerator,
    state: TrainingState,
    done: int,
    describe: Callable[[int], dict[str, Any]],
    validate: Validator | None,
) -> None:
    """After so many steps: the motions, the validation and the checkpoint that are due."""
    last = done == run.steps
    checkpoint_due = done % run.checkpoint_every == 0 or last
    motions = [MOTION_FILE] if checkpoint_due else []
    motions += [MOTION_FILE.replace(".", f"_{done}.")] if done in run.milestones else []
    for name in motions:
        with state.averaged():
            save_motion(state.unet, run.output / name, describe(done))
    if validate and run.validation and (done % run.validation.every == 0 or last):
        look(accelerator, state, validate, done)
    if checkpoint_due:  # last: who resumes from it has all of the above
        state.save(run.output, done, keep=run.keep_checkpoints)


def look(accelerator: Accelerator, state: TrainingState, validate: Validator, done: int) -> None:
    """Validate what `done` steps have made of the update, in files, to the tracker and in a line."""
    with state.averaged():
        losses = validate(done)
    accelerator.log({f"held out/{name}": value for name, value in losses.items()}, step=done)
    tqdm.write(f"step {done}: held-out loss {', '.join(f'{name} {loss:.4f}' for name, loss in losses.items())}")


def open_validator(run: Run, pipe: Any, clips: Any, encode: Encoder) -> Validator | None:
    if run.validation is None:
        return None
    return Validator(
        pipe=pipe,
        clips=clips,
        encoded=[encode(clips[index], index) for index in range(len(clips))],
        levels=noise_levels(run.noise.mean, run.noise.std),
        folder=run.output / "validation",
        seed=run.seed,
        noise_aug_strength=run.clip.noise_aug_strength,
        sheet_clips=run.validation.sheet_clips,
        options={
            "num_inference_steps": run.validation.num_inference_steps,
            "renoise_steps": run.validation.renoise_steps,
        },
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG)
    parser.add_argument("--resume", metavar="latest|FILE", help="go on from the last checkpoint, or from FILE")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings, as in the YAML")
    given = parser.parse_intermixed_args(arguments)
    logging.basicConfig(format="%(message)s")
    try:
        train(load(Run, given.config, given.overrides), given.resume)
    except (ValueError, OSError, ImportError) as error:  # what a person can mend
        parser.exit(2, f"error: {error}\n")


if __name__ == "__main__":
    main()
