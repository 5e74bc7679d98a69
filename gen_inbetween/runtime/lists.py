"""Lists of rows as people make them: JSON lines or CSV.

    {"frame0": "a.png", "frame1": "b.png", "seed": 3}            frame0,frame1,seed
    {"frame0": "b.png", "frame1": "c.png"}                       a.png,b.png,3
                                                                 b.png,c.png,
Text is UTF-8, or UTF-16 as PowerShell writes it, with a byte order mark or without. CSV is separated by commas,
semicolons or tabs; its first line names the columns, and an empty cell says nothing.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import yaml

Row: TypeAlias = "dict[str, Any] | str"  # what a line says, or, where it cannot be read, why

DELIMITERS = ",;\t"
LONGEST_TEXT = 256 * 2**20  # bytes: a list of a million pairs
MOST_ITEMS = 100_000  # values of a file of settings
LONGEST_HEADER = 10_000  # letters; csv takes no cell of more than 131,072
ALONE = "\x1f"  # the delimiter of one column: a sign that no line has


class _Loader(yaml.SafeLoader):
    """YAML as its version 1.2 has it: 1e-4 is a number, which version 1.1 takes for a word, and no key stands twice."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        said: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in said:
                    line = key.start_mark.line + 1
                    raise yaml.YAMLError(f"line {line} says {key.value!r:.100} a second time: keep one of them")
                said.add((key.tag, key.value))
        return node


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


class _ValueLoader(_Loader):
    """Of one value, which repeats nothing: a few aliases of aliases (*a) come to as many items as one likes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are for files of settings")
        return super().compose_node(parent, index)


class _SettingsLoader(_Loader):
    """Of a file of settings, whose aliases come to no more than settings could."""

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        if node is not None and _items_in(node, {}) > MOST_ITEMS:
            raise yaml.YAMLError(f"its aliases (*name) come to more than {MOST_ITEMS} values")
        return node


def _items_in(node: yaml.Node, known: dict[int, int | None]) -> int:
    """How many values a node holds when each alias is written out; YAMLError: one that holds itself."""
    if id(node) not in known:
        known[id(node)] = None
        inner = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = (part for item in inner for part in (item if isinstance(item, tuple) else (item,)))
        known[id(node)] = 1 + sum(_items_in(part, known) for part in parts)
    count = known[id(node)]
    if count is None:
        raise yaml.YAMLError("an alias (*name) stands within what it names")
    return count


def read_yaml(text: str, *, aliases: bool = False) -> Any:
    """The value of a YAML text, plain types only. yaml.YAMLError: it is not YAML, too much, or nested too deeply."""
    try:
        return yaml.load(text, _SettingsLoader if aliases else _ValueLoader)  # noqa: S506 (a SafeLoader)
    except RecursionError as error:
        raise yaml.YAMLError("nested too deeply") from error
    except (ValueError, LookupError, AttributeError, TypeError) as error:  # of !!int x, !!bool x, !!timestamp x
        raise yaml.YAMLError("a value is not what its tag, or its form, says") from error


def lines_of(text: str) -> list[str]:
    """The lines of JSON lines. They end at line feeds alone: `str.splitlines` would cut a name with a U+2028 in two.

    >>> lines_of("a\\u2028b\\nc\\n")
    ['a\\u2028b', 'c']
    """
    return text.removesuffix("\n").split("\n") if text else []


def read_text(path: str | os.PathLike[str], longest: int = LONGEST_TEXT) -> str:
    """The text of a file, its lines ended by a line feed.

    ValueError: it has more than `longest` bytes, or is in another encoding than UTF-8 or UTF-16. OSError: it cannot be
    read.
    """
    with open(path, "rb") as file:
        content = file.read(longest + 1)
    if len(content) > longest:
        raise ValueError(f"{path} has more than {longest / 1e6:.0f} MB: expected a text")
    encoding = "utf-8-sig"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\0" in content[:2]:  # JSON, CSV and YAML begin with a character of ASCII
        encoding = "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    try:
        return content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8 or UTF-16 ({error.reason}): save it as UTF-8") from error


def read_rows(
    path: str | os.PathLike[str], columns: Sequence[str], words: Sequence[str] = (), instead: Sequence[str] = ()
) -> list[tuple[int, Row]]:
    """(line number, row) of every line that is not empty.

    Args:
        path: a file of JSON lines, or CSV.
        columns: what a row has to say; by them the header of a CSV is known.
        words: of those and other columns of a CSV, the ones that stay text; other cells are read as YAML, as those of
            "--set" are: 3 is a number, [a, b] a list.
        instead: columns that a row may have in place of `columns`. The only column of a CSV holds its whole lines.

    Raises:
        ValueError: it is another kind of file, in one line. OSError: it cannot be read.
    """
    text = read_text(path)
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not lines:
        return []
    first = lines[0][1].strip()
    delimiter = max(DELIMITERS, key=first.count)
    short = [first] if len(first) <= LONGEST_HEADER else [""]
    header = column_names(next(csv.reader(short, delimiter=delimiter)))
    if {*columns, *instead} & set(header):
        if twice := next((name for name in header if name and header.count(name) > 1), None):
            raise ValueError(f"{path}: the first line names the column {twice} twice")
        delimiter = delimiter if len(header) > 1 else ALONE
        return list(_csv_rows(text, delimiter, {*columns, *words}))
    if any(line.lstrip().startswith("{") for _, line in lines) and not _is_json(text, len(lines)):
        return [(number, json_row(line)) for number, line in lines]
    what = "one JSON value over several lines" if first[0] in "[{" else f"something else, it begins with {first[:60]!r}"
    said, names = ", ".join(f'"{name}": ...' for name in columns), ",".join(columns)
    raise ValueError(
        f"{path} is {what}; expected JSON lines, one {{{said}}} a line, or CSV whose first line is {names},..."
    )


def column_names(cells: list[str]) -> list[str]:
    """The names in the first line of a CSV."""
    return [cell.strip().lower() for cell in cells]


def _is_json(text: str, lines: int) -> bool:
    """Whether the whole text is one value: an array, or an object that takes more than its line."""
    try:
        return not isinstance(json.loads(text), dict) or lines > 1
    except (ValueError, RecursionError):
        return False


def json_row(line: str) -> Row:
    """A line of JSON lines."""
    twice: list[str] = []

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, value in pairs:
            if name in values:  # the last would win, without a word
                twice.append(name)
            values[name] = value
        return values

    try:
        values = json.loads(line, object_pairs_hook=read_object)
    except (ValueError, RecursionError) as error:
        return f"not JSON: {error}"
    if twice:
        return f"it says {twice[0]!r:.100} a second time: keep one of them"
    return values if isinstance(values, dict) else f"expected an object, got {type(values).__name__}"


def _csv_rows(text: str, delimiter: str, words: set[str]) -> Iterator[tuple[int, Row]]:
    reader = csv.reader(io.StringIO(text.lstrip("\n")), delimiter=delimiter)
    skipped = len(text) - len(text.lstrip("\n"))
    header = column_names(next(reader))
    last = reader.line_num + skipped
    for cells in _lines_of(reader):
        number, last = last + 1, reader.line_num + skipped
        if isinstance(cells, str):
            yield last, cells
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if last > number:  # whose rows would be lost without a word, as part of a name
            yield number, f"a cell goes on to line {last}: close its quotation mark, and write it on one line"
            continue
        if len(cells) > len(header):
            yield number, f"expected {len(header)} cells as the first line has, got {len(cells)}"
            continue
        yield number, row_of_cells(dict(zip(header, cells, strict=False)), words)


def _lines_of(reader: Iterator[list[str]]) -> Iterator[list[str] | str]:
    """The cells of each line of a CSV, or, of one that csv does not take, why; it goes on after that."""
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield f"not CSV: {error}"


def row_of_cells(cells: Mapping[str, str], words: Collection[str]) -> Row:
    """A line of a CSV; empty cells say nothing, and those of `words` stay text."""
    said = {name: cell.strip() for name, cell in cells.items() if cell.strip()}
    try:
        return {name: cell if name in words else read_yaml(cell) for name, cell in said.items()}
    except yaml.YAMLError as error:
        return f"a cell cannot be read: {' '.join(str(error).split())}"
