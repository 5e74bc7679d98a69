"""Labels: text of ours inside pictures and films, as bytes.

    PNG           an iTXt chunk "gen_inbetween" before the pixels
    GIF           a comment before the first picture
    JPEG          a comment before the first segment
    WebP          an XMP chunk
    MP4, MOV      a box at the end of the file, of the UUID that XMP gives itself
    MKV, WebM     a tag GEN_INBETWEEN at the end of the segment
    AVI           an INFO list with a comment (ICMT) at the end of the file
    HTML, Markdown    a comment at the end of the page, with the hash of the page: once edited it is no longer ours

Pixels and packets stay as they are, whoever wrote the file. A label says that a file is ours, and in most cases how it
was made (`runtime.manifest`). Programs that write the file anew leave it away: what they write is no longer ours. Where
some carry it along as a comment (PNG, GIF, JPEG, AVI), it says of how many bytes the rest of the file is.
"""

from __future__ import annotations

import hashlib
import html
import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

MARK = "made by gen_inbetween"  # every label begins so
KEYWORD = "gen_inbetween"
PNG, RIFF, EBML = b"\x89PNG\r\n\x1a\n", b"RIFF", b"\x1a\x45\xdf\xa3"
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
NAMESPACE = "urn:gen_inbetween"
LARGEST = 16 * 2**20  # bytes of a label that are read

COUNT = re.compile(rb"%s \[(\d{1,19})\]" % MARK.encode())

Part = tuple[bytes, int, int]  # a chunk, box or element: its name, where its content begins, and how long that is


def write_label(path: str | os.PathLike[str], text: str) -> bool:
    """Put a label into a file that has none, in place: to be done before the file is where others read it.

    Args:
        path: a picture or a film, told by its content.
        text: what stands after MARK; may be empty.

    Returns:
        Whether its format can hold a label; the file is unchanged where it cannot.
    """
    label = f"{MARK} {text}".rstrip()
    with open(path, "r+b") as file:
        format_ = format_of(file)
        # Of a name that is no UTF-8, as JSON escapes it.
        return False if format_ is None else WRITERS[format_](file, label.encode(errors="backslashreplace"))


def read_label(path: str | os.PathLike[str]) -> str | None:
    """What stands after MARK in the label of a file; None: it has no label, or is no file that could have one."""
    try:
        with open(path, "rb") as file:
            format_ = format_of(file)
            found = None if format_ is None else READERS[format_](file)
    except (OSError, ValueError, IndexError, OverflowError, struct.error):  # cut off, or none of these formats
        return None
    text = None if found is None else found.decode("utf-8", "replace")
    return text[len(MARK) :].lstrip() if text is not None and text.startswith(MARK) else None


def takes_label(path: str | os.PathLike[str]) -> bool:
    """Whether a file is of a format that holds labels."""
    try:
        with open(path, "rb") as file:
            return format_of(file) is not None
    except OSError:
        return False


def format_of(file: BinaryIO) -> str | None:
    """A key of READERS by the first bytes of a file."""
    head = _at(file, 0, 16)
    if head.startswith(PNG):
        return "png"
    if head[:6] in (b"GIF87a", b"GIF89a"):
        return "gif"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(RIFF):
        return {b"WEBP": "webp", b"AVI ": "avi"}.get(head[8:12])
    if head.lower().startswith(b"<!doctype html>") or head.startswith(b"# "):  # a title, as our reports begin
        return "page"
    if head[4:8] == b"ftyp":
        return "mp4"
    return "mkv" if head.startswith(EBML) else None


def _at(file: BinaryIO, place: int, count: int) -> bytes:
    file.seek(place)
    return file.read(min(count, LARGEST))


def _counted(label: bytes, count: int) -> bytes:
    """A label that says how many bytes of other things stand on its far side."""
    return label.replace(MARK.encode(), f"{MARK} [{count}]".encode(), 1)


def _if_counted(label: bytes, count: int) -> bytes | None:
    """The label without its count; None: other bytes stand there now, so another program wrote the file anew."""
    found = COUNT.match(label)
    if found is None:  # from before there were counts
        return label
    return MARK.encode() + label[found.end() :] if int(found[1]) == count else None


def _length(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)


def _insert(file: BinaryIO, place: int, content: bytes) -> None:
    """Move what stands after `place` back and put `content` there; pictures fit into memory."""
    file.seek(place)
    rest = file.read()
    file.seek(place)
    file.write(content + rest)


def _append(file: BinaryIO, content: bytes) -> None:
    file.seek(0, os.SEEK_END)
    file.write(content)


# PNG: length, name, content, checksum


def _png_parts(file: BinaryIO) -> Iterator[Part]:
    place = len(PNG)
    while len(head := _at(file, place, 8)) == 8:
        length, name = struct.unpack(">I4s", head)
        yield name, place + 8, length
        place += length + 12


def _write_png(file: BinaryIO, label: bytes) -> bool:
    _, begin, length = next(_png_parts(file))
    place = begin + length + 4
    label = _counted(label, _length(file) - place)
    content = KEYWORD.encode() + b"\0\0\0\0\0" + label  # uncompressed, of no language
    checksum = zlib.crc32(b"iTXt" + content)
    _insert(file, place, struct.pack(">I4s", len(content), b"iTXt") + content + struct.pack(">I", checksum))
    return True


def _read_png(file: BinaryIO) -> bytes | None:
    for name, begin, length in _png_parts(file):
        if name == b"iTXt" and (content := _at(file, begin, length)).startswith(KEYWORD.encode() + b"\0"):
            return _if_counted(content[len(KEYWORD) + 5 :], _length(file) - begin - length - 4)
        if name == b"IDAT":  # ours stands before the pixels
            return None
    return None


# GIF: header, screen (7 bytes), palette, blocks


def _gif_blocks(file: BinaryIO) -> int:
    flags = _at(file, 10, 1)[0]
    return 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)


def _write_gif(file: BinaryIO, label: bytes) -> bool:
    label = _counted(label, _length(file) - _gif_blocks(file))
    pieces = [label[start : start + 255] for start in range(0, len(label), 255)]
    comment = b"\x21\xfe" + b"".join(bytes([len(piece)]) + piece for piece in pieces) + b"\0"
    _insert(file, _gif_blocks(file), comment)
    file.seek(0)
    file.write(b"GIF89a")  # comments came with it
    return True


def _read_gif(file: BinaryIO) -> bytes | None:
    begin = _gif_blocks(file)
    content = _at(file, begin, LARGEST)
    place, text = 2, b""
    if not content.startswith(b"\x21\xfe"):
        return None
    while place < len(content) and content[place]:
        text += content[place + 1 : place + 1 + content[place]]
        place += 1 + content[place]
    return _if_counted(text, _length(file) - begin - place - 1)


# JPEG: the segment comes first


def _write_jpeg(file: BinaryIO, label: bytes) -> bool:
    label = _counted(label, _length(file) - 2)
    if len(label) > 0xFFFF - 2:
        return False
    _insert(file, 2, struct.pack(">HH", 0xFFFE, len(label) + 2) + label)
    return True


def _read_jpeg(file: BinaryIO) -> bytes | None:
    mark, length = struct.unpack(">HH", _at(file, 2, 4))
    return _if_counted(_at(file, 6, length - 2), _length(file) - 4 - length) if mark == 0xFFFE else None


# RIFF (WebP, AVI): name, length, content, padded to even lengths


def _riff_parts(file: BinaryIO, begin: int, end: int) -> Iterator[Part]:
    place = begin
    while place + 8 <= end and len(head := _at(file, place, 8)) == 8:
        name, length = struct.unpack("<4sI", head)
        yield name, place + 8, length
        place += 8 + length + length % 2


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack("<4sI", name, len(content)) + content + b"\0" * (len(content) % 2)


def _grow_riff(file: BinaryIO, place: int, added: int) -> None:
    (length,) = struct.unpack("<I", _at(file, place + 4, 4))
    file.seek(place + 4)
    file.write(struct.pack("<I", length + added))


def _write_webp(file: BinaryIO, label: bytes) -> bool:
    name, begin, _ = next(_riff_parts(file, 12, _length(file)))
    if name != b"VP8X":  # a still picture without extensions: say its size and that there are some
        head = _at(file, begin, 10)
        if name == b"VP8L":
            bits = int.from_bytes(head[1:5], "little")
            width, height, flags = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, (bits >> 28 & 1) << 4
        else:
            width, height, flags = *(side & 0x3FFF for side in struct.unpack("<HH", head[6:10])), 0
        sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        extended = _chunk(b"VP8X", bytes([flags, 0, 0, 0]) + sides)
        _insert(file, 12, extended)
        _grow_riff(file, 0, len(extended))
        begin = 20
    flags = _at(file, begin, 1)[0] | 0x04  # there is XMP
    file.seek(begin)
    file.write(bytes([flags]))
    chunk = _chunk(b"XMP ", xmp_of(label))
    _append(file, chunk)
    _grow_riff(file, 0, len(chunk))
    return True


def _read_webp(file: BinaryIO) -> bytes | None:
    parts = _riff_parts(file, 12, _length(file))
    found = (from_xmp(_at(file, begin, length)) for name, begin, length in parts if name == b"XMP ")
    return next((label for label in found if label is not None), None)


def _write_avi(file: BinaryIO, label: bytes) -> bool:
    *_, (_, begin, _) = _riff_parts(file, 0, _length(file))  # long ones are several RIFFs
    label = _counted(label, _length(file))
    chunk = _chunk(b"LIST", b"INFO" + _chunk(b"ICMT", label + b"\0"))
    _append(file, chunk)
    _grow_riff(file, begin - 8, len(chunk))
    return True


def _read_avi(file: BinaryIO) -> bytes | None:
    for _, begin, length in _riff_parts(file, 0, _length(file)):
        for name, start, size in _riff_parts(file, begin + 4, begin + length):
            if name == b"LIST" and _at(file, start, 8) == b"INFOICMT":
                text = _at(file, start + 12, size - 12).split(b"\0")[0]
                if text.startswith(MARK.encode()):
                    return _if_counted(text, start - 8)
    return None


# MP4 and MOV: length, name, content


def _boxes(file: BinaryIO) -> Iterator[Part]:
    place, end = 0, _length(file)
    while len(head := _at(file, place, 16)) >= 8:
        length, name = struct.unpack(">I4s", head[:8])
        begin = 8
        if length == 1:
            length, begin = struct.unpack(">Q", head[8:16])[0], 16
        length = length or end - place
        if length < begin:
            return
        yield name, place + begin, length - begin
        place += length


def _write_mp4(file: BinaryIO, label: bytes) -> bool:
    content = XMP_UUID + xmp_of(label)
    _append(file, struct.pack(">I4s", len(content) + 8, b"uuid") + content)
    return True


def _read_mp4(file: BinaryIO) -> bytes | None:
    for name, begin, length in _boxes(file):
        if name == b"uuid" and _at(file, begin, 16) == XMP_UUID:
            label = from_xmp(_at(file, begin + 16, length - 16))
            if label is not None:
                return label
    return None


# MKV and WebM: a name and a length of one to eight bytes, content

SEGMENT, TAGS = b"\x18\x53\x80\x67", b"\x12\x54\xc3\x67"


def _elements(file: BinaryIO, place: int, end: int) -> Iterator[Part]:
    while place < end and (head := _at(file, place, 12)):
        name = head[: _width(head[0])]
        size = head[len(name) : len(name) + _width(head[len(name)])]
        length = int.from_bytes(size, "big") & (1 << 7 * len(size)) - 1
        begin = place + len(name) + len(size)
        if length == (1 << 7 * len(size)) - 1:  # not known: all that follows
            length = end - begin
        yield name, begin, length
        place = begin + length


def _width(first: int) -> int:
    if not first:
        raise ValueError("not a length of EBML")
    return 9 - first.bit_length()


def _element(name: bytes, content: bytes) -> bytes:
    return name + (len(content) | 1 << 56).to_bytes(8, "big") + content


def _write_mkv(file: BinaryIO, label: bytes) -> bool:
    end = _length(file)
    _, begin, length = next(part for part in _elements(file, 0, end) if part[0] == SEGMENT)
    if begin + length != end or _at(file, begin - 8, 1) != b"\x01":  # no length of eight bytes, which can grow
        return False
    simple = _element(b"\x67\xc8", _element(b"\x45\xa3", KEYWORD.upper().encode()) + _element(b"\x44\x87", label))
    tags = _element(TAGS, _element(b"\x73\x73", _element(b"\x63\xc0", b"") + simple))
    _append(file, tags)
    file.seek(begin - 8)
    file.write((length + len(tags) | 1 << 56).to_bytes(8, "big"))
    return True


def _read_mkv(file: BinaryIO) -> bytes | None:
    end = _length(file)
    _, begin, length = next((part for part in _elements(file, 0, end) if part[0] == SEGMENT), (b"", end, 0))
    for name, place, size in _elements(file, begin, min(end, begin + length)):
        if name == TAGS:
            pattern = rb"\x45\xa3.{8}" + KEYWORD.upper().encode() + rb"\x44\x87\x01.{7}(.*)"
            if found := re.search(pattern, _at(file, place, size), re.DOTALL):
                return found[1]
    return None


# HTML and Markdown: the page, then <!-- label sha256 -->


def _write_page(file: BinaryIO, label: bytes) -> bool:
    page = _at(file, 0, _length(file))
    shown = html.escape(label.decode()).replace("--", "&#45;&#45;").encode()
    _append(file, b"<!-- " + shown + b" " + hashlib.sha256(page).hexdigest().encode() + b" -->\n")
    return True


def _read_page(file: BinaryIO) -> bytes | None:
    page = _at(file, 0, _length(file))
    found = re.search(rb"<!-- ([^>]*) ([0-9a-f]{64}) -->\n\Z", page)
    if found is None or hashlib.sha256(page[: found.start()]).hexdigest().encode() != found[2]:
        return None
    return html.unescape(found[1].decode("utf-8", "replace")).encode()


def xmp_of(label: bytes) -> bytes:
    """A label as a packet of XMP."""
    text = html.escape(label.decode(), quote=False).encode()
    about = b'<rdf:Description rdf:about="" xmlns:inbetween="' + NAMESPACE.encode() + b'">'
    return (
        b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        + about
        + b"<inbetween:label>"
        + text
        + b'</inbetween:label></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    )


def from_xmp(packet: bytes) -> bytes | None:
    """The label in a packet of XMP; None: there is none."""
    found = re.search(rb"<inbetween:label>(.*?)</inbetween:label>", packet, re.DOTALL)
    return None if found is None else html.unescape(found[1].decode("utf-8", "replace")).encode()


WRITERS: dict[str, Callable[[BinaryIO, bytes], bool]] = {
    "png": _write_png, "gif": _write_gif, "jpeg": _write_jpeg, "webp": _write_webp,
    "avi": _write_avi, "mp4": _write_mp4, "mkv": _write_mkv, "page": _write_page,
}  # fmt: skip
READERS: dict[str, Callable[[BinaryIO], bytes | None]] = {
    "png": _read_png, "gif": _read_gif, "jpeg": _read_jpeg, "webp": _read_webp,
    "avi": _read_avi, "mp4": _read_mp4, "mkv": _read_mkv, "page": _read_page,
}  # fmt: skip
