"""Pictures of the page on moving things: clicks and what they pick, and a film in which a thing is lost.

python docs/images/draw_masks.py      # writes masks_clicks.jpg and masks_film.jpg beside itself; needs scikit-image
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from skimage import data

from gen_inbetween.data.synthetic import HELD_OUT_SEED
from gen_inbetween.data.worlds import make_world_clip
from gen_inbetween.interpolation.editing.clicks import masks_from_clicks
from gen_inbetween.interpolation.editing.mask_propagation import propagate_masks
from gen_inbetween.media.contact_sheet import contact_sheet
from gen_inbetween.runtime.files import replaced

FOLDER = Path(__file__).resolve().parent
HEIGHT = 200
ON, OFF = (60, 220, 60), (230, 40, 40)
SPOON, SAUCER = (370, 290), (195, 294)
EYES = [(150, 110), (330, 130)]


def lit(picture: Image.Image, mask: np.ndarray, on: list, off: list = []) -> Image.Image:  # noqa: B006
    """What a mask picks, the rest dim; clicks on it green, off it red."""
    pixels = np.asarray(picture)
    image = Image.fromarray(np.where(mask[..., None], pixels, pixels // 4))
    draw = ImageDraw.Draw(image)
    for points, colour in ((on, ON), (off, OFF)):
        for x, y in points:
            draw.ellipse([x - 8, y - 8, x + 8, y + 8], fill=colour, outline="white", width=2)
    return image.resize((round(image.width * HEIGHT / image.height), HEIGHT), Image.Resampling.LANCZOS)


def clicks() -> Image.Image:
    coffee, cat = Image.fromarray(data.coffee()), Image.fromarray(data.chelsea())
    first = lit(coffee, masks_from_clicks(coffee, [SPOON])[0], [SPOON])
    second = lit(coffee, masks_from_clicks(coffee, [SPOON], negative=[SAUCER])[0], [SPOON], [SAUCER])
    eyes = masks_from_clicks(cat, EYES)
    rows = {
        "--click 370,290                                                   and --off 195,294": [first, second],
        "--click 150,110 --click 330,130": [lit(cat, mask, [eye]) for mask, eye in zip(eyes, EYES, strict=True)],
    }
    return contact_sheet(rows, columns=2)


def film() -> Image.Image:
    """A thing that goes along until the film cuts."""
    one, two = (make_world_clip(HELD_OUT_SEED + seed, num_frames=10, size=192) for seed in (720_000, 720_001))
    frames = [*map(Image.fromarray, one.frames[:7]), *map(Image.fromarray, two.frames[7:])]
    steps = list(propagate_masks(frames, one.masks[0, :1]))
    shown = [0, 2, 4, 6, 7, 9]
    row = [lit(frames[k], steps[k].masks[0], []) for k in shown]
    for image, k in zip(row, shown, strict=True):
        if steps[k].lost[0]:
            ImageDraw.Draw(image).text((8, 8), f"lost (frame {k})", fill=OFF)
    return contact_sheet({"the mask in frames 0, 2, 4, 6, 7 and 9; the film cuts at frame 7": row}, columns=6)


def save(name: str, image: Image.Image) -> None:
    with replaced(FOLDER / name) as temporary:
        image.save(temporary, quality=85)


if __name__ == "__main__":
    save("masks_clicks.jpg", clicks())
    save("masks_film.jpg", film())
