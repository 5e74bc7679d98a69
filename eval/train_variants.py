"""Train the variants of backward motion that the ablation compares, those that are not there yet.

    python eval/train_variants.py                                  # all of configs/eval/variants.yaml, in its order
    python eval/train_variants.py --only no_rotation_vo clips_20   # these
    python eval/train_variants.py --output trial --set steps=3     # all, with other settings of the trainer

Each is a run of train/finetune_backward.py in a process of its own, resumed where a killed one stood, and leaves
<output>/<variant>/backward_motion.safetensors. One that was trained with other settings or on another base model is
refused, not used: delete its folder to have it trained again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gen_inbetween.runtime.config import ConfigError, load
from gen_inbetween.runtime.hub import MOTION_FILE
from gen_inbetween.runtime.outputs import check_output
from gen_inbetween.runtime.recipe import one_line_errors
from gen_inbetween.training.settings import Run

ROOT = Path(__file__).resolve().parents[1]
TRAINER = ROOT / "train" / "finetune_backward.py"
VARIANTS = ROOT / "configs" / "eval" / "variants.yaml"


@dataclass(frozen=True)
class Variants:
    """One recipe and what each variant changes in it, as the "key=value" lines that the trainer takes."""

    base: Path  # a configuration of train/finetune_backward.py
    output: Path  # holds one folder a variant
    variants: dict[str, tuple[str, ...]]
    settings: tuple[str, ...] = ()  # of every variant


def commands(asked: Variants, only: Sequence[str], settings: Sequence[str]) -> dict[str, list[str]]:
    """Variant -> what starts (or resumes) its training; before any of them what is wrong with one is an error.

    Args:
        only: the variants to train, none for all.
        settings: lines for all of them, which win over the file's.

    Raises:
        ConfigError: a setting cannot be right. OutputError: a file of somebody else stands where weights would.
    """
    unknown = set(only) - asked.variants.keys()
    if unknown:
        raise ConfigError(f"no variant {', '.join(sorted(unknown))}; expected some of {', '.join(asked.variants)}")
    found = {}
    for name in only or asked.variants:
        lines = [*asked.settings, f"output={asked.output / name}", *asked.variants[name], *settings]
        run = load(Run, asked.base, lines)  # its errors now, not hours later
        check_output(run.output / MOTION_FILE, [asked.base], manifest=False)
        found[name] = [sys.executable, str(TRAINER), "--config", str(asked.base), "--resume", "latest", *lines]
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=VARIANTS)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="train these variants")
    parser.add_argument("--output", type=Path, help="instead of the configuration's")
    parser.add_argument("--set", nargs="+", default=[], metavar="key=value", help="settings of the trainer, for all")
    given = parser.parse_args(arguments)
    with one_line_errors(parser):
        asked = load(Variants, given.config, [f"output={given.output}"] if given.output else [])
        runs = commands(asked, given.only, given.set)
    for number, (name, command) in enumerate(runs.items(), 1):
        print(f"{name} ({number} of {len(runs)}): {' '.join(asked.variants[name])}", flush=True)
        code = subprocess.run(command, check=False).returncode  # what went wrong, the trainer has said
        if code:
            parser.exit(code, f"error: {name} was not trained; the same command goes on from here\n")


if __name__ == "__main__":
    main()
