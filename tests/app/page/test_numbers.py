"""Numbers in text fields."""

import pytest

pytest.importorskip("gradio", reason='the page needs gradio: pip install "gen_inbetween[app]"')

from gen_inbetween.app.page.controls import chosen
from gen_inbetween.app.page.numbers import NumberField, run_numbers
from gen_inbetween.app.page.settings import PageSettings

HALVES = NumberField("--fps", 0.5, 240, whole=False)


@pytest.mark.parametrize(
    ("text", "number"),
    [("", None), (None, None), ("  ", None), (" 7 ", 7.0), ("0.5", 0.5), ("30000/1001", 30000 / 1001)],
)
def test_an_empty_field_is_the_usual_number(text, number):
    assert HALVES.read(text) == number


@pytest.mark.parametrize("text", ["0", "241", "seven", "nan", "inf", "1e999", "1/0", "1/x", "1e1000000000"])
def test_what_is_no_number_or_out_of_range_is_a_sentence_with_its_name(text):
    with pytest.raises(ValueError, match=f"--fps: expected a number from 0.5 to 240, got '{text}'"):
        HALVES.read(text)


def test_the_settings_that_were_chosen():
    numbers = run_numbers(PageSettings(max_frames=50))
    values = {"num_frames": "9", "seed": "0", "width": "", "fit": "crop", "method": "usual"}
    assert chosen(values, numbers) == {"num_frames": 9, "seed": 0, "fit": "crop"}
    with pytest.raises(ValueError, match="--frames: expected a whole number from 2 to 50, got '51'"):
        chosen(values | {"num_frames": "51"}, numbers)
