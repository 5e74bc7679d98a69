"""What every tab's parts must have, lest Gradio shows them so that they cannot be read."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def parts(blocks_and_page):
    return blocks_and_page[0].blocks.values()


def of_kind(parts, kind):
    found = [each for each in parts if type(each).__name__ == kind]
    assert found
    return found


def test_every_picture_is_named(parts):
    """Gradio makes a button of a picture that is shown, without a name but this."""
    assert [each.elem_id for each in of_kind(parts, "Image") if each.alt_text != each.label] == []


def test_before_and_after_are_no_higher_than_their_place(parts):
    """Higher ones are shifted against each other, and cut."""
    assert all(each.max_height < each.height for each in of_kind(parts, "ImageSlider"))


def test_the_tools_of_an_easel_leave_its_label_to_be_read(parts):
    assert [each.label for each in of_kind(parts, "ImageEditor") if len(each.label) > len("First picture")] == []
