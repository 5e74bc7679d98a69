"""Sheets and videos of typical, best and worst pairs.

The true clip comes first.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from gen_inbetween.evaluation.report.comparisons import typical_pairs
from gen_inbetween.evaluation.report.metric_info import MetricInfo
from gen_inbetween.evaluation.report.scores import Scores
from gen_inbetween.evaluation.report.tables import decimals, figure
from gen_inbetween.evaluation.settings import TRUTH
from gen_inbetween.media.contact_sheet import Frames, contact_sheet, side_by_side
from gen_inbetween.media.video_writer import write_video
from gen_inbetween.runtime.files import replaced, save_image

SHEET_COLUMNS = 7
TILE = 192  # pixels
SMALL = 300_000  # bytes of a picture that goes into a repository
FPS = 7

Clips = Callable[[str, str, int], Frames]  # (method, pair, seed) -> the clip; TRUTH is a method here, whatever the seed


def rows_of(scores: Scores, metric: MetricInfo, methods: Sequence[str], pair: int, clips: Clips) -> dict[str, Frames]:
    """label -> frames: the true clip, then each method that made this pair, with its value of the measure."""
    name = scores.pairs[pair]
    rows: dict[str, Frames] = {f"truth: {name}": clips(TRUTH, name, scores.seeds[0])}
    for method in methods:
        seed = scores.seed_of(method, name)
        if seed is not None:
            value = float(scores.table[metric.name, method][pair, scores.seeds.index(seed)])
            rows[f"{method}: {figure(value, decimals([value]))} {metric.unit}".rstrip()] = clips(method, name, seed)
    return rows


def section_pictures(
    scores: Scores, metric: MetricInfo, methods: Sequence[str], chooser: str, clips: Clips, folder: Path, stem: str
) -> dict[str, str]:
    """Sheets and videos of all methods on the pairs where the method `chooser` is typical, best and worst.

    Returns:
        "typical" -> "name of the pair", and so on; the files are folder/sheets/<stem>-typical.png and
        folder/videos/<stem>-typical.mp4.
    """
    pairs = typical_pairs(scores, metric, chooser)
    for kind, pair in pairs.items():
        rows = rows_of(scores, metric, methods, pair, clips)
        save_image(folder / "sheets" / f"{stem}-{kind}.png", sheet(rows))
        columns = len(rows) if len(rows) <= 4 else math.ceil(math.sqrt(1.5 * len(rows)))  # about as wide as a screen
        write_video(side_by_side(rows, columns=columns), folder / "videos" / f"{stem}-{kind}.mp4", FPS)
    return {kind: scores.pairs[pair] for kind, pair in pairs.items()}


def method_sheet(scores: Scores, metric: MetricInfo, method: str, clips: Clips, path: Path) -> bool:
    """One sheet of a method's own typical, best and worst pair, each under the true clip; False where it has none."""
    sheet_rows: dict[str, Frames] = {}
    for kind, pair in typical_pairs(scores, metric, method).items():
        rows = rows_of(scores, metric, [method], pair, clips)
        sheet_rows |= {f"{kind}, {label}": frames for label, frames in rows.items()}
    if sheet_rows:
        save_image(path, sheet(sheet_rows))
    return bool(sheet_rows)


def sheet(rows: Mapping[str, Frames]) -> Image.Image:
    """A contact sheet of small tiles, so that its labels can be read where a page shows it whole."""
    small = {label: [_thumbnail(frame) for frame in frames] for label, frames in rows.items()}
    return contact_sheet(small, columns=SHEET_COLUMNS)


def _thumbnail(frame: Image.Image) -> Image.Image:
    small = frame.copy()
    small.thumbnail((TILE, TILE))  # never enlarges
    return small


def copy_small_png(source: Path, path: Path, limit: int = SMALL) -> Path:
    """Copy a PNG of at most `limit` bytes as it is; make a larger one fit with fewer colours, then fewer pixels."""
    content = source.read_bytes()
    if len(content) > limit:
        with Image.open(source) as opened:
            picture = opened.convert("RGB")
        content = _png(picture, colours=256)
        while len(content) > limit and min(picture.size) > 1:
            content = _png(picture, colours=64)
            picture = picture.resize((max(1, picture.width * 4 // 5), max(1, picture.height * 4 // 5)))
    with replaced(path) as temporary:
        temporary.write_bytes(content)
    return path


def _png(picture: Image.Image, colours: int) -> bytes:
    buffer = io.BytesIO()
    picture.quantize(colours, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
