"""Lists of clicks: the frozen one, and the one masks were developed on. Drawn rows anew, photographs as they stand.

python eval/click_lists.py      # rewrites eval/lists/clicks.jsonl and eval/lists/clicks_development.jsonl
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gen_inbetween.data.synthetic import HELD_OUT_SEED
from gen_inbetween.evaluation.masks.click_list import Row, draw_clicks, read_clicks
from gen_inbetween.runtime.files import write_json_lines

LISTS = Path(__file__).resolve().parent / "lists"
FROZEN, DEVELOPMENT = LISTS / "clicks.jsonl", LISTS / "clicks_development.jsonl"
SIZES = (256, 384, 512)
OTHER_BACKDROPS = ("skimage/brick.png", "skimage/grass.png", "gradio/tower.jpg", "gradio/lion.jpg", "skimage/ihc.png")
OTHER_PHOTOGRAPHS = (*OTHER_BACKDROPS, "gradio/cheetah.jpg", "gradio/cheetah1.jpg", "skimage/retina.jpg")


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    first = HELD_OUT_SEED + 700_000
    drawn = draw_clicks("world", range(first, first + 24), SIZES) + draw_clicks("plain", range(first, first + 9), SIZES)
    write(FROZEN, drawn)
    drawn = draw_clicks("world", range(5_000_000, 5_000_036), SIZES[:2], OTHER_BACKDROPS)
    drawn += draw_clicks("plain", range(5_000_000, 5_000_012), SIZES[:2], OTHER_BACKDROPS)
    drawn += draw_clicks("collage", range(5_000_000, 5_000_040), SIZES[:2], OTHER_PHOTOGRAPHS)
    write(DEVELOPMENT, drawn)


def write(path: Path, drawn: list[Row]) -> None:
    annotated = [row for row in read_clicks(path) if row["kind"] == "photograph"] if path.exists() else []
    write_json_lines(path, [*drawn, *annotated])
    print(f"{path}: {len(drawn)} drawn, {len(annotated)} of photographs")


if __name__ == "__main__":
    main()
