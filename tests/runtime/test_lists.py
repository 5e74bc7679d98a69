"""Lists of rows, however they were made."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gen_inbetween.runtime.lists import read_rows, read_text, read_yaml

COLUMNS = ("frame0", "frame1")


def rows(path: Path, content: str | bytes) -> list:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_rows(path, COLUMNS, ("out",))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_json_lines_in_every_encoding_of_windows(tmp_path: Path, encoding: str, end: str) -> None:
    text = end.join(['{"frame0": "\u00fc.png", "frame1": "b\u2028.png"}', "", '{"frame0": 1', "[]"])
    read = rows(tmp_path / "l", text.encode(encoding))
    assert [number for number, _ in read] == [1, 3, 4]
    assert read[0][1] == {"frame0": "\u00fc.png", "frame1": "b\u2028.png"}
    assert read[1][1].startswith("not JSON") and read[2][1] == "expected an object, got list"


def test_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "l").write_bytes("z\u00fcrich".encode("latin-1"))
    with pytest.raises(ValueError, match="save it as UTF-8"):
        read_text(tmp_path / "l")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_csv_with_a_header(tmp_path: Path, delimiter: str, encoding: str) -> None:
    lines = [["Frame0", " frame1", "OUT", "seed"], ["a.png", '"x, y;z.png"', "7", "3"], ["", "", "", ""]]
    lines += [["c.png", "d.png", "", ""], ["1.png", "2.png", "o.mp4", "3", "4"]]
    read = rows(tmp_path / "l.csv", "\r\n".join(delimiter.join(line) for line in lines).encode(encoding))
    assert read[:2] == [
        (2, {"frame0": "a.png", "frame1": "x, y;z.png", "out": "7", "seed": 3}),
        (4, {"frame0": "c.png", "frame1": "d.png"}),
    ]
    assert read[2] == (5, "expected 4 cells as the first line has, got 5")


@pytest.mark.parametrize(
    "content", ["a.png,b.png\nc.png,d.png\n", '[{"frame0": "a"},\n{"frame0": "b"}]', '{"frame0":\n"a"}', "frames: 3\n"]
)
def test_another_kind_of_list_is_one_line(tmp_path: Path, content: str) -> None:
    with pytest.raises(ValueError, match="expected JSON lines, one .* CSV whose first line is frame0,frame1") as error:
        rows(tmp_path / "l", content)
    assert "\n" not in str(error.value)


def test_one_json_line_is_a_list(tmp_path: Path) -> None:
    assert rows(tmp_path / "l", '{"frame0": "a"}') == [(1, {"frame0": "a"})]
    assert rows(tmp_path / "l", "\n \n") == []


def test_a_line_that_csv_does_not_take_costs_no_other(tmp_path: Path) -> None:
    long = f"frame0,frame1\na.png,{'b' * 200_000}\nc.png,d.png\n"
    (number, said), *others = rows(tmp_path / "l.csv", long)
    assert (number, others) == (2, [(3, {"frame0": "c.png", "frame1": "d.png"})]) and "not CSV" in said
    with pytest.raises(ValueError, match="the column frame1 twice"):
        rows(tmp_path / "l.csv", "frame0,frame1,frame1\na.png,b.png,c.png\n")
    with pytest.raises(ValueError, match="expected JSON lines"):
        rows(tmp_path / "l.csv", f"frame0,{'b' * 200_000}\n")


def test_a_cell_repeats_nothing_and_is_not_deep(tmp_path: Path) -> None:
    cells = ["&a [*a]", "{a: &a [1, 1], b: [*a, *a]}", "[" * 3000 + "]" * 3000]
    text = "frame0,frame1,seed\n" + "".join(f'a.png,b.png,"{cell}"\n' for cell in cells)
    assert all(said.startswith("a cell cannot be read: ") for _, said in rows(tmp_path / "l.csv", text))
    assert read_yaml("a: &a 1\nb: *a", aliases=True) == {"a": 1, "b": 1}, "a file of settings may"


def test_what_is_said_twice_is_not_heard_once(tmp_path: Path) -> None:
    line = '{"frame0": "a", "frame1": "b", "frame1": "c", "frame1": "d"}'
    assert rows(tmp_path / "l", f'{line}\n{{"frame0": "a"}}\n') == [
        (1, "it says 'frame1' a second time: keep one of them"),
        (2, {"frame0": "a"}),
    ]
    for text in ("a: 1\nb: {c: 2, d: 3, c: 2}", "seed: 1\nseed: 2", "{a: 1, a: 1}"):
        with pytest.raises(yaml.YAMLError, match="says '(c|a|seed)' a second time"):
            read_yaml(text, aliases=True)
    merged = read_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}", aliases=True)
    assert merged["b"] == {"x": 3, "y": 2}, "a key beside those that are merged in wins, as YAML has it"


def test_a_quotation_mark_that_is_not_closed_takes_no_rows_with_it(tmp_path: Path) -> None:
    text = 'frame0,frame1,out\na,b,1.gif\na,b,"2.gif\na,b,3.gif\na,b,"4.gif"\na,b,5.gif\n'
    read = rows(tmp_path / "l.csv", text)
    assert [number for number, _ in read] == [2, 3, 6] and read[2][1] == {"frame0": "a", "frame1": "b", "out": "5.gif"}
    assert read[1][1] == "a cell goes on to line 5: close its quotation mark, and write it on one line"
    assert "close its quotation mark" in rows(tmp_path / "l.csv", 'frame0,frame1,out\na,b,"2.gif\na,b,3.gif\n')[0][1]
