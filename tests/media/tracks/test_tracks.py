"""What a film holds beside its pictures goes along, or is named: sound, subtitles, chapters, titles."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from film_cases import film, tone_frame, with_cover, write_film

from gen_inbetween.interpolation.retiming.retime_video import retime_video
from gen_inbetween.media.tracks.listing import list_tracks
from gen_inbetween.media.video import open_source

NEAREST = {"interpolator": "nearest", "progress": False}
HEADER = b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\n\n[Events]\n"


@pytest.fixture(autouse=True)
def notices(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "gen_inbetween")


def listing_of(path: Path):  # noqa: ANN201
    return list_tracks(open_source(path))


def lengths(path: Path) -> dict[str, float]:
    """Seconds at which the last packet of each kind of stream ends."""
    with av.open(str(path)) as container:
        ends: dict[str, float] = {}
        for packet in container.demux():
            if packet.size and packet.pts is not None:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                ends[packet.stream.type] = max(ends.get(packet.stream.type, 0), end)
    return ends


def montage(path: Path, subtitles: str | None = "subrip") -> Path:
    """A film as films are: two languages, the second the usual one; a comment; subtitles, chapters, titles."""
    plain = write_film(path.with_name("plain.mp4"), film(12))
    with av.open(str(plain)) as source, av.open(str(path), "w") as container:
        container.metadata.update(title="My film", creation_time="2020-01-02T03:04:05.000000Z", artist="Ann")
        container.set_chapters(
            [
                {
                    "id": n,
                    "start": 250 * n,
                    "end": 250 * n + 250,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": t},
                }
                for n, t in enumerate(("one", "two"))
            ]
        )
        moving = container.add_stream_from_template(source.streams.video[0])
        sounds = []
        for language, title, flags in (
            ("eng", "English", Disposition(0)),
            ("jpn", "Nihongo", Disposition.default),
            ("eng", "Director", Disposition.comment),
        ):
            stream = container.add_stream("aac", rate=48_000, layout="mono")
            stream.metadata.update(language=language, title=title)
            stream.disposition = flags
            sounds.append(stream)
        text = container.add_stream(subtitles) if subtitles else None
        if text is not None:
            text.codec_context.subtitle_header = HEADER
            text.time_base = Fraction(1, 1000)
            text.metadata.update(language="fra", title="Francais")
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = moving
                container.mux(packet)
        for number, stream in enumerate(sounds):
            container.mux(stream.encode(tone_frame(0.5, 440 * (number + 1))))
            container.mux(stream.encode())
        if text is not None:
            said = av.subtitles.subtitle.SubtitleSet.create(b"0,0,Default,,0,0,0,,hello", 0, 400)
            packet = text.codec_context.encode_subtitle(said)
            packet.stream, packet.pts, packet.dts, packet.duration = text, 100, 100, 200
            packet.time_base = Fraction(1, 1000)
            container.mux(packet)
    return path


@pytest.fixture
def multi(tmp_path: Path) -> Path:
    return montage(tmp_path / "multi.mkv")


# All that a film holds


def texts(path: Path) -> list[tuple[float, float, str]]:
    with av.open(str(path)) as container:
        return [
            (
                float(packet.pts * packet.time_base),
                float(packet.duration * packet.time_base),
                bytes(packet).decode()[-5:],
            )
            for packet in container.demux(subtitles=0)
            if bytes(packet).endswith(b"hello")
        ]


@pytest.mark.parametrize("scale", [1, 2])
def test_tracks_keep_language_title_and_flags(tmp_path: Path, multi: Path, scale: float) -> None:
    out = tmp_path / "out.mp4"
    retime_video(multi, out, fps=48, scale=scale, **NEAREST)
    listing, source = listing_of(out), listing_of(multi)
    told = [(track.tags, bool(track.flags & Disposition.default)) for track in listing.of_kind("audio")]
    assert [tags["title"] for tags, _ in told] == ["English", "Nihongo", "Director"]
    assert [tags["language"] for tags, _ in told] == ["eng", "jpn", "eng"]
    assert [usual for _, usual in told] == [False, True, False]
    assert listing.of_kind("subtitle")[0].tags == {"language": "fra", "title": "Francais"}
    assert listing.of_kind("subtitle")[0].codec == "mov_text"
    begin = open_source(multi).between().origin
    ((at, length, _),) = texts(out)
    assert (at, length) == pytest.approx(((0.1 - begin) * scale, 0.2 * scale), abs=0.03)
    assert [chapter.tags["title"] for chapter in listing.chapters] == ["one", "two"]
    assert [chapter.begin for chapter in listing.chapters] == pytest.approx([0, (0.25 - begin) * scale], abs=2e-3)
    for key in ("title", "artist", "creation_time"):
        assert listing.tags[key] == source.tags[key]


def test_a_part_has_its_own_chapters_and_texts(tmp_path: Path, multi: Path) -> None:
    retime_video(multi, tmp_path / "out.mp4", fps=48, start=0.25, **NEAREST)
    listing = listing_of(tmp_path / "out.mp4")
    assert [chapter.tags["title"] for chapter in listing.chapters][-1] == "two"
    ((at, length, _),) = texts(tmp_path / "out.mp4")
    assert at == 0 and 0 < length < 0.1


def test_what_a_picture_only_output_cannot_hold_is_named(tmp_path: Path, multi: Path, caplog) -> None:  # noqa: ANN001
    retime_video(multi, tmp_path / "out.gif", fps=20, **NEAREST)
    assert "out.gif holds pictures alone; left out of multi.mkv: sound 1 (eng, aac)" in caplog.text
    assert "subtitles 1 (fra, " in caplog.text and "2 chapters" in caplog.text
    caplog.clear()
    retime_video(multi, tmp_path / "bent.mp4", fps=24, curve="ease-in", **NEAREST)
    assert "the sound is dropped, for it cannot follow a curve" in caplog.text
    assert "subtitles 1 (fra, " in caplog.text and "2 chapters" in caplog.text
    assert listing_of(tmp_path / "bent.mp4").tracks == ()
    caplog.clear()
    retime_video(multi, tmp_path / "drop.mp4", fps=24, audio="drop", **NEAREST)
    assert "sound" not in caplog.text and [track.kind for track in listing_of(tmp_path / "drop.mp4").tracks] == [
        "subtitle"
    ]


def test_pictures_as_subtitles_are_named(tmp_path: Path, multi: Path, caplog: pytest.LogCaptureFixture) -> None:
    multi.write_bytes(multi.read_bytes().replace(b"S_TEXT/UTF8", b"S_HDMV/PGS\0"))  # as Blu-ray discs have them
    retime_video(multi, tmp_path / "out.mp4", fps=48, **NEAREST)
    assert "left out: subtitles 1 (fra, pgssub)" in caplog.text
    assert not listing_of(tmp_path / "out.mp4").of_kind("subtitle")


# Codecs that FFmpeg does not know


def as_iphone_writes(path: Path) -> Path:
    """A film whose last sound track bears a name FFmpeg does not know, as Apple's spatial sound does."""
    plain = montage(path.with_name("two.mp4"), subtitles=None).read_bytes()
    head, _, tail = plain.rpartition(b"mp4a")
    path.write_bytes(head + b"apac" + tail.replace(b"esds", b"dapa", 1))
    return path


@pytest.mark.parametrize("how", [{"fps": 48}, {"scale": 2}, {"scale": 2, "audio": "keep"}, {"fps": 48, "start": 0.2}])
def test_a_codec_nobody_knows_is_named_and_left_out(tmp_path: Path, how: dict, caplog) -> None:  # noqa: ANN001
    source = as_iphone_writes(tmp_path / "iphone.mov")
    assert [track.codec for track in listing_of(source).of_kind("audio")] == ["aac", "aac", None]
    made = retime_video(source, tmp_path / "out.mp4", **how, **NEAREST)
    assert made.written > 0 and "left out: sound 3 (eng, apac)" in caplog.text
    assert [track.codec for track in listing_of(tmp_path / "out.mp4").of_kind("audio")] == ["aac", "aac"]


# How long sound is


def test_sound_longer_than_the_film_is_kept_and_the_last_picture_stands(tmp_path: Path, caplog) -> None:  # noqa: ANN001
    source, out = write_film(tmp_path / "long.mp4", film(12), tone=2.0), tmp_path / "out.mp4"
    retime_video(source, out, fps=48, **NEAREST)
    assert lengths(out) == {"video": 0.5, "audio": pytest.approx(2.0, abs=0.03)}
    assert "sound goes on for 1.5" in caplog.text and "the last one stands" in caplog.text
    retime_video(source, out, scale=2, **NEAREST)
    assert lengths(out) == {"video": 1.0, "audio": pytest.approx(4.0, abs=0.06)}
    retime_video(source, out, scale=0.5, audio="keep", **NEAREST)
    assert lengths(out) == {"video": 0.25, "audio": pytest.approx(2.0, abs=0.03)}
    retime_video(source, out, fps=48, start=0.25, **NEAREST)
    assert lengths(out) == {"video": 0.25, "audio": pytest.approx(1.75, abs=0.05)}
    retime_video(source, out, fps=48, stop=0.25, **NEAREST)  # that is to ask for less
    assert lengths(out) == {"video": 0.25, "audio": pytest.approx(0.25, abs=0.05)}


def test_sound_shorter_than_the_film_stays_so(tmp_path: Path) -> None:
    source = write_film(tmp_path / "short.mp4", film(24), tone=0.3)
    retime_video(source, tmp_path / "out.mp4", fps=48, **NEAREST)
    assert lengths(tmp_path / "out.mp4") == {"video": 1.0, "audio": pytest.approx(0.3, abs=0.03)}


def onset(path: Path) -> float:
    """Seconds at which sound begins to be heard."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        wave = np.concatenate([frame.to_ndarray().astype(float)[0] for frame in frames])
        loud = np.flatnonzero(np.abs(wave) > 0.1 * np.abs(wave).max())
        return frames[0].time + loud[0] / frames[0].sample_rate


def test_pictures_out_of_order_in_an_avi_cost_no_sound(tmp_path: Path) -> None:
    source = write_film(tmp_path / "b.avi", film(12), tone=0.5, sound="pcm_s16le", bf=2)
    retime_video(source, tmp_path / "out.mp4", fps=48, **NEAREST)
    assert lengths(tmp_path / "out.mp4") == {"video": 0.5, "audio": pytest.approx(0.5, abs=0.03)}
    assert onset(tmp_path / "out.mp4") == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(("name", "shift"), [("a.ts", 1.0), ("a.mkv", 5.0), ("a.mp4", 0.0)])
def test_sound_stays_with_its_pictures_whenever_the_file_begins(tmp_path: Path, name: str, shift: float) -> None:
    plain = write_film(tmp_path / "plain.mp4", film(24), bf=0)
    with av.open(str(plain)) as source, av.open(str(tmp_path / name), "w") as container:
        moving = container.add_stream_from_template(source.streams.video[0])
        heard = container.add_stream("aac", rate=48_000, layout="mono")
        packets = []
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts = packet.dts = packet.pts + round(shift / packet.time_base)
                packet.stream = moving
                packets.append(packet)
        frame = tone_frame(0.5)
        frame.pts = round((shift + 0.5) * 48_000)
        for packet in [*packets, *heard.encode(frame), *heard.encode()]:
            container.mux(packet)
    retime_video(tmp_path / name, tmp_path / "out.mp4", fps=48, **NEAREST)
    assert onset(tmp_path / "out.mp4") == pytest.approx(0.5, abs=0.03)


def test_sound_before_the_first_picture_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ticks = [12 + number for number in range(12)]
    source = write_film(tmp_path / "late.mkv", film(12), ticks=ticks, tone=1.0)
    retime_video(source, tmp_path / "out.mp4", fps=48, **NEAREST)
    assert "0.5" in caplog.text and "of sound before the first picture" in caplog.text
    assert lengths(tmp_path / "out.mp4")["audio"] == pytest.approx(0.5, abs=0.05)


# Which codecs are copied


_MKV = {"ac3": "ac3", "eac3": "eac3", "libopus": "opus", "flac": "flac", "libmp3lame": "mp3", "mp2": "mp3"}
_OTHER = {"a.mov alac": "alac", "a.mov pcm_s16le": "aac", "a.mov pcm_mulaw": "aac", "a.avi adpcm_ms": "aac"}
_CODECS = {**{f"a.mkv {codec}": kept for codec, kept in _MKV.items()}, **_OTHER, "a.wmv wmav2": "aac"}


@pytest.mark.parametrize(("name", "codec", "kept"), [(*said.split(), kept) for said, kept in _CODECS.items()])
def test_sound_is_copied_where_players_play_it_and_aac_elsewhere(
    tmp_path: Path, name: str, codec: str, kept: str
) -> None:
    source = sounding(tmp_path / name, codec)
    retime_video(source, tmp_path / "out.mp4", fps=48, **NEAREST)
    (track,) = listing_of(tmp_path / "out.mp4").of_kind("audio")
    assert track.codec.removesuffix("float") == kept
    assert lengths(tmp_path / "out.mp4")["audio"] == pytest.approx(0.5, abs=0.1)


def sounding(path: Path, codec: str) -> Path:
    """A film with half a second of sound in any codec."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4" if path.suffix != ".wmv" else "wmv2", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        heard = container.add_stream(codec, rate=48_000, layout="mono")
        heard.bit_rate = 96_000
        form = heard.codec_context.codec.audio_formats[0].name
        resampler = av.AudioResampler(form, "mono", 48_000, heard.codec_context.frame_size or None)
        for image in film(12):
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())
        for frame in [*resampler.resample(tone_frame(0.5)), *resampler.resample(None)]:
            container.mux(heard.encode(frame))
        container.mux(heard.encode())
    return path


def test_nothing_is_listed_of_a_folder_or_an_animation(tmp_path: Path) -> None:
    film(2)[0].save(tmp_path / "a.gif", save_all=True, append_images=film(2)[1:], duration=100)
    assert listing_of(tmp_path / "a.gif").tracks == ()


# Edited films


@pytest.mark.parametrize(
    ("words", "length"), [((), 0.5), (("--fps", "12"), 1.0), (("--frames", "6"), 0.25), (("--audio", "drop"), None)]
)
def test_an_edited_film_keeps_its_sound_and_all(tmp_path: Path, multi: Path, inbetween, words, length) -> None:  # noqa: ANN001
    still = ("--background", "linear", "--interpolator", "nearest", "-o", "out.mp4")
    status, _, err = inbetween("edit", multi, *still, *words)
    assert status == 0, err
    kinds = [track.kind for track in listing_of(tmp_path / "out.mp4").tracks]
    assert kinds == (["audio"] * 3 if length else []) + ["subtitle"]
    if length:
        assert lengths(tmp_path / "out.mp4")["audio"] == pytest.approx(length, abs=0.06)
    assert listing_of(tmp_path / "out.mp4").tags["title"] == "My film"
    assert len(listing_of(tmp_path / "out.mp4").chapters) == 2


def test_what_an_edited_film_loses_is_named(tmp_path: Path, multi: Path, inbetween) -> None:  # noqa: ANN001
    status, _, err = inbetween("edit", multi, "--interpolator", "nearest", "-o", "out.gif")
    assert status == 0 and "out.gif holds pictures alone; left out of multi.mkv: sound 1 (eng, aac)" in err
    status, _, err = inbetween("edit", multi, "--interpolator", "nearest", "-o", "out.mp4", "--background", "ease-in")
    assert status == 0 and "the sound is dropped, for it cannot follow a curve" in err
    status, _, err = inbetween("edit", multi, "-o", "out.gif", "--audio", "keep")
    assert status == 2 and "out.gif holds no sound" in err
    iphone = as_iphone_writes(tmp_path / "iphone.mov")
    status, _, err = inbetween("edit", iphone, "--interpolator", "nearest", "-o", "out.mov")
    assert status == 0 and "left out: sound 3 (eng, apac)" in err
    assert [track.codec for track in listing_of(tmp_path / "out.mov").of_kind("audio")] == ["aac", "aac"]


# Every container


@pytest.mark.parametrize(
    ("name", "codec", "text"),
    [
        ("out.mov", "aac", "mov_text"),
        ("out.mkv", "aac", "srt"),
        ("out.webm", "opus", "webvtt"),
        ("out.avi", "aac", None),
    ],
)
def test_other_containers_get_what_they_hold(tmp_path: Path, multi: Path, caplog, name, codec, text) -> None:  # noqa: ANN001
    retime_video(multi, tmp_path / name, fps=48, **NEAREST)
    listing = listing_of(tmp_path / name)
    assert [track.codec.removeprefix("lib") for track in listing.of_kind("audio")] == [codec] * 3
    assert [track.codec for track in listing.of_kind("subtitle")] == ([text] if text else [])
    assert lengths(tmp_path / name)["audio"] == pytest.approx(0.5, abs=0.05)
    assert onset(tmp_path / name) == pytest.approx(0, abs=0.03)
    assert listing.tags["title"] == "My film"
    if text is None:
        assert "left out: subtitles 1 (fra, srt); 2 chapters; tags (creation_time)" in caplog.text
        return
    assert [chapter.tags["title"] for chapter in listing.chapters] == ["one", "two"]
    assert [track.tags["language"] for track in listing.of_kind("audio")] == ["eng", "jpn", "eng"]
    assert listing.tags["creation_time"].startswith("2020-01-02")


@pytest.mark.parametrize(
    ("name", "kept"), [("out.mp4", True), ("out.mkv", True), ("out.mov", False), ("out.avi", False)]
)
def test_cover_art_goes_along_or_is_named(tmp_path: Path, name: str, kept: bool, caplog) -> None:  # noqa: ANN001
    source = with_cover(tmp_path / "cover.mp4", first=False, marked=True)
    retime_video(source, tmp_path / name, fps=48, **NEAREST)
    covers = listing_of(tmp_path / name).of_kind("video")
    assert [track.flags & Disposition.attached_pic != 0 for track in covers] == [True] * kept
    assert ("left out: cover art (png)" in caplog.text) is not kept
    with av.open(str(tmp_path / name)) as container:
        assert sum(packet.size > 0 for packet in container.demux(video=0)) == 24


@pytest.mark.parametrize(("name", "channels"), [("out.webm", 6), ("out.avi", 2), ("out.mp4", 6)])
def test_surround_sound_is_encoded_in_as_many_channels_as_the_encoder_takes(
    tmp_path: Path, name: str, channels: int
) -> None:
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        heard = container.add_stream("pcm_s16le", rate=48_000, layout="5.1(side)")
        for image in film(12):
            container.mux(stream.encode(av.VideoFrame.from_image(image)))
        container.mux(stream.encode())
        wave = tone_frame(0.5).to_ndarray()
        samples = (20_000 * np.repeat(wave, 6, 0)).astype(np.int16).T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="5.1(side)")
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux(heard.encode(frame))
        container.mux(heard.encode())
    for how in ({"fps": 48}, {"scale": 2}):
        if name != "out.avi" or "scale" in how:  # which holds raw sound as it is
            retime_video(source, tmp_path / name, **how, **NEAREST)
            with av.open(str(tmp_path / name)) as container:
                assert container.streams.audio[0].codec_context.layout.nb_channels == channels


def test_quicktime_spells_languages_its_own_way(tmp_path: Path, multi: Path) -> None:
    multi.write_bytes(multi.read_bytes().replace(b"jpn", b"deu"))
    retime_video(multi, tmp_path / "out.mov", fps=48, **NEAREST)
    languages = [track.tags.get("language") for track in listing_of(tmp_path / "out.mov").of_kind("audio")]
    assert languages == ["eng", "ger", "eng"]
