"""What path distances buy: tiny-di's first stage against its twin, trained on times with the same data, steps and seed.

    accelerate launch train/train_interpolator.py      # 45 minutes on one core
    accelerate launch train/train_interpolator.py --config configs/train/interpolator_tiny_di_time.yaml  # the twin
    python eval/flow_claims.py                        # some minutes

Four sets, each frame between two others: drawn triplets at uniform speed, drawn triplets whose things each have a speed
curve of their own, clips of `synthetic.py`, and real film (prepared by `eval/prepare.py packages --download`). No frame
is given as a reference. Means over pairs with 95 % bootstrap intervals; there is one training seed of each network, and
no interval covers that. Writes <output>/claims.json and claims.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from gen_inbetween.data.synthetic import HELD_OUT_SEED, make_clip
from gen_inbetween.data.textures import photographs
from gen_inbetween.evaluation.pairs.pair_list import read_list
from gen_inbetween.evaluation.pairs.sources import open_pair
from gen_inbetween.evaluation.report.statistics import bootstrap_interval, paired_difference
from gen_inbetween.interpolation import FrameInterpolator, InterpolatorError, load_interpolator
from gen_inbetween.interpolation.dis_flow import dis_flow
from gen_inbetween.interpolation.distance_index import estimate_distance_index
from gen_inbetween.interpolation.pairs import frame_tensor
from gen_inbetween.runtime.recipe import add_output, write_findings, write_page, writing_report
from gen_inbetween.training.interpolator.moving_layers import draw_triplets
from gen_inbetween.training.interpolator.video_triplets import UNSURE
from gen_inbetween.training.sample_order import seeded

ROOT = Path(__file__).resolve().parents[1]
HELD_OUT = 7  # the purpose of the drawn triplets' generator; training and validation have 0 and 1
SIDE = 128  # pixels, the shorter side of real frames
GAP = 8  # frames between the two given ones, in clips


@dataclass(frozen=True)
class Question:
    """One frame to be found: (1, 3, H, W) each, the time a number, the map (1, 1, H, W) if there is one."""

    pair: str
    a: Tensor
    b: Tensor
    target: Tensor
    time: float
    index: Tensor | None


def drawn(count: int, uniform: float) -> Iterator[Question]:
    for number in range(count):
        generator = seeded(0, HELD_OUT, number)
        triplet = draw_triplets(generator, 1, 64, reach=0.33, photographs=photographs(), uniform=uniform)
        yield Question(str(number), triplet.a, triplet.b, triplet.target, float(triplet.time), triplet.index)


def synthetic(count: int) -> Iterator[Question]:
    for seed in range(HELD_OUT_SEED, HELD_OUT_SEED + count):
        frames = [frame_tensor(Image.fromarray(frame), torch.device("cpu")) for frame in make_clip(seed).frames]
        for step in (2, 4, 6):
            yield Question(str(seed), frames[0], frames[GAP], frames[step], step / GAP, None)


def film(folder: Path) -> Iterator[Question]:
    """Real frames; their maps are estimated from the true frames by DIS flow, as InterpAny-Clearer does by RAFT."""
    for pair in read_list(ROOT / "eval" / "lists" / "packages.jsonl").pairs:
        frames = [small(Image.fromarray(frame)) for frame in open_pair(pair, folder).frames[: GAP + 1]]
        way = dis_flow(frames[0], frames[GAP])
        for step in (2, 4, 6):
            index = estimate_distance_index(dis_flow(frames[0], frames[step]), way, step / GAP, still=UNSURE**2)
            yield Question(pair.name, frames[0], frames[GAP], frames[step], step / GAP, index)


def small(image: Image.Image) -> Tensor:
    shrink = SIDE / min(image.size)
    size = round(image.width * shrink), round(image.height * shrink)
    return frame_tensor(image.resize(size, Image.Resampling.BOX), torch.device("cpu"))


Answer = Callable[[Question], Tensor | None]  # None: the question gives no map


def answers(first: Path, twin: Path) -> dict[str, Answer]:
    """Label -> who answers; interpolators whose weights are not here are left out, and said to be."""
    distance, shipped = load_interpolator(first), load_interpolator("tiny-di")
    found: dict[str, Answer] = {
        "cross-fade": lambda q: (1 - q.time) * q.a + q.time * q.b,
        "time index (twin)": timed(load_interpolator(twin)),
        "distance index, uniform map": timed(distance),
        "distance index, true map": mapped(distance),
        "tiny-di as shipped, uniform map": timed(shipped),
        "tiny-di as shipped, true map": mapped(shipped),
        "dis, time": timed(load_interpolator("dis")),
    }
    try:
        found["rife, time"] = timed(load_interpolator("rife"))
    except InterpolatorError as error:
        print(f"without rife: {error}")
    return found


def timed(interpolator: FrameInterpolator) -> Answer:
    return lambda q: interpolator(q.a, q.b, q.time)


def mapped(interpolator: FrameInterpolator) -> Answer:
    return lambda q: None if q.index is None else interpolator(q.a, q.b, q.index)


def psnr(found: Tensor, truth: Tensor) -> float:
    return float(-10 * (found - truth).square().mean().clamp(min=1e-7).log10())


def ask(questions: Iterator[Question], who: dict[str, Answer], name: str) -> dict[str, list[float]]:
    """Label -> one PSNR a pair, the mean over its frames; none for who cannot answer."""
    scores: dict[str, dict[str, list[float]]] = {label: {} for label in who}
    for question in tqdm(questions, name):
        for label, answer in who.items():
            frame = answer(question)
            if frame is not None:
                scores[label].setdefault(question.pair, []).append(psnr(frame, question.target))
    return {label: [float(np.mean(of_pair)) for of_pair in pairs.values()] for label, pairs in scores.items() if pairs}


def table(name: str, scores: dict[str, list[float]], shown: list[tuple[str, str]]) -> str:
    lines = [f"### {name}", "", "| | PSNR dB | pairs |", "| --- | ---: | ---: |"]
    for label, values in scores.items():
        mean = bootstrap_interval(values)
        lines.append(f"| {label} | {mean.mean:.2f} [{mean.low:.2f}, {mean.high:.2f}] | {mean.count} |")
    lines += ["", "| difference | dB | p (Wilcoxon) |", "| --- | ---: | ---: |"]
    for first, second in shown:
        if first in scores and second in scores:
            apart = paired_difference(scores[first], scores[second])
            p = f"{apart.p:.2g}" if apart.p >= 1e-4 else "< 0.0001"
            lines.append(f"| {first} - {second} | {apart.mean:+.2f} [{apart.low:+.2f}, {apart.high:+.2f}] | {p} |")
    return "\n".join(lines)


COMPARED = [
    ("distance index, true map", "time index (twin)"),
    ("distance index, uniform map", "time index (twin)"),
    ("tiny-di as shipped, uniform map", "cross-fade"),
    ("tiny-di as shipped, uniform map", "dis, time"),
    ("tiny-di as shipped, uniform map", "rife, time"),
]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=Path, default=Path("outputs/flow/tiny_di/interpolator.safetensors"))
    parser.add_argument("--twin", type=Path, default=Path("outputs/flow/tiny_di_time/interpolator.safetensors"))
    parser.add_argument("--film", type=Path, default=Path("outputs/packages"), help="as eval/prepare.py leaves it")
    add_output(parser, Path("outputs/flow"))
    parser.add_argument("--count", type=int, default=256, help="drawn triplets of each kind")
    given = parser.parse_args(arguments)
    page = given.output / "claims.md"
    reads, beside = [given.first, given.twin, given.film], [given.output / "claims.json"]
    with writing_report(parser, given, reads=reads, beside=beside, page=page):
        print(report(given))


def report(given: argparse.Namespace) -> str:
    who = answers(given.first, given.twin)
    sets = {
        "Drawn triplets, 64 px, uniform speed": drawn(given.count, 1.0),
        "Drawn triplets, 64 px, each thing at a speed of its own": drawn(given.count, 0.0),
        f"synthetic.py, 64 px, held-out clips, gap of {GAP} frames": synthetic(given.count // 4),
        f"Real film, {SIDE} px, gap of {GAP} frames, maps estimated from the true frames": film(given.film),
    }
    scores = {name: ask(questions, who, name) for name, questions in sets.items()}
    tables = [table(name, of_set, COMPARED) for name, of_set in scores.items()]
    write_findings(given.output / "claims.json", scores)
    write_page(given.output / "claims.md", ["# What path distances buy", *tables])
    return "\n\n".join(tables)


if __name__ == "__main__":
    main()
