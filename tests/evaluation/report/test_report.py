"""A report from a small made-up output folder: its figures are the scores', its links lead somewhere, it ranks nothing
that is equal."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from gen_inbetween.data.synthetic import make_clip
from gen_inbetween.evaluation.pairs.pair import Pair
from gen_inbetween.evaluation.pairs.pair_list import write_list
from gen_inbetween.evaluation.report.html import render_page
from gen_inbetween.evaluation.report.pictures import SMALL, copy_small_png
from gen_inbetween.evaluation.report.report import write_report
from gen_inbetween.evaluation.report.scores import read_scores
from gen_inbetween.evaluation.report.settings import ReportError, ReportSettings, check_copy
from gen_inbetween.evaluation.report.tables import decimals, figure, plain, probability
from gen_inbetween.evaluation.run import evaluate
from gen_inbetween.evaluation.settings import EvalRun, EvaluationError, inputs_of
from gen_inbetween.runtime.config import to_mapping
from gen_inbetween.runtime.files import OutputError
from gen_inbetween.runtime.hashing import frames_sha256

METHODS = ("gi", "gi_twin", "cross-fade")
SET = "fd_efficientnet_lite0[inner,224]"
METRICS = ("trajectory_error", "tail_first", "psnr[inner]", "bounce", SET)
PAIRS, SEEDS = 12, (0, 1)
READING = "The twin is as good as **gi**.\n\n<script>alert(1)</script>"


def scores_of(method: str, pair: int, seed: int) -> dict[str, float | None]:
    """gi and its twin differ by nothing but noise; cross-fade is worse everywhere."""
    noise = np.random.default_rng([METHODS.index(method) if method in METHODS else 9, pair, seed]).normal(0, 0.1)
    worse = float(method == "cross-fade")
    scores = {
        "trajectory_error": 2 + 0.5 * pair + worse + noise,
        "tail_first": None if pair == 0 else worse * (pair > 1),
        "bounce": 0.3 - 0.2 * (method == "truth") - 0.25 * worse + noise / 10,  # cross-fade stays 0.05 below the truth
        "psnr[inner]": 30 - pair - 3 * worse + noise,
    }
    if method == "truth":
        del scores["psnr[inner]"]
    return scores


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> EvalRun:
    """What the harness leaves: 12 pairs of two lengths, two seeds; cross-fade has one, and lacks its last pair."""
    output = tmp_path_factory.mktemp("evaluation")
    pairs, rows = [], []
    for number in range(PAIRS):
        drawn = {"seed": 10_000_000 + number, "num_frames": 5 + 2 * (number % 2), "size": 32}
        true = make_clip(**drawn).frames
        pairs.append(Pair(f"p{number:02d}", {"synthetic": drawn}, len(true), 7, 100, 0.5 + number, frames_sha256(true)))
        for method in (*METHODS, "truth"):
            for seed in SEEDS if method.startswith("gi") else SEEDS[:1]:
                if (method, number) == ("cross-fade", PAIRS - 1):
                    continue
                clip = None if method == "truth" else f"clips/{method}-12345678/p{number:02d}/seed{seed}"
                if clip:
                    (output / clip).mkdir(parents=True)
                    for index, frame in enumerate(true):
                        Image.fromarray(frame).save(output / clip / f"{index:05d}.png")
                rows.append(
                    {"method": method, "pair": f"p{number:02d}", "seed": seed, "gap": len(true), "motion": 0.5 + number,
                     "passes": {"gi": 32, "gi_twin": 64, "cross-fade": 0}.get(method), "seconds": 1.5, "clip": clip,
                     "scores": scores_of(method, number, seed)}
                )  # fmt: skip
    rows.sort(key=lambda row: (*METHODS, "truth").index(row["method"]))
    write_list(output / "list.jsonl", pairs, name="twelve", made_by="a test")
    (output / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    distances = {"gi": (10.0, 9.0, 11.0), "gi_twin": (10.5, 9.5, 11.5), "cross-fade": (20.0, 18.0, 22.0)}
    sets = {
        method: {"value": value, "extrapolated": value - 2, "low": low, "high": high, "clips": 11}
        for method, (value, low, high) in distances.items()
    }
    (output / "sets.json").write_text(json.dumps({SET: sets}))
    (output / "reading.md").write_text(READING)
    settings = ReportSettings(
        sections={"Twins | and all": METHODS},
        headline=("trajectory_error", "bounce"),
        reading=output / "reading.md",
        markdown=output / "committed" / "twelve.md",
    )
    run = EvalRun(
        name="twelve_pairs", pairs=output / "list.jsonl", output=output, methods={name: {} for name in METHODS},
        metrics=METRICS, seeds=SEEDS, reference="gi", report=settings,
    )  # fmt: skip
    why = {"method": "cross-fade", "seed": 0, "why": "expected 5 frames | got 4"}
    facts = {
        "created_at": "2026-01-01T00:00:00+00:00", "config": to_mapping(run), "size": [32, 32],
        "versions": {"python": "3.11"},
        "machine": {"system": "Linux-6.1.0-name-x86_64-with-glibc2.36", "threads": 2, "gpus": []},
        "model": {"name": "pocket-2", "sha256": "c0ffee" * 8},
        "list": {"name": "twelve", "sha256": "ab" * 32, "pairs": PAIRS},
        "metrics": {name: {"kind": "set" if name == SET else "clip"} for name in METRICS},
        "failures": [{**why, "pair": f"p{number:02d}"} for number in range(7)],
    }  # fmt: skip
    (output / "run.json").write_text(json.dumps(facts))
    write_report(output, run, "python eval/evaluate.py --config twelve.yaml")
    return run


@pytest.fixture(scope="module")
def text(run: EvalRun) -> str:
    return (run.output / "report.md").read_text()


def cells(text: str, heading: str, first: str = "method") -> dict[str, dict[str, str]]:
    """A table as row -> column -> cell: the first below a heading whose upper left corner begins with `first`."""
    below = text.split(f"{heading}\n", 1)[1]
    block = re.search(rf"^\| {re.escape(first)}.*(?:\n\|.*)+", below, re.MULTILINE)
    assert block, heading
    header, _, *rows = [re.split(r" (?<!\\)\| ", line.strip("| ")) for line in block[0].splitlines()]
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}


def column(row: dict[str, str], name: str) -> str:
    (found,) = [cell for header, cell in row.items() if f"`{name}`" in header]
    return found


def mean_by_hand(metric: str, method: str) -> float:
    seeds = SEEDS if method.startswith("gi") else SEEDS[:1]
    pairs = range(PAIRS - (method == "cross-fade"))
    values = [[scores_of(method, pair, seed)[metric] for seed in seeds] for pair in pairs]
    return float(np.mean([np.mean(pair) for pair in values if None not in pair]))


def test_the_tables_say_what_was_scored(text: str):
    table = cells(text, "### Against the true clip")
    for method in METHODS:
        cell = column(table[method], "psnr[inner]").strip("*")
        mean, low, high = map(float, re.match(r"([\d.]+) \[([\d.]+), ([\d.]+)\]", cell).groups())
        assert mean == pytest.approx(mean_by_hand("psnr[inner]", method), abs=0.05)
        assert low < mean < high
    assert "N = 11" in column(table["cross-fade"], "psnr[inner]"), "one clip is missing"
    moved = cells(text, "### Motion against the generator's exact truth")
    assert float(column(moved["cross-fade"], "tail_first").split()[0]) == pytest.approx(9 / 10, abs=0.001)
    assert "N = 10" in column(moved["cross-fade"], "tail_first"), "it does not apply to the first pair"
    assert column(moved["*true clips*"], "trajectory_error")


def test_the_difference_from_the_reference_is_paired_and_tested(text: str):
    table = cells(text, "### Paired differences from gi")
    assert set(table) == {"gi_twin", "cross-fade"}
    worse = column(table["cross-fade"], "trajectory_error")
    assert worse.startswith("+1.") or worse.startswith("+0.9") and worse.endswith("**worse**")
    assert "**" not in column(table["gi_twin"], "trajectory_error")
    seen = cells(text.split("Motion, from the clip alone:", 1)[1], "")
    bounce = column(seen["cross-fade"], "bounce")
    assert bounce.startswith("-0.1") and bounce.endswith("**better**"), "nearer to the truth's, though far from gi's"


def test_equal_methods_are_not_ranked(text: str):
    order = cells(text, "### What the data say of the order", "measure")
    said = {re.search("`(.*?)`", row)[1]: line["order, better first"] for row, line in order.items()}
    assert said["trajectory_error"] in ("(gi, gi_twin) > cross-fade", "(gi_twin, gi) > cross-fade")
    assert said["bounce"].startswith("cross-fade > (")
    best = [line for line in text.splitlines() if line.startswith(("| gi |", "| gi_twin |")) and "**" in line]
    assert best == [], "no cell of the twins stands out"
    assert column(cells(text, "### Motion, from the clip alone")["cross-fade"], "bounce").startswith("**0.0")
    assert column(cells(text, "### Sets of clips")["gi"], SET) == "10.0 [9.0, 11.0]", "it overlaps its twin's"


def test_the_best_seed_of_a_pair(text: str):
    table = cells(text, "### The best of 2 seeds of each pair")
    by_hand = np.mean([min(scores_of("gi", pair, seed)["trajectory_error"] for seed in SEEDS) for pair in range(PAIRS)])
    assert float(column(table["gi"], "trajectory_error").split()[0]) == pytest.approx(by_hand, abs=0.005)
    assert "bounce" not in " ".join(table["gi"]), "it needs no truth, so there is no best"


def test_groups_of_nearly_equal_motion_are_told_apart(run: EvalRun):
    """A table has a column for each label: two groups of one name would be one column."""
    motion = np.array([1.202, 1.204, 1.206, 1.212, 1.214, 1.216, 1.222, 1.224, 1.226, 1.23, 1.23, 1.23])
    scores = replace(read_scores(run.output / "results.jsonl"), motion=motion)
    assert [group.label for group in scores.by_motion()] == ["1.2 to 1.21", "1.21 to 1.22", "1.23"]
    even = replace(scores, motion=np.full(PAIRS, 1.2)).by_motion()
    assert [(group.label, group.members.sum()) for group in even] == [("1.2", PAIRS)]


def test_by_gap_by_motion_and_cost(text: str, run: EvalRun):
    assert list(cells(text, "### By gap", "`trajectory_error`")["gi"])[1:] == ["gap 5 (pairs: 6)", "gap 7 (pairs: 6)"]
    motion = cells(text, "### By amount of motion", "`trajectory_error`")["gi"]
    assert [header for header in motion if "pairs: 4" in header] == list(motion)[1:]
    low, _, high = (float(cell.split()[0]) for cell in list(motion.values())[1:])
    assert low == pytest.approx(2.75, abs=0.1) and high == pytest.approx(6.75, abs=0.1)
    assert cells(text, "### Cost")["gi_twin"]["UNet passes a clip"] == "64"
    scores = read_scores(run.output / "results.jsonl")
    assert sum(group.members.sum() for group in scores.by_motion()) == PAIRS


def test_every_picture_is_there_and_of_the_right_size(text: str, run: EvalRun):
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert len(shown) == len(set(shown)) == 9, "three differences, gap, motion, passes, three sheets"
    for path in shown:
        with Image.open(run.output / path) as picture:
            assert min(picture.size) > 150, path
    tile, gap, strip = 160, 6, 28
    with Image.open(run.output / "sheets" / "1-twins-and-all-typical.png") as sheet:
        frames = 5 + 2 * int(re.search(r"!\[typical: p(\d+)\]", text)[1]) % 4
        assert sheet.size == (frames * (tile + gap) - gap, 4 * (tile + strip + gap) - gap)
    with Image.open(run.output / "sheets" / "own-3.png") as sheet:
        assert sheet.height == 6 * (tile + strip + gap) - gap, "typical, best and worst, each under the truth"
    with av.open(str(run.output / "videos" / "1-twins-and-all-best.mp4")) as video:
        assert sum(packet.size > 0 for packet in video.demux(video=0)) in (5, 7)


def test_the_page_is_whole_and_obeys_no_html(run: EvalRun):
    source = (run.output / "report.html").read_text()
    checker = Checker()
    checker.feed(source)
    checker.close()
    assert checker.open == [] and "script" not in checker.seen
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in source
    assert {"table", "img", "video", "style", "nav"} <= checker.seen
    for link in checker.links:
        assert link[1:] in checker.anchors if link.startswith("#") else (run.output / link).is_file(), link


class Checker(HTMLParser):
    """Every element that was opened is closed, in order."""

    VOID = {"meta", "img", "br", "hr", "link"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen, self.anchors, self.links = set(), set(), []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.seen.add(tag)
        self.anchors.add(attributes.get("id"))
        self.links += [attributes[key] for key in ("src", "href") if key in attributes]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in self.VOID
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_copy_stands_alone(run: EvalRun):
    path = run.report.markdown
    copy = path.read_text()
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", copy)
    assert shown and all(link.startswith("twelve/") for link in shown)
    for link in shown:
        assert (path.parent / link).stat().st_size <= SMALL
    assert sorted(link.split("/")[1] for link in shown) == sorted(
        each.name for each in (path.parent / "twelve").iterdir()
    )
    assert not re.search(r"\((sheets|videos|plots)/", copy)
    assert cells(copy, "### Sets of clips") == cells((run.output / "report.md").read_text(), "### Sets of clips")


def test_the_copy_replaces_no_file_of_somebody_else_and_no_input(run: EvalRun, tmp_path: Path):
    theirs = tmp_path / "README.md"
    theirs.write_text("# A project\n")
    with pytest.raises(OutputError, match="README.md is a file that gen_inbetween did not make"):
        evaluate(replace(run, report=replace(run.report, markdown=theirs)))  # before the work
    with pytest.raises(OutputError, match="README.md is a file"):
        write_report(run.output, replace(run, report=replace(run.report, markdown=theirs)))
    assert theirs.read_text() == "# A project\n"
    check_copy(theirs, overwrite=True)
    with pytest.raises(OutputError, match="reading.md is an input"):
        check_copy(run.report.reading, inputs_of(run), overwrite=True)
    with pytest.raises(OutputError, match="holds the input"):
        check_copy(tmp_path / "pairs.md", [tmp_path / "pairs" / "list.jsonl"])


def test_a_copy_is_ours_until_it_is_edited(run: EvalRun, tmp_path: Path):
    text = run.report.markdown.read_text()
    check_copy(run.report.markdown, inputs_of(run))
    (tmp_path / "edited.md").write_text(text.replace("Twins", "Twins!"))
    (tmp_path / "before.md").write_text(text[: text.index("<!-- made by")])  # as earlier versions wrote it
    check_copy(tmp_path / "before.md")
    with pytest.raises(OutputError, match="did not make"):
        check_copy(tmp_path / "edited.md")


def test_failures_are_counted_and_the_first_are_named(text: str):
    part = text.split("## Failures\n", 1)[1].split("\n## ")[0]
    assert "**cross-fade**: 7" in part and "and 2 more, in run.json" in part
    assert "- p00, seed 0: expected 5 frames \\| got 4" in part and "p05" not in part


def test_what_was_run_and_what_people_read_into_it(text: str):
    assert text.index("The twin is as good as **gi**.") < text.index("## What was run")
    assert "```\npython eval/evaluate.py --config twelve.yaml\n```" in text
    assert "| machine | Linux x86_64, threads: 2 |" in text
    assert "12 of list twelve (sha256 abababababab)" in text and "pocket-2 (sha256 c0ffeec0ffee)" in text
    assert "## Twins \\| and all" in text
    meanings = cells(text, "## What each measure means", "measure")
    assert all(meanings[f"`{name}`"]["meaning"] for name in METRICS)


def test_a_report_is_written_again_with_other_sections(run: EvalRun, text: str, tmp_path: Path):
    again = shutil.copytree(run.output, tmp_path / "again")
    write_report(
        again, replace(run, report=ReportSettings(sections={"Twins": ("gi_twin", "gi")}, headline=("bounce",)))
    )
    twins = (again / "report.md").read_text()
    order = cells(twins, "### What the data say of the order", "measure")
    assert {line["order, better first"] for line in order.values()} == {"not distinguished"}
    assert "| cross-fade |" not in twins and "**cross-fade**: 7" in twins
    assert list(cells(twins, "### Against the true clip")) == ["gi_twin", "gi"]
    before, after = (cells(each, "### Against the true clip")["gi"] for each in (text, twins))
    assert column(before, "psnr[inner]").split(" (N")[0] == column(after, "psnr[inner]")
    assert "Reading" not in twins


def test_settings_that_do_not_fit_the_run(tmp_path: Path):
    def check(**settings):
        ReportSettings(**settings).check(METHODS, METRICS)

    check(sections={"all": METHODS}, headline=METRICS[:2])
    with pytest.raises(ReportError, match="'gi_twn' is not part of this run; did you mean 'gi_twin'"):
        check(sections={"all": ("gi", "gi_twn")})
    with pytest.raises(ReportError, match="'empty' names no method"):
        check(sections={"empty": ()})
    with pytest.raises(ReportError, match="report.headline: 'speed'"):
        check(headline=("speed",))
    with pytest.raises(ReportError, match="picture_metric: 'bounces'.*'bounce'"):
        check(picture_metric="bounces")
    with pytest.raises(ReportError, match="no such file"):
        check(reading=tmp_path / "none.md")
    with pytest.raises(ReportError, match="ending in .md"):
        check(markdown=tmp_path / "report.html")


def test_results_that_are_not_there_or_damaged(tmp_path: Path):
    path = tmp_path / "results.jsonl"
    with pytest.raises(EvaluationError, match="cannot read the results"):
        read_scores(path)
    path.write_text("")
    with pytest.raises(EvaluationError, match="no clip was scored"):
        read_scores(path)
    path.write_text('{"method": "gi"}\n')
    with pytest.raises(EvaluationError, match="results.jsonl:1: the row lacks clip, gap"):
        read_scores(path)
    path.write_text("{\n")
    with pytest.raises(EvaluationError, match="results.jsonl:1: expected a JSON object"):
        read_scores(path)


def test_a_large_picture_becomes_a_small_file(tmp_path: Path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8))
    noise.save(tmp_path / "noise.png")
    path = copy_small_png(tmp_path / "noise.png", tmp_path / "small.png", limit=2_000)
    assert path.stat().st_size <= 2_000
    with Image.open(path) as small:
        assert small.width < 90 and small.width / small.height == pytest.approx(1.5, abs=0.05)
    Image.new("RGB", (60, 90), (40, 90, 200)).save(tmp_path / "blue.png")
    same = copy_small_png(tmp_path / "blue.png", tmp_path / "copy.png", limit=2_000)
    assert same.read_bytes() == (tmp_path / "blue.png").read_bytes()


def test_figures_and_text_as_people_write_them():
    assert [figure(value, 2, signed=True) for value in (1.5, -1.5, -0.001, float("nan"))] == [
        "+1.50",
        "-1.50",
        "0.00",
        "-",
    ]
    assert [decimals([value]) for value in (1234.0, 30.5, 2.25, 0.5, 0.05, 0.0004, 0.0)] == [0, 1, 2, 3, 3, 5, 2]
    assert [probability(p) for p in (0.0004, 0.0321, 0.5)] == ["p < 0.001", "p = 0.032", "p = 0.50"]
    assert plain("a_b *c* | <d>") == "a_b \\*c\\* \\| \\<d\\>"
    assert "<td>a | b</td>" in render_page("# t\n\n| x |\n| --- |\n| a \\| b |\n")
