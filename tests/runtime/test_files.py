"""Files and folders are written whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gen_inbetween.runtime.files import (
    OutputError,
    check_writable,
    replace_folder,
    replaced,
    save_image,
    short_name,
    write_json,
    write_json_lines,
)


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


@pytest.mark.parametrize(
    "name", ["x" * 251 + ".mp4", "\u6708" * 83 + ".mp4", "a." + "y" * 253, "12:30.mp4", "100%d .mp4"]
)
def test_a_name_as_long_as_a_name_can_be_is_written(tmp_path: Path, name: str) -> None:
    check_writable(tmp_path / name)
    with replaced(tmp_path / name) as temporary:
        assert len(temporary.name.encode()) <= max(len(name.encode()), 100)
        temporary.write_text("whole")
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_name_that_is_too_long_is_found_before_the_work(tmp_path: Path) -> None:
    for path in (tmp_path / ("x" * 252 + ".mp4"), tmp_path / ("d" * 256) / "a.mp4"):
        with pytest.raises(OutputError, match="at most 255 bytes here, this one 256"):
            check_writable(path)


@pytest.mark.parametrize("name", ["gone/../x.mp4", "gone/../../x.mp4", "file/../x.mp4", "gone/..", "a/gone/../b/x.mp4"])
def test_a_way_out_of_a_folder_that_is_not_there_leads_nowhere(name: str, tmp_path: Path) -> None:
    """By that path nothing that stands there is found, so it would be replaced unasked."""
    (tmp_path / "file").touch()
    (tmp_path / "x.mp4").write_text("somebody's")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError, match="leads back out of .*(gone|file), which is no folder"):
        check_writable(tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / "there").mkdir()
    check_writable(tmp_path / "there" / ".." / "x.mp4")


def test_long_names_that_begin_alike_are_told_apart() -> None:
    names = {short_name("x" * 100 + end) for end in ("1.mp4", "2.mp4")}
    assert len(names) == 2 and all(len(name) <= 64 for name in names)


def test_an_address_is_no_place_to_write_to() -> None:
    with pytest.raises(OutputError, match="https://example.com/film.mp4: it is an address"):
        check_writable(Path("https://example.com/film.mp4"))


def test_a_whole_disk_is_no_place_to_write_to() -> None:
    with pytest.raises(OutputError, match="name a file or a folder in it"):
        check_writable("/")


HIDDEN = """
import importlib, os, pkgutil, signal, sys
{first}
for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"):
    sys.modules[name] = None
for name in ("fork", "kill", "killpg", "getuid", "sysconf", "pathconf", "sched_getaffinity", "register_at_fork"):
    vars(os).pop(name, None)
for name in ("SIGHUP", "SIGKILL", "SIGALRM", "SIGUSR1", "alarm", "setitimer"):
    vars(signal).pop(name, None)
import {package}
for module in pkgutil.walk_packages({package}.__path__, "{package}."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from gen_inbetween.runtime import files, processes
processes.raise_on_signals()
for text in ("one", "two"):
    files.check_writable("a/b.txt")
    files.write_text("a/b.txt", text)
assert os.listdir("a") == ["b.txt"]
"""


@pytest.mark.parametrize(
    "words",
    [
        {"package": "gen_inbetween.runtime.trust", "first": ""},
        pytest.param(
            {
                "package": "gen_inbetween",
                "first": "import torch, diffusers, transformers, av, cv2, peft",
            },
            marks=pytest.mark.slow,
        ),
    ],
    ids=["runtime", "all"],
)
def test_nothing_that_posix_alone_has_is_needed(words: dict[str, Any], tmp_path: Path) -> None:
    """Windows has none of these; what its locks do can be tried there only."""
    run = subprocess.run([sys.executable, "-c", HIDDEN.format(**words)], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_one_folder_by_two_names_does_not_wait_for_itself(tmp_path: Path) -> None:
    """An output through a linked folder, or ../: in a process of its own, since it waited for ever."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    words = (
        "from pathlib import Path; from gen_inbetween.runtime.files import write_text; "
        "from gen_inbetween.runtime.outputs import reserved\n"
        "for name in ('link/a.txt', 'link/../b.txt'):\n"
        "    with reserved(name):\n"
        "        write_text(name, 'whole')"
    )
    subprocess.run([sys.executable, "-c", words], cwd=tmp_path, timeout=60, check=True)
    assert (tmp_path / "real" / "a.txt").read_text() == (tmp_path / "b.txt").read_text() == "whole"
