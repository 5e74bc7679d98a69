"""Files and folders are written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from gen_inbetween.runtime.files import OutputError, replace_folder, replaced, save_image, write_json, write_json_lines


def test_a_parent_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="could not write"), replaced(tmp_path / "file" / "x.png"):
        pass


def test_what_is_written_is_utf8_with_plain_line_ends(tmp_path: Path) -> None:
    path = write_json(tmp_path / "new" / "a.json", {"name": "Bewegung \u00fc"})
    assert json.loads(path.read_bytes()) == {"name": "Bewegung \u00fc"} and path.read_bytes().endswith(b"}\n")
    lines = write_json_lines(tmp_path / "a.jsonl", [{"a": 1}, "\u00fc"]).read_bytes()
    assert lines == '{"a": 1}\n"\u00fc"\n'.encode()


def test_an_image_is_saved_in_the_format_of_its_name(tmp_path: Path) -> None:
    for name, kind in (("a.png", "PNG"), ("a.webp", "WEBP")):
        with Image.open(save_image(tmp_path / name, Image.new("RGB", (4, 2)))) as image:
            assert (image.format, image.size) == (kind, (4, 2))


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.json", 1)
    with pytest.raises(TypeError):
        write_json(path, object())
    assert path.read_text() == "1\n" and [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_is_replaced_in_one_step(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with replaced(tmp_path / "folder", replace_folder) as temporary:
            temporary.mkdir()
            (temporary / content).touch()
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["new"]
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]
