"""Train a flow interpolator.

    accelerate launch train/train_flow.py                                    # tiny-di, the bundled one, on any machine
    accelerate launch train/train_flow.py --config configs/train/flow_tiny_di_time.yaml
    accelerate launch train/train_flow.py ... key=value                      # any setting: steps=100 output=trial

Started again it goes on from its last checkpoint; what happens in step n depends on (seed, n) alone.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, cat, nn
from tqdm import tqdm

from gen_inbetween.atomic import replaced
from gen_inbetween.config import load
from gen_inbetween.flow.losses import tiny_di_loss
from gen_inbetween.flow.moving_layers import Triplets, draw_triplets
from gen_inbetween.flow.tiny_di import TinyDI
from gen_inbetween.flow.training_settings import Phase, Run
from gen_inbetween.models import default_device
from gen_inbetween.textures import photographs
from gen_inbetween.training_draws import seeded

DEFAULT_CONFIG = Path(__file__).parents[1] / "configs" / "train" / "flow_tiny_di.yaml"
TRAINING, VALIDATION = range(2)


def index_input(triplets: Triplets, meaning: str) -> Tensor:
    """[D, D_ref, I_ref] (B, 5, S, S)."""
    now, then = triplets.index, triplets.reference_index
    if meaning == "time":
        now, then = (time.expand_as(now) for time in (triplets.time, triplets.reference_time))
    return cat((now, then, triplets.reference), 1)


def draw(run: Run, phase: Phase, step: int, generator: torch.Generator) -> Triplets:
    grown = min(1.0, step / (run.data.ramp * run.steps))
    reach = run.data.reach[0] + grown * (run.data.reach[1] - run.data.reach[0])
    pictures = photographs() if run.data.photographs else ()
    return draw_triplets(generator, phase.batch, phase.size, reach=reach, photographs=pictures)


def train(run: Run) -> None:
    accelerator = Accelerator(cpu=default_device().type == "cpu", mixed_precision=run.precision)
    torch.manual_seed(run.seed)
    bare = TinyDI()
    optimiser = torch.optim.AdamW(bare.parameters(), lr=run.optimiser.lr, weight_decay=run.optimiser.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda n: rate(run, n))
    network, optimiser = accelerator.prepare(bare, optimiser)
    parts: dict[str, Any] = {"network": bare, "optimiser": optimiser, "schedule": schedule}
    checkpoint = run.output / "checkpoint.pt"
    start = restore(checkpoint, parts)
    bar = tqdm(range(start, run.steps), run.output.name, initial=start, total=run.steps)
    for step in bar:
        phase = [phase for phase in run.phases if phase.start <= step][-1]
        generator = seeded(run.seed, TRAINING, step * accelerator.num_processes + accelerator.process_index)
        triplets = draw(run, phase, step, generator)
        with accelerator.autocast():
            estimate = network(
                triplets.a, triplets.b, index_input(triplets, run.index), phase.small[step % len(phase.small)]
            )
        loss = tiny_di_loss(estimate, triplets.target, triplets.flow, triplets.between, triplets.seen_between)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(bare.parameters(), run.optimiser.clip_norm)
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        bar.set_postfix(loss=f"{loss.item():.4f}")
        done = step + 1
        if done % run.checkpoint_every == 0 or done == run.steps:
            save(checkpoint, done, parts)
        if done % run.validate_every == 0 or done == run.steps:
            tqdm.write(f"step {done}: {validate(run, bare)}")


def rate(run: Run, step: int) -> float:
    rise = min(1.0, (step + 1) / (run.optimiser.warmup + 1))
    final = run.optimiser.final_lr / run.optimiser.lr
    return rise * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / run.steps))))


def restore(checkpoint: Path, parts: dict[str, Any]) -> int:
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return int(state["step"])


def save(checkpoint: Path, step: int, parts: dict[str, Any]) -> None:
    with replaced(checkpoint) as temporary:
        torch.save({"step": step, **{name: part.state_dict() for name, part in parts.items()}}, temporary)


@torch.no_grad()
def validate(run: Run, network: nn.Module) -> str:
    """On the same 64 triplets each time: PSNR in dB of the cross-fade, of the frames, and the flows' error in pixels."""
    network.eval()
    blend, found, apart = [], [], []
    for number in range(4):
        triplets = draw(run, Phase(0, 16, 64), run.steps, seeded(run.seed, VALIDATION, number))
        estimate = network(triplets.a, triplets.b, index_input(triplets, run.index))
        mixed = (1 - triplets.time) * triplets.a + triplets.time * triplets.b
        blend.append(psnr(mixed, triplets.target))
        found.append(psnr(estimate.frame, triplets.target))
        apart.append(torch.stack([(flow - triplets.flow).abs().mean() for flow in estimate.flows]))
    network.train()
    flows = ", ".join(f"{error:.2f}" for error in torch.stack(apart).mean(0))
    return f"cross-fade {torch.cat(blend).mean():.2f} dB, frames {torch.cat(found).mean():.2f} dB, flows {flows} px"


def psnr(frames: Tensor, truth: Tensor) -> Tensor:
    return -10 * (frames - truth).square().mean((1, 2, 3)).clamp(min=1e-8).log10()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings, as in the YAML")
    given = parser.parse_intermixed_args(arguments)
    train(load(Run, given.config, given.overrides))


if __name__ == "__main__":
    main()
