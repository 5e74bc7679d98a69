"""What may be written: no input by any name, no file of others, nothing that another run writes."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import struct
import sys
import threading
import time
import tracemalloc
from pathlib import Path

import pytest
from PIL import Image

from gen_inbetween.runtime import files
from gen_inbetween.runtime.files import OutputError, replace_folder, replaced, sweep, umask, write_json
from gen_inbetween.runtime.outputs import (
    check_output,
    claim_folder,
    embed,
    is_ours,
    path_beside,
    reserved,
)
from gen_inbetween.runtime.traces.leftovers import delete_leftover, find_leftovers
from gen_inbetween.runtime.trust.limits import LONGEST_JSON

RECORD = {"format": 2, "settings": {"seed": 3}, "versions": {"python": "3.11"}}


def picture(path: Path, ours: bool = False) -> Path:
    Image.new("RGB", (8, 8)).save(path)
    if ours:
        embed(RECORD, path)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_input_is_not_replaced_by_whatever_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = picture(tmp_path / "a.png", ours=True)
    (tmp_path / "link.png").symlink_to(source)
    (tmp_path / "hard.png").hardlink_to(source)
    (tmp_path / "folder").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "./a.png", "link.png", "hard.png", "folder/a.png", str(source), "folder/folder/a.png"):
        for overwrite in (False, True):
            with pytest.raises(OutputError, match="is an input"):
                check_output(name, ["other.png", None, "a\0b", "", source], overwrite=overwrite)
    with pytest.raises(OutputError, match="is an input"):
        check_output("missing.png", [tmp_path / "folder" / "missing.png"])
    check_output("b.png", [source])


def test_a_folder_that_holds_an_input_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    source = picture(tmp_path / "frames" / "frame_00000.png", ours=True)
    check_output(tmp_path / "frames")
    with pytest.raises(OutputError, match="holds the input"):
        check_output(tmp_path / "frames", [source], overwrite=True)


def test_a_manifest_does_not_replace_an_input_or_anothers_file(tmp_path: Path) -> None:
    beside = path_beside(tmp_path / "c.gif")
    with pytest.raises(OutputError, match="is an input"):
        check_output(tmp_path / "c.gif", [beside])
    beside.write_text("my notes")
    with pytest.raises(OutputError, match=r"c.gif.inbetween.json is a file that gen_inbetween did not make"):
        check_output(tmp_path / "c.gif")
    write_json(beside, RECORD)
    check_output(tmp_path / "c.gif")


def test_files_of_others_are_replaced_where_that_is_said(tmp_path: Path) -> None:
    other = picture(tmp_path / "x.png")
    with pytest.raises(OutputError, match="did not make.*--overwrite"):
        check_output(other)
    check_output(other, overwrite=True)
    (tmp_path / "broken.png").symlink_to(tmp_path / "absent.png")
    with pytest.raises(OutputError, match="did not make"):
        check_output(tmp_path / "broken.png")


def test_what_is_ours(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()  # as tempfile makes it
    assert is_ours(tmp_path / "empty.mp4") and is_ours(picture(tmp_path / "a.png", ours=True))
    assert not is_ours(picture(tmp_path / "b.png"))
    for name, content in {"c.json": {"format": 2}, "d.json": [1], "e.json": {"versions": {}}}.items():
        assert not is_ours(write_json(tmp_path / name, content)), name
    assert is_ours(write_json(tmp_path / "f.json", RECORD))
    (tmp_path / "f.mp4").write_bytes(b"made before there were labels")
    assert is_ours(tmp_path / "f.mp4") and not is_ours(tmp_path / "absent")
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 100_000)
    assert not is_ours(deep)


def test_a_folder_is_ours_if_all_in_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    assert is_ours(folder)
    for number in range(3):
        Image.new("RGB", (8, 8)).save(folder / f"frame_{number:05d}.png")
    assert not is_ours(folder), "as ffmpeg names frames, too"
    embed(RECORD, folder)
    assert is_ours(folder) and names(folder)[-1] == "inbetween.json"
    picture(folder / "frame_00001.png")  # retouched
    assert not is_ours(folder)


def test_a_folder_of_collected_clips_is_not_one_of_frames(tmp_path: Path) -> None:
    """Each of them is ours and may be replaced by its own name; a folder of frames must not take the place of all."""
    folder = tmp_path / "best"
    folder.mkdir()
    picture(folder / "a.gif", ours=True)
    check_output(folder / "a.gif")
    with pytest.raises(OutputError, match="holds files that gen_inbetween did not make"):
        check_output(folder)


def test_a_large_header_is_not_read_for_a_file_in_the_way(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    header = b'{"__metadata__": {"gen_inbetween": "' + b"x" * LONGEST_JSON + b'"}}'
    file.write_bytes(struct.pack("<Q", len(header)) + header)
    tracemalloc.start()
    assert not is_ours(file)
    assert tracemalloc.get_traced_memory()[1] < 3 * LONGEST_JSON
    tracemalloc.stop()


def test_what_holds_no_label_is_ours_until_somebody_changes_it(tmp_path: Path) -> None:
    film, folder = tmp_path / "c.y4m", tmp_path / "frames"
    film.write_bytes(b"YUV4MPEG2")
    write_json(path_beside(film), RECORD)
    folder.mkdir()
    Image.new("L", (8, 8)).save(folder / "f_000.tif")
    embed(RECORD, folder)
    assert is_ours(film) and is_ours(folder)
    for file in (film, folder / "f_000.tif"):
        os.utime(file, (time.time() + 5,) * 2)
    assert not is_ours(film) and not is_ours(folder)


def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="a device or a pipe"):
        check_output(os.devnull, overwrite=True)


def test_a_folder_is_claimed_once(tmp_path: Path) -> None:
    claim_folder(tmp_path / "new", ["report.md"])
    (tmp_path / "new" / "report.md").write_text("ours by the claim")
    claim_folder(tmp_path / "new", ["report.md"])
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "report.md").write_text("a thesis")
    with pytest.raises(OutputError, match="holds report.md, which gen_inbetween did not make"):
        claim_folder(theirs, ["report.md", "clips"])
    claim_folder(theirs, ["clips"])
    with pytest.raises(OutputError, match="is an input or holds one"):
        claim_folder(tmp_path / "new", ["clips"], [tmp_path / "new" / "clips" / "a.mp4"])


def test_one_run_at_a_time_writes_an_output(tmp_path: Path) -> None:
    said: list[str] = []

    def second() -> None:
        try:
            with reserved(tmp_path / "new" / "c.mp4"):
                said.append("reserved")
        except OutputError as error:
            said.append(str(error))

    for _ in range(2):
        with reserved(tmp_path / "new" / "c.mp4"), reserved(tmp_path / "new" / "c.mp4"):
            thread = threading.Thread(target=second)
            thread.start()
            thread.join()
            with reserved(tmp_path / "new" / "d.mp4"):
                pass
        assert names(tmp_path) == [], "no lock, no empty folder"
    assert len(said) == 2 and all("c.mp4 is being written by another run" in line for line in said)
    second()
    assert said[-1] == "reserved"


def hold(path: Path, began: object) -> None:
    with reserved(path), replaced(path) as temporary:
        temporary.write_text("half")
        began.set()  # type: ignore[attr-defined]
        time.sleep(600)


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_what_a_killed_process_left_is_swept_and_what_a_living_one_has_is_not(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    began = context.Event()
    process = context.Process(target=hold, args=(tmp_path / "c.mp4", began))
    process.start()
    assert began.wait(60)
    files.Owner.renew(files.owner())  # as a process that has swept nothing yet
    assert sweep(tmp_path) == [] and list(find_leftovers(tmp_path)) == []
    write_json(tmp_path / "a.json", 1)
    held = names(tmp_path)
    assert len(held) == 4
    with pytest.raises(OutputError, match="being written by another run"), reserved(tmp_path / "c.mp4"):
        pass
    process.kill()
    process.join()
    assert names(tmp_path) == held
    left = [leftover.path.name for leftover in find_leftovers(tmp_path)]
    assert sorted([*left, "a.json"]) == held
    files.Owner.renew(files.owner())
    write_json(tmp_path / "b.json", 1)
    assert names(tmp_path) == ["a.json", "b.json"]


def test_leftovers_are_found_and_deleted(tmp_path: Path) -> None:
    parts = tmp_path / "in" / ".film.mp4.0123456789abcdef.parts"
    parts.mkdir(parents=True)
    (parts / "000000.mp4").write_bytes(b"x" * 10)
    old, fresh, user = (tmp_path / name for name in (".c.0123456789ab.mp4", ".d.0123456789ab.mp4", ".hidden.mp4"))
    for path in (old, fresh, user):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    found = list(find_leftovers(tmp_path))
    assert [leftover.path for leftover in found] == [old, parts] and found[1].size == 10
    with reserved(tmp_path / "in" / "film.mp4"):
        assert [leftover.path for leftover in find_leftovers(tmp_path)] == [old]
    for leftover in found:
        delete_leftover(leftover)
    assert names(tmp_path) == [fresh.name, user.name, "in"] and names(tmp_path / "in") == []
    with pytest.raises(NotADirectoryError, match="no such folder"):
        list(find_leftovers(tmp_path / "absent"))


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "frames")
    (tmp_path / "c.txt").symlink_to(tmp_path / "disk" / "c.txt")
    for content in ("1", "2"):
        with replaced(tmp_path / "out", replace_folder) as temporary:
            temporary.mkdir()
            (temporary / content).touch()
        with replaced(tmp_path / "c.txt") as temporary:
            temporary.write_text(content)
    assert (tmp_path / "out").is_symlink() and names(tmp_path / "disk" / "frames") == ["2"]
    assert (tmp_path / "c.txt").is_symlink() and (tmp_path / "disk" / "c.txt").read_text() == "2"


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions")
def test_the_umask_of_the_moment_holds(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        for mask in (0o077, 0o002, 0o027):
            os.umask(mask)
            assert umask() == mask
            with replaced(tmp_path / "a") as temporary:
                temporary.touch(0o600)  # as safetensors does
            assert (tmp_path / "a").stat().st_mode & 0o777 == 0o666 & ~mask
    finally:
        os.umask(before)


def test_a_long_name_has_its_manifest_by_a_shorter_one(tmp_path: Path) -> None:
    long = [path_beside(tmp_path / ("x" * 240 + end + ".mp4")) for end in ("1", "2")]
    assert len({path.name for path in long}) == 2 and all(len(path.name) <= 255 for path in long)
    check_output(tmp_path / ("x" * 251 + ".mp4"))
    assert json.loads(write_json(long[0], RECORD).read_text()) == RECORD


def test_a_full_disk_is_said_before_the_work_and_keeps_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(OutputError, match="cannot write .*clip.mp4: No space left"), reserved(tmp_path / "a/clip.mp4"):
        pytest.fail("the work was begun")
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []
    with reserved(tmp_path / "a/clip.mp4"):
        pass
