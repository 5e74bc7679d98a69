"""Teach an image-to-video model backward motion.

    accelerate launch train/finetune_backward.py                      # the bundled model, synthetic clips, any machine
    accelerate launch train/finetune_backward.py --config configs/train/backward_svd.yaml data.folder=clips
    accelerate launch train/finetune_backward.py ... --resume latest  # go on after a kill; without a checkpoint: start
    accelerate launch train/finetune_backward.py ... key=value        # any setting: optimizer.lr=3e-4 update.kind=lora
    torchrun --nproc_per_node 2 train/finetune_backward.py ...        # several processes on a CPU

On a CPU `accelerate launch --cpu` starts one process, whatever its --num_processes or configuration say (accelerate
1.15): there torchrun it is. `accelerate launch -q` leaves an error the one line that it is, without a traceback of the
launcher's own.

Only to_v and to_out.0 of the temporal self-attention layers learn, in full or as LoRA, under the rotated attention
maps of the frozen forward motion (for the ablation, update.rotate and update.projections change that). Into `output` go
checkpoint_*.pt, backward_motion.safetensors (what `load_motion` and `inbetween(..., motion=...)` take), validation/
and the tracker's logs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel
from torch import Tensor
from tqdm import tqdm

from gen_inbetween.diffusion.checkpoints import save_motion
from gen_inbetween.models.registry import resolve_model
from gen_inbetween.runtime.config import ConfigError, to_mapping
from gen_inbetween.runtime.cost import measure_cost
from gen_inbetween.runtime.hashing import json_sha256
from gen_inbetween.runtime.hub import MOTION_FILE
from gen_inbetween.runtime.outputs import check_output
from gen_inbetween.runtime.processes import raise_on_signals
from gen_inbetween.runtime.recipe import run_recipe
from gen_inbetween.training.accelerator import open_accelerator
from gen_inbetween.training.gradient_checkpointing import enable_gradient_checkpointing
from gen_inbetween.training.latents import Encoder, open_latents
from gen_inbetween.training.loss import batch_loss
from gen_inbetween.training.sample_order import batches_of_sample_indices, draw_batches
from gen_inbetween.training.settings import Run, weight_settings
from gen_inbetween.training.setup import (
    DTYPES,
    base_record,
    fill_shape,
    install_update,
    motion_metadata,
    move_encoders_to_cpu,
    open_base_model,
    open_clips,
    open_optimizer,
)
from gen_inbetween.training.state import TrainingState, find_checkpoint, read_checkpoint
from gen_inbetween.training.validation import Validator, noise_levels

DEFAULT_CONFIG = Path(__file__).parents[1] / "configs" / "train" / "backward_pocket.yaml"
Batches = Iterator[tuple[list[int], list[Any]]]


def train(run: Run, resume: str | None) -> None:
    """The recipe. What can be wrong is looked for first."""
    accelerator = open_accelerator(
        to_mapping(run),
        run.output,
        report_to=run.report_to,
        mixed_precision=run.mixed_precision,
        gradient_accumulation_steps=run.gradient_accumulation_steps,
    )

    # Load.
    if beyond := [step for step in run.milestones if step > run.steps]:
        raise ConfigError(
            f"milestones: {beyond[0]} is beyond the run's {run.steps} steps; raise steps, or leave it out"
        )
    clips_per_step = run.batch_size * run.gradient_accumulation_steps * accelerator.num_processes
    settings = weight_settings(run) | {"clips_per_step": clips_per_step}
    checkpoint = find_checkpoint(run.output, resume)
    earlier = None if checkpoint is None else read_checkpoint(checkpoint, settings)
    check_output(run.output / MOTION_FILE, manifest=False)
    shape = fill_shape(run.clip, resolve_model(run.model))
    clips: Any = open_clips(run.data, shape)
    held_out = None if run.validation is None else open_clips(run.validation.data, shape, "validation.data")
    pipe = open_base_model(run.model, accelerator.device, run.mixed_precision)
    base = base_record(run.model)

    # Build.
    unet, state = build(run, accelerator, pipe.unet, settings, base, json_sha256(clips.identity()))
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
        move_encoders_to_cpu(pipe)
    describe = partial(motion_metadata, settings, base, shape, len(clips))

    # Loop and save.
    steps = range(start, run.steps)
    rank, processes = accelerator.process_index, accelerator.num_processes
    indices = batches_of_sample_indices(steps, run.batch_size, run.gradient_accumulation_steps, rank, processes)
    batches = draw_batches(clips, encode, indices, seed=run.seed, num_workers=run.dataloader_num_workers)
    bar = tqdm(steps, run.output.name, initial=start, total=run.steps, disable=not accelerator.is_main_process)
    if validate and start == 0:
        look(accelerator, state, validate, 0)  # before anything is learned: what later losses are compared with
    with measure_cost(accelerator.device) as cost:
        for step in bar:
            loss = take_step(run, accelerator, unet, state, batches)
            bar.set_postfix(loss=f"{loss:.4f}")
            if accelerator.is_main_process:
                keep(run, accelerator, state, step + 1, describe, validate)
            accelerator.wait_for_everyone()
    accelerator.end_training()
    accelerator.print(f"{run.output / MOTION_FILE}: {run.steps} steps; {cost['seconds']:.0f} s, {cost['peak_memory']}")


def build(
    run: Run, accelerator: Accelerator, bare: Any, settings: dict[str, Any], base: dict[str, str], clips: str
) -> tuple[Any, TrainingState]:
    """The UNet as accelerate wraps it, with a zero (or given) update, and what a checkpoint of the run holds."""
    learning = install_update(bare, run.update, run.seed)
    if run.gradient_checkpointing:
        enable_gradient_checkpointing(bare)
    bare.train()  # nothing is computed again in eval mode; there is no dropout
    optimizer, schedule = open_optimizer(learning, run.optimizer, accelerator.device)
    unet, optimizer = accelerator.prepare(bare, optimizer)
    parts = {"optimizer": optimizer, "schedule": schedule}
    parts |= {} if accelerator.scaler is None else {"scaler": accelerator.scaler}
    ema = EMAModel(learning, decay=run.ema) if run.ema else None
    return unet, TrainingState(bare, parts, ema, settings, base, clips)


def take_step(run: Run, accelerator: Accelerator, unet: Any, state: TrainingState, batches: Batches) -> float:
    """One change of the weights; returns the loss over all its clips, of all processes."""
    optimizer, schedule = state.parts["optimizer"], state.parts["schedule"]
    levels = {"seed": run.seed, "mean": run.noise.mean, "std": run.noise.std}
    losses: list[Tensor] = []
    for _ in range(run.gradient_accumulation_steps):
        indices, clips = next(batches)
        with accelerator.accumulate(unet):
            loss = batch_loss(
                unet, indices, clips, device=accelerator.device, dtype=DTYPES[run.mixed_precision], **levels
            )
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(optimizer.param_groups[0]["params"], run.optimizer.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
        losses.append(loss.detach())
    schedule.step()
    if state.ema:
        state.ema.step(state.learning)
    mean = accelerator.reduce(torch.stack(losses).mean(), "mean").item()
    if not math.isfinite(mean):
        raise ValueError(
            f"the loss is {mean} at step {schedule.last_epoch - 1}: start anew, in another output, with "
            "mixed_precision=bf16 or a smaller optimizer.lr"
        )
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
    checkpoint_due = done % run.checkpointing_steps == 0 or last
    motions = [MOTION_FILE] if checkpoint_due else []
    motions += [MOTION_FILE.replace(".", f"_{done}.")] if done in run.milestones else []
    for name in motions:
        with state.averaged():
            save_motion(state.unet, run.output / name, describe(done))
    if validate and run.validation and (done % run.validation.every == 0 or last):
        look(accelerator, state, validate, done)
    if checkpoint_due:  # last: who resumes from it has all of the above
        state.save(run.output, done, keep=run.checkpoints_total_limit)


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
    run_recipe(train, Run, DEFAULT_CONFIG, __doc__, arguments)


if __name__ == "__main__":
    raise_on_signals()
    main()
