"""Rates and times as people write them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from film_cases import film, write_film

from gen_inbetween.generation.settings import Settings
from gen_inbetween.interpolation.retiming.retime import retime
from gen_inbetween.interpolation.retiming.retime_video import retime_video
from gen_inbetween.media.source import VideoError
from gen_inbetween.media.times.rates import exact_rate, parse_seconds
from gen_inbetween.media.video import open_source
from gen_inbetween.media.video_writer import write_video
from gen_inbetween.runtime.config import ConfigError, from_mapping

NTSC = {"23.976": 24, "23.98": 24, 29.97: 30, "47.952": 48, 59.94: 60, 119.88: 120, 14.985: 15, "11.988": 12}


@pytest.mark.parametrize(("said", "thousands"), NTSC.items())
def test_decimals_of_ntsc_rates_mean_thousands_over_1001(said: float | str, thousands: int) -> None:
    assert exact_rate(said) == Fraction(1000 * thousands, 1001)
    assert exact_rate(float(Fraction(1000 * thousands, 1001))) == Fraction(1000 * thousands, 1001)


def test_other_rates_are_what_they_say() -> None:
    same = {24: 24, "25": 25, 12.5: Fraction(25, 2), 0.1: Fraction(1, 10), 2.5: Fraction(5, 2), 5: 5, "1000": 1000}
    for said, meant in same.items():
        assert exact_rate(said) == meant
    assert exact_rate("60000/1001") == Fraction(60_000, 1001) and exact_rate("25/1") == 25
    assert exact_rate("2997/100") == Fraction(2997, 100)  # whoever writes that means it
    assert exact_rate(Fraction(2997, 100)) == Fraction(2997, 100)


@pytest.mark.parametrize("said", [float("nan"), "nan", "inf", 0, -5, 1001, "1/100", 0.05])
def test_rates_nobody_plays(said: float | str) -> None:
    with pytest.raises(VideoError, match="fps is between 0.1 and 1000 frames a second; got"):
        exact_rate(said)


@pytest.mark.parametrize("said", ["2x", "", "60000/", "1/0", "fast", "24fps"])
def test_what_is_no_rate(said: str) -> None:
    with pytest.raises(VideoError, match=r"such as 60, 29.97 or 60000/1001; got"):
        exact_rate(said)


def test_timecodes() -> None:
    meant = {"62.5": 62.5, "1:02.5": 62.5, "00:01:02.5": 62.5, "00:01:02,5": 62.5, "1:00:00": 3600, "0:90:00": None}
    meant |= {".5": 0.5, "90": 90, "0:75": None, "a": None, "1:2:3:4": None, "-1": None, "": None}
    for said, seconds in meant.items():
        if seconds is None:
            with pytest.raises(VideoError, match="^start"):
                parse_seconds(said, "start")
        else:
            assert parse_seconds(said, "start") == seconds
    assert parse_seconds(None, "stop") is None and parse_seconds(3, "stop") == 3


def rate_of(path: Path) -> Fraction:
    with av.open(str(path)) as container:
        return container.streams.video[0].average_rate


@pytest.mark.parametrize("said", [29.97, "29.97", "30000/1001"])
def test_every_place_that_takes_a_rate_means_the_same(tmp_path: Path, said: float | str) -> None:
    meant = Fraction(30_000, 1001)
    source = write_film(tmp_path / "a.mp4", film(12))
    made = retime_video(source, tmp_path / "out.mp4", fps=said, interpolator="nearest", progress=False)
    assert rate_of(tmp_path / "out.mp4") == meant and made.fps == pytest.approx(float(meant))
    write_video(film(3), tmp_path / "written.mp4", float(exact_rate(said)))
    assert rate_of(tmp_path / "written.mp4") == meant
    write_video(film(3), tmp_path / "folder", 24)
    assert open_source(tmp_path / "folder", folder_rate=said).between().rate == meant
    clip = retime(film(3), num_frames=5, fps=said, interpolator="nearest", progress=False)
    clip.save(tmp_path / "clip.mp4")
    assert rate_of(tmp_path / "clip.mp4") == meant
    setting = said if "/" in str(said) else float(said)
    assert Fraction(from_mapping(Settings, {"fps": setting}).fps).limit_denominator(1001) == meant


def test_settings_take_any_rate_and_whole_ones_stay_whole() -> None:
    assert [from_mapping(Settings, {"fps": fps}).fps for fps in (24.5, 7, "24/2", 7.0)] == [24.5, 7, 12, 7]
    assert isinstance(from_mapping(Settings, {"fps": 7.0}).fps, int)
    with pytest.raises(ConfigError, match="fps"):
        from_mapping(Settings, {"fps": "fast"})


@pytest.mark.parametrize("thousands", [24, 30, 60])
def test_a_rate_in_the_file_stays(tmp_path: Path, thousands: int) -> None:
    rate = Fraction(1000 * thousands, 1001)
    for name in ("a.mp4", "a.mkv"):
        source = write_film(tmp_path / name, film(12), unit=1 / rate)
        made = retime_video(source, tmp_path / "out.mp4", scale=2, interpolator="nearest", progress=False)
        assert rate_of(tmp_path / "out.mp4") == rate and made.written == 24


def test_commands_take_rates_and_timecodes(inbetween, tmp_path: Path) -> None:  # noqa: ANN001
    source = write_film(tmp_path / "a.mp4", film(24))
    nearest = ("--interpolator", "nearest", "-o", "out.mp4")
    status, out, err = inbetween("retime", source, "--fps", "60000/1001", "--start", "00:00:00.25", *nearest)
    assert status == 0, err
    assert rate_of(tmp_path / "out.mp4") == Fraction(60_000, 1001) and "of 18" in out
    status, _, err = inbetween("slowmo", source, "--scale", 2, "--stop", "0:00.5", "--fps", "23.976", *nearest)
    assert status == 0 and rate_of(tmp_path / "out.mp4") == Fraction(24_000, 1001), err
    for words, message in (
        (("--fps", "2x"), "such as 60, 29.97 or 60000/1001; got '2x'"),
        (("--fps", "nan"), "fps is between 0.1 and 1000 frames a second; got nan"),
        (("--fps", "30", "--start", "half"), "start is a time in seconds or as a timecode, such as 62.5"),
    ):
        status, _, err = inbetween("retime", source, *words, *nearest)
        assert status == 2 and message in err


@pytest.mark.parametrize("said", ["1e1000000000", "1e-1000000000", 1e300, "1" + "0" * 4000 + "/1", "inf", "nan", "-5"])
def test_a_rate_far_outside_is_told_at_once(said):
    with pytest.raises(VideoError, match="fps is between 0.1 and 1000"):
        exact_rate(said)
