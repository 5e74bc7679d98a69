"""Editions of the bundled model compared on held-out clips of both worlds.

    python eval/pocket_editions.py truth=truth vae=pocket-2:vae second=pocket-2 --clips 256

Every model samples the same clips with the same seeds: `svd` from the true first frame on the plain and the rich world,
`trf` between both ends of a moving photograph. `truth=truth` is the true clips themselves, MODEL:vae those clips
through the VAE of a model: what the measures say of nothing wrong, and of what no UNet can better. Scores stay in
`<output>/<name>.json`, one row a clip, so that a run goes on where it was cut; the table compares the models clip by
clip. Needs the `train` and `eval` extras.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pocket_scores import background_of, mean_with_interval
from tqdm import tqdm

from gen_inbetween.data.synthetic import HELD_OUT_SEED, SyntheticClip, make_clip
from gen_inbetween.data.textures import photographs
from gen_inbetween.data.worlds import make_world_clip
from gen_inbetween.evaluation.metrics.clip_metric import Sample
from gen_inbetween.evaluation.metrics.fidelity import gradient_energy
from gen_inbetween.evaluation.metrics.objects import objects_of
from gen_inbetween.evaluation.metrics.truth import mean_or_nan
from gen_inbetween.media.contact_sheet import contact_sheet
from gen_inbetween.media.image import to_pixels, to_signal
from gen_inbetween.models.loading import open_pipeline
from gen_inbetween.runtime.files import replaced
from gen_inbetween.runtime.recipe import add_output, labelled, write_findings, writing_report

WORLDS: dict[str, tuple[str, Callable[..., SyntheticClip], dict[str, Any]]] = {  # method, generator, its arguments
    "plain": ("svd", make_clip, {}),
    "rich": ("svd", make_world_clip, {"photograph": False}),
    "photograph": ("trf", make_world_clip, {"photograph": True}),
}
TRUTH, VAE = "truth", ":vae"  # in place of a model, and after one
HALF = 0.5  # of an object's way: so much of it at least leads towards the nose of one that goes nose-first
SHOWN = 0.25  # a true walker has some 0.5; less is shown where objects of one colour were taken for each other
STILL = 0.01  # grey levels of flicker of the true background, at most, where flicker is asked for
MEASURES = {  # name -> (what a table calls it, digits)
    "sharpness": ("sharpness, of the truth", 2),
    "flicker": ("background flicker where the truth has none, grey levels", 2),
    "nose_first": ("clips of whose way half leads towards noses", 3),
    "as_true": ("clips that go half as far towards noses as the truth", 3),
    "found": ("objects found, share of frames", 3),
    "psnr": ("PSNR, dB", 2),
}


def draw(world: str, index: int) -> SyntheticClip:
    """Held-out clip number `index` of a world."""
    _, make, arguments = WORLDS[world]
    return make(HELD_OUT_SEED + index, textures=photographs(), **arguments)


def flicker_of(frames: np.ndarray, rest: np.ndarray) -> float:
    """Mean absolute second difference in time of the grey background, grey levels of 255."""
    return float(np.abs(np.diff(frames.astype(np.float64).mean(-1)[:, rest], 2, axis=0)).mean())


def score(frames: np.ndarray, clip: SyntheticClip) -> dict[str, float]:
    """All that can be said of a generated clip against its truth; NaN where a measure does not apply."""
    nan = float("nan")
    inner = slice(1, -1)
    error = np.square(frames[inner].astype(np.float64) - clip.frames[inner]).mean((1, 2, 3))
    scores = {
        "sharpness": gradient_energy(frames[inner]) / gradient_energy(clip.frames[inner]),
        "psnr": float((10 * np.log10(255**2 / np.maximum(error, 1 / 12))).mean()),
        "bucket": float(clip.motion_bucket_id),
        "gap": float(np.abs(clip.flow.sum(0)).mean()),
        "flicker": nan, "nose": nan, "nose_first": nan, "as_true": nan, "found": nan, "speed": nan,
    }  # fmt: skip
    rest = background_of(clip) if clip.kinds else np.zeros(frames.shape[1:3], bool)
    if rest.sum() >= 50 and flicker_of(clip.frames, rest) < STILL:
        scores["flicker"] = flicker_of(frames, rest)
    if clip.kinds:
        objects = objects_of(Sample(frames, clip.frames, clip))
        nose, true = (mean_or_nan(tracks.nose_first()[objects.has_nose]) for tracks in (objects.made, objects.true))
        if np.isfinite(nose):
            scores |= {"nose": nose, "nose_first": float(nose > HALF)}
            if true > SHOWN:
                scores["as_true"] = float(nose > HALF * true)
        if objects.asked.any():
            scores["found"] = float(objects.found.sum() / objects.asked.sum())
        speed = objects.made.speed()
        scores["speed"] = float(np.nanmean(speed)) if np.isfinite(speed).any() else nan
    return scores


def open_maker(model: str, steps: int) -> Callable[[str, int, SyntheticClip], np.ndarray]:
    """(world, number, clip) -> frames of the clip as a model makes them, as its VAE gives them back, or as they are."""
    if model == TRUTH:
        return lambda world, index, clip: clip.frames
    pipe = open_pipeline(model.removesuffix(VAE), motion=None)
    pipe.set_progress_bar_config(disable=True)
    if model.endswith(VAE):
        return lambda world, index, clip: round_trip(pipe.vae, clip.frames)
    return lambda world, index, clip: sample(pipe, WORLDS[world][0], clip, index, steps)


@torch.no_grad()
def round_trip(vae: Any, frames: np.ndarray) -> np.ndarray:
    """(frames, height, width, 3) bytes through encoder and decoder."""
    latents = vae.encode(to_signal(torch.from_numpy(frames))).latent_dist.mode()
    return to_pixels(vae.decode(latents, num_frames=len(latents)).sample)


def sample(pipe: Any, method: str, clip: SyntheticClip, seed: int, steps: int) -> np.ndarray:
    first, last = (Image.fromarray(clip.frames[k]) for k in (0, -1))
    frames = pipe(
        first, last, method=method, num_inference_steps=steps, num_frames=len(clip.frames), fps=clip.fps,
        motion_bucket_id=clip.motion_bucket_id, generator=torch.Generator().manual_seed(seed),
    ).frames[0]  # fmt: skip
    return np.stack([np.asarray(frame) for frame in frames])


def run(model: str, path: Path, clips: int, steps: int, shown: int) -> dict[str, dict[str, float]]:
    """The scores of a model, {world/index: scores}; what the file holds already is not made again."""
    kept: dict[str, Any] = (
        json.loads(path.read_text()) if path.exists() else {"model": model, "steps": steps, "rows": {}}
    )
    if (kept["model"], kept["steps"]) != (model, steps):
        raise ValueError(
            f"{path} has scores of {kept['model']} at {kept['steps']} steps, not of {model} at {steps}: "
            "name the model anew or choose another --output"
        )
    rows: dict[str, dict[str, float]] = kept["rows"]
    make = open_maker(model, steps)
    wanted = [
        (world, index)
        for index in range(clips)
        for world in WORLDS
        if f"{world}/{index}" not in rows or (index < shown and not frames_path(path, world, index).exists())
    ]
    for world, index in tqdm(wanted, desc=path.stem):
        clip = draw(world, index)
        frames = make(world, index, clip)
        rows[f"{world}/{index}"] = score(frames, clip)
        if index < shown:
            with replaced(frames_path(path, world, index)) as temporary:
                np.savez_compressed(temporary, frames=frames)
        write_findings(path, {"model": model, "steps": steps, "rows": rows})
    return rows


def frames_path(path: Path, world: str, index: int) -> Path:
    """Where the frames of a clip on the sheet are kept, beside the model's scores."""
    return path.with_name(f"{path.stem}_{world}_{index}.npz")


def table(results: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """Markdown lines: each measure of each world by model, and the paired difference of the last model to the first."""
    names = list(results)
    paired = f" {names[-1]} - {names[0]} |" if len(names) > 1 else ""
    lines = [
        f"| world | measure | N | {' | '.join(names)} |{paired}",
        "|---|---|---|" + "---|" * (len(names) + bool(paired)),
    ]
    for world in WORLDS:
        keys = [
            key for key in results[names[0]] if key.startswith(world + "/") and all(key in r for r in results.values())
        ]
        for measure, (label, digits) in MEASURES.items():
            values = {name: np.array([results[name][key][measure] for key in keys]) for name in names}
            known: np.ndarray = np.isfinite(np.stack(list(values.values()))).all(0)
            if not known.any():
                continue
            cells = [mean_with_interval(values[name][known], digits) for name in names]
            if paired:
                cells.append(mean_with_interval((values[names[-1]] - values[names[0]])[known], digits))
            lines.append(f"| {world} | {label} | {known.sum()} | {' | '.join(cells)} |")
        if keys and world != "photograph":
            cells = [correlation([results[name][key] for key in keys]) for name in names]
            lines.append(
                f"| {world} | correlation of motion bucket and speed | {len(keys)} | {' | '.join(cells)} |"
                + " |" * bool(paired)
            )
    return lines


def correlation(rows: list[dict[str, float]]) -> str:
    """Pearson correlation of the bucket asked for with the speed found, and its bootstrap interval over clips."""
    pairs = np.array([(row["bucket"], row["speed"]) for row in rows if np.isfinite(row["speed"])])
    rng = np.random.default_rng(0)
    resampled = [np.corrcoef(pairs[rng.integers(len(pairs), size=len(pairs))].T)[0, 1] for _ in range(1000)]
    low, high = np.percentile(resampled, (2.5, 97.5))
    return f"{np.corrcoef(pairs.T)[0, 1]:.2f} [{low:.2f}, {high:.2f}]"


def by_gap(results: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """PSNR of moving photographs by how far their pixels go from end to end, in thirds of the clips."""
    names = list(results)
    keys = [
        key for key in results[names[0]] if key.startswith("photograph/") and all(key in r for r in results.values())
    ]
    keys.sort(key=lambda key: results[names[0]][key]["gap"])
    lines = [f"| pixels moved | N | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for third in np.array_split(np.array(keys), min(3, len(keys))):
        gaps = [results[names[0]][key]["gap"] for key in third]
        cells = [mean_with_interval([results[name][key]["psnr"] for key in third], 2) for name in names]
        lines.append(f"| {min(gaps):.1f} to {max(gaps):.1f} | {len(third)} | {' | '.join(cells)} |")
    return lines


def write_sheet(paths: dict[str, Path], shown: int, output: Path) -> None:
    """True clips above what each model makes of them."""
    rows: dict[str, list[Image.Image]] = {}
    for world in WORLDS:
        for index in range(shown):
            rows[f"{world} {index}: true"] = [Image.fromarray(frame) for frame in draw(world, index).frames]
            for name, path in paths.items():
                with np.load(frames_path(path, world, index)) as stored:
                    rows[f"{world} {index}: {name}"] = [Image.fromarray(frame) for frame in stored["frames"]]
    with labelled(output) as temporary:
        contact_sheet(rows).save(temporary)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "models", nargs="+", metavar="NAME=MODEL", help="a label, and a named model, a folder, MODEL:vae or truth"
    )
    parser.add_argument("--clips", type=int, default=256, help="of each world")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--shown", type=int, default=3)
    add_output(parser, Path("outputs/editions"))
    given = parser.parse_args(arguments)
    models = dict(named_model(parser, entry) for entry in given.models)
    sheet = given.output / "sheet.png"
    with writing_report(
        parser, given, reads=[each.removesuffix(VAE) for each in models.values()], folders=[given.output], page=sheet
    ):
        report(given, models)


def named_model(parser: argparse.ArgumentParser, entry: str) -> tuple[str, str]:
    """("second", "pocket-2") of "second=pocket-2"; the label names files."""
    name, equals, model = entry.partition("=")
    if not equals or not model or Path(name).name != name or name.startswith("."):
        parser.error(f"{entry!r}: expected NAME=MODEL, with a NAME that can be a file's")
    return name, model


def report(given: argparse.Namespace, models: dict[str, str]) -> None:
    paths = {name: given.output / f"{name}.json" for name in models}
    results = {name: run(models[name], path, given.clips, given.steps, given.shown) for name, path in paths.items()}
    if given.shown:
        made = {name: path for name, path in paths.items() if models[name] != TRUTH}  # true rows are there anyway
        write_sheet(made, given.shown, given.output / "sheet.png")
    print("\n".join([*table(results), "", *by_gap(results)]))


if __name__ == "__main__":
    main()
