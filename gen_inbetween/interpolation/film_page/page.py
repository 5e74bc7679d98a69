"""HTML page of one film: what was done, and which moments to look at.

All in one file, for a browser that may load nothing: style, curves (SVG) and a bounded number of small pictures. Its
figures are those of the manifest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from gen_inbetween.interpolation.faults.doubt import clock, spans_in_words
from gen_inbetween.interpolation.film_page.charts import film_chart
from gen_inbetween.interpolation.film_page.moments import Moment, Pictures
from gen_inbetween.interpolation.film_page.style import STYLE
from gen_inbetween.runtime.files import OutputError, replaced
from gen_inbetween.runtime.outputs import STDOUT, Paths, check_output
from gen_inbetween.runtime.traces.labels import write_label

SUFFIXES = (".html", ".htm")
LONGEST_VALUE = 300  # characters of a setting
MOST_KNOTS = 6  # of a curve
BETWEEN = {
    "draw": "drawn in between",
    "blend": "cross-faded in between",
    "hold": "held in between",
    "generate": "generated in between",
}


def check_report(
    report: str | os.PathLike[str] | None, out: Path, inputs: Paths = (), *, overwrite: bool = False
) -> None:
    """Raise OutputError, before the work, unless the page may be written there.

    out: what the film is written to, a file or a folder.
    """
    if report is None:
        return
    path = Path(report)
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"cannot write the report {path}: expected a name that ends in .html")
    if path.is_dir():
        raise OutputError(f"cannot write the report {path}: it is a folder")
    place, film = Path(os.path.realpath(path)), Path(os.path.realpath(out))
    if os.fspath(out) != STDOUT and (place == film or film in place.parents):
        raise OutputError(f"the report {path} would be part of the output {out}: name another place")
    check_output(path, inputs, overwrite=overwrite, manifest=False)


def write_film_page(
    report: str | os.PathLike[str],
    manifest: Mapping[str, Any],
    pictures: Pictures,
    notices: Sequence[str],
    names: tuple[str, str],
) -> None:
    """Write the page, whole or not at all, marked as ours. names: of the source and of what was made."""
    with replaced(report) as temporary:
        temporary.write_bytes(film_page(manifest, pictures, notices, names).encode())
        write_label(temporary, "")


def film_page(manifest: Mapping[str, Any], pictures: Pictures, notices: Sequence[str], names: tuple[str, str]) -> str:
    """The page as text. See `write_film_page`."""
    source, made = map(escape, names)
    quality = manifest["quality"]
    way = manifest["settings"].get("large_motion", "draw")
    sections = {
        "": _verdict(quality, way) + _tiles(manifest),
        "Over time": _over_time(quality, pictures, source),
        _moments_title(pictures, quality): "".join(_moment(each, quality["limit"], way) for each in pictures.moments),
        "Dropped, converted, noticed": _list(notices),
        "Settings": _table(_rows(manifest)),
        "Pairs of source frames, by what lies between them": _figures(quality),
    }
    body = "".join(
        f"<section>{title and f'<h2>{title}</h2>'}{content}</section>" for title, content in sections.items() if content
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{made}: report</title><style>{STYLE}</style></head>\n<body><main>"
        f'<header><h1>{made}</h1><p class="lead">made of {source} by gen_inbetween</p></header>{body}'
        f"<footer>{escape(_footer(manifest))}</footer></main></body></html>\n"
    )


def _verdict(quality: Mapping[str, Any], way: str) -> str:
    until, doubtful, drawn = quality["until"], quality["doubtful_seconds"], quality["pairs"]["drawn"]
    if not doubtful:
        words = "No motion was too large for optical flow to follow." if drawn else "Nothing was drawn between frames."
        return f'<p class="verdict">{words}</p>'
    shown = {
        "draw": "frames there may show things twice",
        "blend": "frames there are cross-faded",
        "hold": "the nearer source frame is shown there",
        "generate": "frames there are generated",
    }[way]
    listed = spans_in_words(quality["spans"]["doubtful"])
    words = f"<strong>{doubtful:.3g} of {until:.3g} s have motion too large to follow</strong>; {shown}: {listed}."
    return f'<p class="verdict doubtful">{words}</p>'


def _tiles(manifest: Mapping[str, Any]) -> str:
    counts, quality = manifest.get("counts", {}), manifest["quality"]
    names = {
        "source_frames": "source frames",
        "written": "frames written",
        "fps": "frames a second",
        "duration": "seconds",
        "cuts": "scene cuts",
        "duplicates": "repeated frames",
        "cadence": "drawn animation",
    }
    tiles = {title: counts[name] for name, title in names.items() if counts.get(name) is not None}
    tiles |= {"damaged packets": counts["damaged"]} if counts.get("damaged") else {}
    tiles |= {"drawn pairs": quality["pairs"]["drawn"], "doubtful seconds": quality["doubtful_seconds"]}
    tiles |= {"seconds it took": manifest["seconds"]} if "seconds" in manifest else {}
    cells = (f"<div><dt>{title}</dt><dd>{_plain(value)}</dd></div>" for title, value in tiles.items())
    return f'<dl class="tiles">{"".join(cells)}</dl>'


def _over_time(quality: Mapping[str, Any], pictures: Pictures, source: str) -> str:
    images = "".join(
        f'<img src="{uri}" alt="the film at {clock(seconds)}" title="{clock(seconds)}">'
        for seconds, uri in pictures.strip
    )
    strip = f'<div class="strip">{images}</div>' if images else ""
    chart = film_chart(quality, "Motion and doubt over time")
    return f'<div class="wide"><div>{strip}{chart}</div></div><p class="lead">Times are those of {source}.</p>'


def _moments_title(pictures: Pictures, quality: Mapping[str, Any]) -> str:
    if any(moment.pair.doubt > quality["limit"] for moment in pictures.moments):
        return "Moments to look at"
    return "Where doubt is largest, though below the limit"


def _moment(moment: Moment, limit: float, way: str) -> str:
    pair = moment.pair
    doubtful = pair.doubt > limit
    shown = "" if moment.shown is None else f" (in the new film {clock(moment.shown)})"
    title = f"{clock(pair.seconds)}{shown} <span>doubt {pair.doubt:g} grey levels, motion {pair.motion:g} pixels</span>"
    middle = BETWEEN[way if doubtful else "draw"]
    figures = [
        _figure(
            "before", moment.before, f"source, {pair.seconds:.2f} s", f"source frame at {pair.seconds:.2f} seconds"
        ),
        _figure("between", moment.between, middle, f"frame {middle}, at {clock(pair.seconds)}"),
        _figure("after", moment.after, f"source, {pair.until:.2f} s", f"source frame at {pair.until:.2f} seconds"),
    ]
    kind = "moment doubtful" if doubtful else "moment"
    return f'<article class="{kind}"><h3>{title}</h3><div class="three">{"".join(figures)}</div></article>'


def _figure(kind: str, uri: str | None, caption: str, alt: str) -> str:
    if uri is None:
        return f'<figure class="{kind}"><figcaption>{caption}: not to be had</figcaption></figure>'
    image = f'<img src="{uri}" alt="{escape(alt)}">'
    return f'<figure class="{kind}">{image}<figcaption>{escape(caption)}</figcaption></figure>'


def _list(notices: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(notice)}</li>" for notice in dict.fromkeys(notices))
    return f"<ul>{items}</ul>" if items else "<p>Nothing was dropped or converted.</p>"


def _rows(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and values of the settings, those that say nothing left away."""
    info = manifest["interpolator"]
    yield "interpolator", escape(f"{info['name']} ({info['architecture']}, {info['version']})")
    for name, value in manifest["settings"].items():
        if value is not None:
            yield escape(name), _plain(value)
    if source := (manifest.get("source") or {}).get("sha256"):
        yield "sha256 of the source", escape(str(source))


def _curve_words(curve: Mapping[str, Any]) -> str:
    """A curve as the command takes it, or how many knots it has where they are many."""
    knots = curve["knots"]
    shown = knots if len(knots) <= MOST_KNOTS else (knots[0], knots[-1])
    words = ", ".join(f"{time:g}:{value:g}" for time, value in shown)
    many = "" if shown is knots else f", {len(knots)} knots"
    return f"{words}{many} ({escape(str(curve['kind']))})"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f'<data value="{value!r}">{value:.5g}</data>'
    if isinstance(value, Mapping) and value.keys() == {"knots", "kind"}:
        return _curve_words(value)
    if isinstance(value, (list, tuple)):
        return "; ".join(map(_plain, value)) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{escape(str(name))}: {_plain(part)}" for name, part in value.items() if part is not None)
    text = str(value)
    return escape(text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + " ...")


def _table(rows: Iterator[tuple[str, str]]) -> str:
    return (
        "<table>"
        + "".join(f'<tr><th scope="row">{name}</th><td>{value}</td></tr>' for name, value in rows)
        + "</table>"
    )


def _figures(quality: Mapping[str, Any]) -> str:
    """What the curves show, as tables."""
    kinds = {
        "drawn": "frames are drawn in between",
        "passed": "no frame of the new film falls in between",
        "cut": "a cut",
        "repeat": "the second repeats the first",
        "stands": "a hold: the first stands",
    }
    counts = _table((kinds[kind], _plain(count)) for kind, count in quality["pairs"].items())
    spans = [(kind, span) for kind, spans in quality["spans"].items() for span in spans]
    words = {"doubtful": "doubtful", "repeat": "repeated", "stands": "hold"}
    rows = ((kind, "".join(f"<td>{_plain(float(edge))}</td>" for edge in span)) for kind, span in spans)
    listed = "".join(f'<tr data-kind="{kind}"><td>{words[kind]}</td>{cells}</tr>' for kind, cells in rows)
    head = "<tr><th>what</th><th>from, s</th><th>to, s</th></tr>"
    spans_table = f'<div class="scroll"><table class="spans">{head}{listed}</table></div>' if listed else ""
    curve = quality["curve"]
    points = zip(*(curve[name] for name in ("seconds", "motion", "doubt")), strict=True)
    rows_of_points = ("".join(f"<td>{_plain(float(value))}</td>" for value in point) for point in points)
    listed_points = "".join(f"<tr>{cells}</tr>" for cells in rows_of_points)
    head = "<tr><th>from, s</th><th>motion, pixels of 256</th><th>doubt, grey levels</th></tr>"
    curve_table = f'<div class="scroll"><table class="curve">{head}{listed_points}</table></div>'
    details = f"<details><summary>The curve as numbers</summary>{curve_table}</details>"
    return f"{counts}{spans_table}{details}"


def _footer(manifest: Mapping[str, Any]) -> str:
    version = manifest.get("versions", {}).get("gen_inbetween", "")
    return (
        f"gen_inbetween {version}, {manifest.get('created_at', '')}. Doubt: what the motion between two frames leaves "
        "unexplained where it leaves most; above the limit, what moves is likely to show twice."
    )
