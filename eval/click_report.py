"""Masks from clicks measured: before and after, what is warned of, a second click; and masks that follow things.

    python eval/click_report.py            # writes eval/clicks.md, eval/clicks.jsonl and eval/clicks.jpg, some minutes
    python eval/click_report.py --fit      # the weights of the choice, fitted anew on the development list: prints them

The clicks are those of eval/lists/clicks.jsonl, with their true masks (eval/click_lists.py says how it was made).
Photographs of packages that are not installed are left out, and the report says so.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from click_fit import fit
from click_lists import DEVELOPMENT, FROZEN
from clicks_before import mask_before
from PIL import Image, ImageDraw
from tqdm import tqdm

from gen_inbetween.data.synthetic import HELD_OUT_SEED
from gen_inbetween.evaluation.masks.click_list import BACKDROPS, Row, picture_of, read_clicks, truth_of
from gen_inbetween.evaluation.masks.following import Moment, films, follow, said_of_lost
from gen_inbetween.evaluation.masks.scores import correcting_click, grouped_interval, iou
from gen_inbetween.evaluation.report.tables import NOTHING, table
from gen_inbetween.interpolation.editing.clicks import masks_from_clicks
from gen_inbetween.interpolation.editing.masks import MaskError, mask_notices
from gen_inbetween.runtime import manifest
from gen_inbetween.runtime.files import write_json_lines
from gen_inbetween.runtime.recipe import FINDINGS, add_output, labelled, write_page, writing_report

HERE = Path(__file__).resolve().parent
KINDS = ("world", "plain", "photograph")
RIGHT = 0.8  # IoU from which a person would not click again
FILMS = {"world": range(HELD_OUT_SEED + 720_000, HELD_OUT_SEED + 720_008),
         "plain": range(HELD_OUT_SEED + 720_000, HELD_OUT_SEED + 720_003)}  # fmt: skip
FRAMES, SIZE = 16, 256
TILE, ACROSS, SHOWN = 128, 3, 48  # of the sheet: pixels of a picture, clicks a row, clicks
READ = """\
IoU is intersection over union with the true mask: drawn exactly in the synthetic pictures, by hand, as polygons and
ellipses that the list holds, in the photographs. Cells are `mean [low, high]`, with the 95 % percentile bootstrap
interval (2,000 resamples of whole pictures, seed 0). "Before" is GrabCut from six radii, the best by the gradient along
its outline and by how little it changes with the radius; "after" is what `masks_from_clicks` does now. Seconds are CPU
seconds on one thread. The method was developed on another list (`eval/lists/clicks_development.jsonl`: other seeds,
other photographs, collages), by which its weights were fitted; this one was only measured."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_output(parser, HERE / "clicks.md")
    parser.add_argument("--fit", action="store_true", help="fit the weights on the development list, and print them")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if given.fit:
        print(fit(read_clicks(DEVELOPMENT)))
        return
    beside = [given.output.with_suffix(ending) for ending in (".jsonl", ".jpg")]
    with writing_report(parser, given, reads=[FROZEN], beside=beside):
        report(given.output)
    print(given.output)


def report(output: Path) -> None:
    rows = read_clicks(FROZEN)
    scored = [score for row in tqdm(rows, "clicks") if (score := scores_of(row, rows)) is not None]
    moments = [moment for film in tqdm(films(FILMS, FRAMES, SIZE, BACKDROPS), "films") for moment in follow(*film)]
    write_json_lines(output.with_suffix(".jsonl"), [{"format": FINDINGS}, *map(plain_row, scored)])
    with labelled(output.with_suffix(".jpg")) as temporary:
        sheet(scored).save(temporary, quality=82)
    reading = HERE / "readings" / "clicks.md"
    parts = [
        "# Masks: from clicks, and along films",
        reading.read_text(encoding="utf-8") if reading.is_file() else "",
        "## What was run\n\n" + facts(rows, scored),
        "## A click\n\n" + READ + "\n\n" + click_table(scored),
        f"## A second click\n\n{second_table(scored)}",
        "## What is warned of\n\n" + warning_table(scored),
        f"## Along films\n\n{film_tables(moments)}",
        f"## Pictures\n\n![Each click with the mask before, after, and the true one]({output.stem}.jpg)",
    ]
    write_page(output, parts)


def scores_of(row: Row, rows: Sequence[Row]) -> Row | None:
    """A row with its masks and scores; None: its picture is not on this machine."""
    picture = picture_of(row)
    if picture is None:
        return None
    truth, click = truth_of(row, rows), tuple(row["click"])
    score: Row = {"row": row, "picture": picture, "truth": truth}
    score["before"], score["seconds before"] = timed(lambda: mask_before(picture, [click]))
    score["after"], score["seconds after"] = timed(lambda: mask_after(picture, [click], []))
    score["notices"] = mask_notices(score["after"], clicked=True)
    if truth is None:
        return score
    score |= {"iou before": iou(score["before"], truth), "iou after": iou(score["after"], truth)}
    if score["iou after"] < RIGHT:
        on, point = correcting_click(score["after"], truth)
        corrected = mask_after(picture, [click, point] if on else [click], [] if on else [point])
        score |= {"second on": on, "iou second": iou(corrected, truth)}
    return score


def timed(make):
    """What a function gives, and the CPU seconds it takes."""
    start = time.process_time()
    return make(), time.process_time() - start


def mask_after(picture: np.ndarray, on: Sequence[tuple[int, int]], off: Sequence[tuple[int, int]]) -> np.ndarray:
    """The mask of today; empty where nothing was found."""
    try:
        return masks_from_clicks(Image.fromarray(picture), [list(on)], negative=list(off))[0]
    except MaskError:
        return np.zeros(picture.shape[:2], bool)


def plain_row(score: Row) -> Row:
    """What stands in the list of results: the figures alone."""
    figures = {key: value for key, value in score.items() if isinstance(value, (bool, float, list))}
    return {"id": score["row"]["id"], "kind": score["row"]["kind"]} | {
        key: round(value, 4) if isinstance(value, float) else value for key, value in figures.items()
    }


def group_of(score: Row) -> tuple[str, object]:
    """The picture of a click: what the bootstrap draws."""
    return score["row"]["kind"], score["row"].get("picture", score["row"].get("seed"))


def cell(values: Sequence[float], scored: Sequence[Row], digits: int = 2) -> str:
    estimate = grouped_interval(values, [group_of(score) for score in scored])
    return f"{estimate.mean:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def by_kind(scored: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """The clicks on things of each kind, then all of them."""
    things = [score for score in scored if score["truth"] is not None]
    groups = [(kind, [score for score in things if score["row"]["kind"] == kind]) for kind in KINDS]
    return [*((kind, group) for kind, group in groups if group), ("all", things)]


def click_table(scored: Sequence[Row]) -> str:
    lines = []
    for kind, group in by_kind(scored):
        before, after = (np.array([score[f"iou {when}"] for score in group]) for when in ("before", "after"))
        seconds = [np.median([score[f"seconds {when}"] for score in group]) for when in ("before", "after")]
        lines.append(
            [kind, f"{len(group)} in {len({group_of(score) for score in group})}", cell(before, group),
             cell(after, group), cell(after - before, group), f"{(before > 0.5).mean():.0%}",
             f"{(after > 0.5).mean():.0%}", f"{seconds[0]:.2f}", f"{seconds[1]:.2f}"]
        )  # fmt: skip
    header = ["kind", "clicks, pictures", "IoU before", "IoU after", "gain", "IoU > 0.5 before", "after",
              "s a click before", "after"]  # fmt: skip
    return table(header, lines)


def second_table(scored: Sequence[Row]) -> str:
    lines = []
    for kind, group in by_kind(scored):
        again = [score for score in group if "iou second" in score]
        if again:
            first, second = ([score[key] for score in again] for key in ("iou after", "iou second"))
            lines.append([kind, f"{len(again)} of {len(group)}", cell(first, again), cell(second, again),
                          f"{np.mean(np.array(second) > 0.5):.0%}"])  # fmt: skip
    text = (
        f"Where the IoU is below {RIGHT}, one more click where the largest piece that is missing (on the thing) or too "
        "much (off it) is deepest: the click a person would make next.\n\n"
    )
    return text + table(["kind", "clicked again", "IoU of one click", "of two", "IoU > 0.5 of two"], lines)


def warning_table(scored: Sequence[Row]) -> str:
    def share(group: Sequence[Row], word: str) -> str:
        said = [any(word in notice for notice in score["notices"]) for score in group]
        return f"{sum(said)} of {len(said)}"

    off = [score for score in scored if score["truth"] is None]
    good = [score for score in scored if score["truth"] is not None and score["iou after"] > 0.5]
    bad = [score for score in scored if score["truth"] is not None and score["iou after"] <= 0.5]
    words = {"the background": "as the background", "tiny": "as tiny", "huge": "as huge", "it touches": "at the border"}
    lines = [
        [name, *(share(group, word) for word in words)]
        for name, group in (("clicks on the background", off), ("on things, IoU > 0.5", good), ("IoU <= 0.5", bad))
    ]
    return "How many of the masks are warned of, and as what.\n\n" + table(["", *words.values()], lines)


def film_tables(moments: Sequence[Moment]) -> str:
    lines = []
    for kind in dict.fromkeys(moment.film.split()[0] for moment in moments):
        group = [moment for moment in moments if moment.film.split()[0] == kind]
        seen = [moment for moment in group if not moment.gone]
        films_of = [moment.film for moment in seen]
        estimate = grouped_interval([moment.iou for moment in seen], films_of)
        said = said_of_lost(group)
        lines.append(
            [kind, str(len({moment.film for moment in group})), str(len(group)),
             f"{estimate.mean:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]",
             figure(np.mean([moment.iou for moment in seen if moment.frame == FRAMES - 1] or [np.nan])),
             f"{said['true']}", f"{said['said']}", figure(said["precision"]), figure(said["recall"])]
        )  # fmt: skip
    said = said_of_lost(moments)
    rank = spearman([moment.likeness for moment in moments], [0 if moment.gone else moment.iou for moment in moments])
    text = (
        f"Films of {FRAMES} frames, {SIZE}x{SIZE}; the true masks of the first frame are followed. `cut`: halfway the "
        "film cuts to another scene, so that the thing is gone. Not followed: IoU below 0.5, or less than 8 % of the "
        'thing in sight. "Lost" is what the notice and the manifest say. The interval draws whole films.\n\n'
    )
    header = ["kind", "films", "things x frames", "IoU", "IoU in the last frame", "not followed", "said lost",
              "precision", "recall"]  # fmt: skip
    end = (
        f"\nIn all: of {said['true']} masks that do not show their thing {said['right']} are said to be lost (recall "
        f"{said['recall']:.2f}), and {said['said'] - said['right']} of {said['said']} are said wrongly (precision "
        f"{said['precision']:.2f}). Rank correlation of the likeness of colours with the IoU: {rank:.2f}.\n"
    )
    return text + table(header, lines) + end


def figure(value: float) -> str:
    return NOTHING if np.isnan(value) else f"{value:.2f}"


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).statistic)


def facts(rows: Sequence[Row], scored: Sequence[Row]) -> str:
    missing = sorted({row["picture"] for row in rows if "picture" in row} - {s["row"].get("picture") for s in scored})
    versions = manifest.versions()
    lines = [
        "- `python eval/click_report.py`",
        f"- {len(scored)} of {len(rows)} clicks of `eval/lists/clicks.jsonl`"
        + (f"; not here: {', '.join(missing)}" if missing else ""),
        f"- films: seeds {', '.join(f'{kind} {seeds.start} to {seeds.stop - 1}' for kind, seeds in FILMS.items())}",
        f"- OpenCV {cv2.__version__}, numpy {np.__version__}, Python {versions['python']}, one thread, "
        f"{platform.machine()}",
    ]
    return "\n".join(lines)


def sheet(scored: Sequence[Row]) -> Image.Image:
    """Clicks evenly picked from the list: the mask before, after, and the true one."""
    things = [score for score in scored if score["truth"] is not None]
    photographs = [score for score in things if score["row"]["kind"] == "photograph"]
    rest = [score for score in things if score["row"]["kind"] != "photograph"]
    count = max(0, SHOWN - len(photographs))
    picked = [rest[k] for k in np.unique(np.linspace(0, len(rest) - 1, min(count, len(rest))).astype(int))]
    cells = [samples(score) for score in (*photographs, *picked)]
    width, height = cells[0].size
    page = Image.new("RGB", (ACROSS * (width + 8), -(-len(cells) // ACROSS) * (height + 8)), "white")
    for number, drawn in enumerate(cells):
        page.paste(drawn, (number % ACROSS * (width + 8), number // ACROSS * (height + 8)))
    return page


def samples(score: Row) -> Image.Image:
    """Before, after and truth of one click, each lit in the picture, with their IoU."""
    line = Image.new("RGB", (3 * TILE, TILE + 14), "white")
    labels = (f"before {score['iou before']:.2f}", f"after {score['iou after']:.2f}", "true")
    for number, (key, label) in enumerate(zip(("before", "after", "truth"), labels, strict=True)):
        tile = lit(score["picture"], score[key], score["row"]["click"])
        line.paste(tile, (number * TILE, 14))
        ImageDraw.Draw(line).text((number * TILE + 2, 1), label, fill="black")
    return line


def lit(picture: np.ndarray, mask: np.ndarray, click: Sequence[int]) -> Image.Image:
    """The mask in the picture, which is dim around it, and the click."""
    image = Image.fromarray(np.where(mask[..., None], picture, picture // 4))
    scale = TILE / max(image.size)
    image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    x, y = (value * scale for value in click)
    draw = ImageDraw.Draw(image)
    draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=(0, 255, 0), outline="black")
    return image


if __name__ == "__main__":
    main()
