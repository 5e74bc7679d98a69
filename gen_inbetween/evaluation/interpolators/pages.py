"""Tables, a plot and sheets of interpolators' figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from gen_inbetween.evaluation.interpolators.gaps import TRUTH, Frames, GapScores, Moment, interpolate_between
from gen_inbetween.evaluation.interpolators.limits import Trial, shares
from gen_inbetween.evaluation.interpolators.speed import Cost
from gen_inbetween.evaluation.report.metric_info import describe_metrics
from gen_inbetween.evaluation.report.pictures import copy_small_png
from gen_inbetween.evaluation.report.plots import TEXT, save, styles
from gen_inbetween.evaluation.report.statistics import bootstrap_interval, holm, paired_difference
from gen_inbetween.evaluation.report.tables import decimals, estimate, figure, probability, table
from gen_inbetween.interpolation.interpolator import FrameInterpolator
from gen_inbetween.media.contact_sheet import contact_sheet
from gen_inbetween.runtime.files import save_image

SHOWN_GAP, COLUMNS = 8, 5


def gap_tables(scores: GapScores) -> str:
    """One table a measure: a row for each interpolator, a column for each gap."""
    pages = []
    for name, metric in describe_metrics(scores.values).items():
        rows = {
            label: [bootstrap_interval(values) for values in gaps.values()]
            for label, gaps in scores.values[name].items()
            if any(gaps.values())
        }
        digits = decimals([cell.mean for row in rows.values() for cell in row])
        head = [f"{name} ({metric.better} is better)", *(f"gap {gap}" for gap in scores.gaps)]
        cells = [[label, *(estimate(cell, digits) for cell in row)] for label, row in rows.items()]
        pages.append(f"{table(head, cells)}\n{metric.meaning}")
    return "\n\n".join(pages)


def difference_table(scores: GapScores, reference: str = "blend", metric: str = "psnr[inner]") -> str:
    """Paired differences from the reference: moments differ far more from each other than interpolators do."""
    scores_of = scores.values[metric]
    differences = {
        label: [paired_difference(gaps[gap], scores_of[reference][gap]) for gap in scores.gaps]
        for label, gaps in scores_of.items()
        if label not in (reference, TRUTH)
    }
    corrected = iter(holm([cell.p for row in differences.values() for cell in row]))
    rows = [
        [label, *(f"{estimate(cell, 2, signed=True)}, {probability(next(corrected))}" for cell in row)]
        for label, row in differences.items()
    ]
    return table([f"{metric}, less that of {reference}", *(f"gap {gap}" for gap in scores.gaps)], rows)


def gap_plot(sets: Mapping[str, GapScores], path: Path) -> Path:
    """PSNR against the gap, a panel for each set."""
    picture = Figure(figsize=(5.5 * len(sets), 3.6), layout="constrained")
    panels = np.atleast_1d(picture.subplots(1, len(sets), sharey=True))
    for panel, (title, scores) in zip(panels, sets.items(), strict=True):
        psnr = scores.values["psnr[inner]"]
        labels = [label for label in psnr if label != TRUTH]
        look = styles(labels)
        for shift, label in enumerate(labels):
            cells = [bootstrap_interval(values) for values in psnr[label].values()]
            means = np.array([cell.mean for cell in cells])
            bars = np.abs(np.array([[cell.low, cell.high] for cell in cells]).T - means)
            xs = np.arange(len(cells)) + 0.06 * (shift - (len(labels) - 1) / 2)
            panel.errorbar(xs, means, bars, label=label, linewidth=1, markersize=5, **look[label])
        panel.set_title(title, fontsize=TEXT + 1)
        panel.set_xticks(range(len(scores.gaps)), map(str, scores.gaps))
        panel.set_xlabel("gap, frames", fontsize=TEXT)
        panel.grid(linewidth=0.4, alpha=0.6)
    panels[0].set_ylabel("PSNR of the frames between, dB", fontsize=TEXT)
    panels[-1].legend(fontsize=TEXT)
    return save(picture, path)


def typical_and_hard(moments: Sequence[Moment], scores: GapScores) -> dict[str, Moment]:
    """The moments at the median and at the 10th percentile of what a cross-fade reaches."""
    faded = np.asarray(scores.values["psnr[inner]"]["blend"][SHOWN_GAP])
    order = np.argsort(faded)
    return {"typical": moments[order[len(order) // 2]], "hard": moments[order[len(order) // 10]]}


def gap_sheet(moment: Moment, interpolators: Mapping[str, FrameInterpolator], path: Path) -> Path:
    """The true frames over those of each interpolator, at a gap of 8; a PNG of 300 KB at most."""
    truth = moment.around(SHOWN_GAP)
    rows = {f"truth: {moment.name}, gap {SHOWN_GAP}": images(truth)}
    for label, interpolator in interpolators.items():
        rows[label] = images(interpolate_between(truth, interpolator))
    return copy_small_png(save_image(path, contact_sheet(rows, columns=COLUMNS)), path)


def images(frames: Frames) -> list[Image.Image]:
    return [Image.fromarray(frame) for frame in frames]


def speed_table(costs: Mapping[str, Cost], dis: float) -> str:
    """CPU milliseconds, and how many times cv2's bare DIS flow of the same frames that is."""
    rows = [["cv2 DIS flow alone, one way", f"{dis * 1e3:.1f}", f"{dis * 1e3:.1f}", "1.0"]]
    for label, cost in costs.items():
        first, further = (f"{seconds * 1e3:.1f}" for seconds in (cost.first, cost.further))
        rows.append([label, first, further, f"{cost.further / dis:.1f}"])
    return table(["CPU ms on one thread", "first frame of a pair", "each further one", "further, in DIS flows"], rows)


def memory_table(peaks: Mapping[int, Mapping[str, float]]) -> str:
    least = min(each["peak_mb"] for each in peaks.values())
    rows = [
        [str(frames), f"{each['written']:.0f}", f"{each['peak_mb']:.0f}", f"{each['peak_mb'] - least:+.0f}"]
        for frames, each in peaks.items()
    ]
    return table(["source frames", "frames written", "peak MB of the process", "above the smallest"], rows)


def limits_table(trials: Sequence[Trial], displacements: Sequence[float], disagreements: Sequence[float]) -> str:
    """Each cell: of the triplets below both limits the share that is good, and the share of all good ones they are."""
    rows = []
    for limit in disagreements:
        cells = [shares(trials, displacement, limit) for displacement in displacements]
        texts = [f"{figure(good, 2)} / {figure(kept, 2)} of {count}" for count, good, kept in cells]
        rows.append([f"disagreement {up_to(limit)}", *texts])
    return table(["good / kept", *(f"displacement {up_to(limit)}" for limit in displacements)], rows)


def up_to(limit: float) -> str:
    return "any" if limit == inf else f"up to {limit:g}"
