"""HTML page of a report, and the copy for a repository.

The page is made from the Markdown; the copy has small pictures beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from gen_inbetween.evaluation.report.pictures import copy_small_png
from gen_inbetween.runtime.outputs import labelled

_PICTURE = re.compile(r"(!\[[^\]]*\]\()((?:plots|sheets)/[^)\s]+\.png)\)")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?:sheets|videos)/")  # to what stays in the output folder

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
<body>
<nav>
<ul>
{%- for place, name in contents %}
<li><a href="#{{ place }}">{{ name }}</a></li>
{%- endfor %}
</ul>
</nav>
<main>
{{ body }}
</main>
</body>
</html>
"""

_STYLE = Markup("""
:root { --ink: #1c1e21; --soft: #667; --line: #dde1e6; --paper: #fff; --tint: #f6f8fa; --link: #0b5cad; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --soft: #9aa3ad; --line: #343a42; --paper: #15181c; --tint: #1d2127; --link: #6cb0f5; }
  img { background: #fff; }
}
* { box-sizing: border-box; }
body { margin: 0; display: flex; background: var(--paper); color: var(--ink); font: 15px/1.55 system-ui, sans-serif; }
nav { flex: 0 0 15rem; height: 100vh; position: sticky; top: 0; overflow: auto; padding: 1.5rem 1rem;
  border-right: 1px solid var(--line); background: var(--tint); }
nav ul { list-style: none; margin: 0; padding: 0; }
nav li { margin: .35rem 0; }
main { flex: 1; min-width: 0; max-width: 90rem; padding: 1rem 2.5rem 4rem; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
h1 { font-size: 1.7rem; line-height: 1.25; }
h2 { margin-top: 3rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line); }
h3 { margin-top: 2rem; }
p, li { max-width: 52rem; }
p:has(> img), p:has(> video) { max-width: none; }
pre { overflow-x: auto; padding: 1rem; background: var(--tint); border-radius: 4px; }
code { font: .9em ui-monospace, monospace; background: var(--tint); padding: .1em .3em; border-radius: 3px; }
th code { background: none; padding: 0; }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .87rem; }
th, td { padding: .35rem .75rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { text-align: left; vertical-align: bottom; white-space: normal; border-bottom: 2px solid var(--line); }
td:first-child, th:first-child { position: sticky; left: 0; background: var(--paper); }
td:last-child:not([style]) { white-space: normal; min-width: 20rem; max-width: 46rem; }
tbody tr:hover td { background: var(--tint); }
img { max-width: 100%; height: auto; border: 1px solid var(--line); border-radius: 4px; }
video { display: block; max-width: 100%; margin: .3rem 0 1rem; }
@media (max-width: 60rem) { body { display: block; } nav { position: static; height: auto; border: 0; }
  main { padding: 1rem; } }
""")


def render_page(markdown: str) -> str:
    """The Markdown of a report as a page of HTML that needs nothing but the pictures and videos it links to.

    HTML inside the Markdown is shown as text, not obeyed. Links to .mp4 become players.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    title, contents = _headings(tokens)
    for token in tokens:
        token.children = _with_players(token.children or []) if token.type == "inline" else token.children
    parser.add_render_rule("table_open", lambda *_: '<div class="scroll"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    body = Markup(parser.renderer.render(tokens, parser.options, {}))
    # The only values not escaped are ours: the style, and what the parser made with HTML turned off.
    template = Environment(autoescape=True).from_string(_PAGE)
    return template.render(title=title, style=_STYLE, contents=contents, body=body) + "\n"


def _headings(tokens: Sequence[Token]) -> tuple[str, list[tuple[str, str]]]:
    """The title, and (anchor, text) of every second-level heading; gives those their anchors."""
    title, contents = "", list[tuple[str, str]]()
    for token, text in zip(tokens, tokens[1:], strict=False):
        name = "".join(child.content for child in text.children or [])
        if token.type == "heading_open" and token.tag == "h1":
            title = name
        elif token.type == "heading_open" and token.tag == "h2":
            anchor = f"part-{len(contents) + 1}"
            token.attrSet("id", anchor)
            contents.append((anchor, name))
    return title, contents


def _with_players(children: Sequence[Token]) -> list[Token]:
    """Inline tokens with every link to a video made into its text and a player."""
    result: list[Token] = []
    inside = False
    for token in children:
        source = str(token.attrGet("href") or "")
        if token.type == "link_open" and source.endswith(".mp4"):
            inside = True
            player = Token("html_inline", "", 0)
            player.content = str(_player(source))
        elif token.type == "link_close" and inside:
            inside = False
            result.append(player)
        else:
            result.append(token)
    return result


def _player(source: str) -> Markup:
    return Markup('<video controls loop muted playsinline preload="metadata" src="{}"></video>').format(source)


def write_copy(markdown: str, output: Path, path: Path) -> Path:
    """Write a report's Markdown elsewhere, with small copies of the pictures it shows in the folder of its name.

    Args:
        markdown: shows pictures by their path in `output`.
        path: ends in .md; pictures go to path without the suffix. Lines that link to sheets or videos are left out,
            since those stay where they are.
    """
    folder = path.with_suffix("")

    def copied(match: re.Match[str]) -> str:
        source = output / match[2]
        copy_small_png(source, folder / source.name)
        return f"{match[1]}{folder.name}/{source.name})"

    lines = [line for line in markdown.split("\n") if not _LINK.search(line)]
    text = _PICTURE.sub(copied, "\n".join(lines))
    with labelled(path) as temporary:
        temporary.write_bytes(re.sub(r"\n{3,}", "\n\n", text).encode())
    return path
