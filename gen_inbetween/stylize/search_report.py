"""Table and plot of a grid search over settings of stylisation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gen_inbetween.runtime.files import replaced, write_text
from gen_inbetween.stylize.search import Trial

FILES = ("search.md", "search.png")


def write_search(folder: Path, trials: Sequence[Trial], minutes: float) -> None:
    """search.md, the trials from the best on, and search.png, how each one's error fell (where matplotlib is)."""
    names = list(trials[0].settings)
    ranked = sorted(trials, key=lambda trial: trial.error)
    lines = [
        "# Search over settings\n",
        f"{len(trials)} trials in {minutes:g} minutes of learning; error: mean absolute difference from what is held",
        "out, grey levels.\n",
        f"| error | at step | {' | '.join(names)} |",
        f"|---|---|{'---|' * len(names)}",
    ]
    for trial in ranked:
        lines.append(
            f"| {trial.error:.2f} | {trial.step} | {' | '.join(str(trial.settings[name]) for name in names)} |"
        )
    if _plot(folder / "search.png", ranked):
        lines.append("\n![error over seconds of learning](search.png)")
    write_text(folder / "search.md", "\n".join(lines) + "\n")


def _plot(path: Path, trials: Sequence[Trial]) -> bool:
    """Whether matplotlib is there to draw it."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for place, trial in enumerate(trials):
        label = ", ".join(f"{name} {value}" for name, value in trial.settings.items()) if place < 5 else None
        errors = [(look.seconds, look.error) for look in trial.looks if look.error is not None]
        axes.plot(*zip(*errors, strict=True), label=label, color=None if place < 5 else "0.8", zorder=-place)
    axes.set(xlabel="seconds of learning", ylabel="error on what is held out, grey levels")
    axes.legend(fontsize=7)
    with replaced(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    return True
