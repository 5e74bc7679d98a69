"""What a film says of itself and an output cannot hold is named; what cannot be is refused before the work."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from film_cases import film, tone_frame, write_film

from gen_inbetween.interpolation.retiming import retime_video as module
from gen_inbetween.interpolation.retiming.retime_video import retime_video
from gen_inbetween.media.frames import side_data
from gen_inbetween.media.frames.errors import VideoError
from gen_inbetween.media.frames.side_data import Light, dynamic_metadata, light_of
from gen_inbetween.media.tracks.listing import list_tracks
from gen_inbetween.media.video import open_source

NEAREST = {"interpolator": "nearest", "progress": False}
LIGHT = Light((34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450, 50, 10_000_000), (1000, 400))


@pytest.fixture(autouse=True)
def notices(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "gen_inbetween")


def spoken(path: Path, *languages: str, codec: str = "aac", rate: int = 48_000) -> Path:
    """A film with a track of sound in each language, the last the default."""
    plain = write_film(path.with_name("plain.mp4"), film(12))
    with av.open(str(plain)) as source, av.open(str(path), "w") as container:
        moving = container.add_stream_from_template(source.streams.video[0])
        sounds = []
        for number, language in enumerate(languages, 1):
            options = {"strict": "-2"} if codec == "vorbis" else {}
            stream = container.add_stream(codec, rate=rate, layout="stereo", options=options)
            stream.metadata["language"] = language
            stream.disposition = Disposition.default if number == len(languages) else Disposition(0)
            sounds.append(stream)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = moving
                container.mux(packet)
        for stream in sounds:
            mono = tone_frame(0.5)
            wave = np.repeat(mono.to_ndarray(), 2, 0)
            mono = av.AudioFrame.from_ndarray(wave, format="fltp", layout="stereo")
            mono.sample_rate, mono.pts = rate, 0
            container.mux(stream.encode(mono))
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize(("codec", "name"), [("vorbis", "o.mkv"), ("vorbis", "o.webm")])
def test_sound_of_cinemas_and_of_vorbis_is_copied_in_time(tmp_path: Path, codec: str, name: str) -> None:
    path = spoken(tmp_path / "a.mkv", "eng", codec=codec)
    before = [packet for packet in packets_of(path) if packet[0] >= 0]  # what only primes a decoder is no sound
    after = packets_of(retime_video(path, tmp_path / name, fps=48, **NEAREST).path)
    assert [data for _, data in after] == [data for _, data in before]
    assert max(abs(one - other) for (one, _), (other, _) in zip(before, after, strict=True)) < 0.002


def test_dts_is_copied_byte_for_byte(tmp_path: Path) -> None:
    """Frames of a header (ETSI TS 102 114: 512 samples, stereo, 48 kHz) and nothing, for PyAV has no encoder of DTS."""
    size = 512
    fields = [(0x7FFE8001, 32), (1, 1), (31, 5), (0, 1), (15, 7), (size - 1, 14), (2, 6), (13, 4), (15, 5), (0, 10)]
    bits = "".join(f"{value:0{width}b}" for value, width in fields).ljust(8 * size, "0")
    raw = tmp_path / "a.dts"
    raw.write_bytes(int(bits, 2).to_bytes(size, "big") * 47)
    plain, path = write_film(tmp_path / "plain.mp4", film(12), bf=0), tmp_path / "a.mkv"
    with av.open(str(plain)) as source, av.open(str(raw), format="dts") as sound, av.open(str(path), "w") as out:
        streams = [out.add_stream_from_template(one.streams[0]) for one in (source, sound)]
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = streams[0]
                out.mux(packet)
        for number, packet in enumerate(packet for packet in sound.demux(audio=0) if packet.size):
            packet.time_base = Fraction(1, 48_000)
            packet.pts = packet.dts = size * number
            packet.stream = streams[1]
            out.mux(packet)
    for name in ("o.mkv", "o.mp4"):
        after = packets_of(retime_video(path, tmp_path / name, fps=48, **NEAREST).path)
        assert [data for _, data in after] == [data for _, data in packets_of(path)]
        assert list_tracks(open_source(tmp_path / name)).of_kind("audio")[0].codec in ("dts", "dca")


def packets_of(path: Path) -> list[tuple[float, bytes]]:
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        return [(float(packet.pts * packet.time_base), bytes(packet)) for packet in packets]


def test_languages_a_container_has_no_word_for_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = spoken(tmp_path / "a.mkv", "hrv", "srp", "swe", "eng")
    retime_video(path, tmp_path / "o.mov", fps=48, **NEAREST)
    assert "the language of sound 1 (hrv, aac); the language of sound 2 (srp, aac)" in caplog.text
    assert "sound 3" not in caplog.text and "the default" not in caplog.text
    kept = [track.tags.get("language") for track in list_tracks(open_source(tmp_path / "o.mov")).of_kind("audio")]
    assert kept == [None, None, "sve", "eng"]  # as QuickTime calls Swedish
    caplog.clear()
    retime_video(path, tmp_path / "o.avi", fps=48, **NEAREST)
    assert "the language of sound 4 (eng, aac); that sound 4 (eng, aac) is the default" in caplog.text
    caplog.clear()
    retime_video(path, tmp_path / "o.mp4", fps=48, **NEAREST)
    assert "language" not in caplog.text


@pytest.mark.parametrize("options", [{"codec": "prores"}, {"crf": 99}, {"pix_fmt": "nothing"}])
def test_options_that_cannot_be_are_found_before_a_film_is_opened(tmp_path: Path, options: dict) -> None:
    (tmp_path / "no_film.mp4").write_text("this is no film")
    with pytest.raises(VideoError) as raised:
        retime_video(tmp_path / "no_film.mp4", tmp_path / "o.mp4", fps=48, video=module.VideoOptions(**options))
    assert "not a video" not in str(raised.value)


def test_more_frames_than_an_animation_can_hold_are_refused_at_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_film(tmp_path / "a.mp4", film(12))
    monkeypatch.setattr(module, "IN_MEMORY", 64 * 48 * 3 * 20)
    retime_video(path, tmp_path / "o.gif", fps=24, **NEAREST)
    with pytest.raises(VideoError, match=r"o.webp: .* from memory, and 24 frames of 64x48 are too many: name a video"):
        retime_video(path, tmp_path / "o.webp", fps=48, **NEAREST)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.mp4", "o.gif", "o.gif.inbetween.json"]


def test_seconds_are_the_same_inside_of_a_clip_and_beside_it(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mp4", film(4))
    calls, record = [], module.manifests.record
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.manifests, "record", lambda **parts: calls.append(parts) or record(**parts))
        retime_video(path, tmp_path / "o.mp4", fps=48, **NEAREST)
    assert len(calls) == 1


def hdr10(path: Path, light: Light = LIGHT) -> Path:
    with av.open(str(path), "w") as container:
        params = f"log-level=error:bframes=0:{light.x265()}"
        stream = container.add_stream("libx265", rate=24, options={"x265-params": params})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p10le"
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = 9, 16, 9
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((96, 64), 300 + 40 * number, np.uint16), format="yuv420p10le")
            frame.pts, frame.time_base = number, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def light_in(path: Path) -> Light | None:
    with av.open(str(path)) as container:
        return light_of(next(container.decode(video=0)))


def test_the_display_and_the_light_levels_of_hdr10_are_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = hdr10(tmp_path / "a.mp4")
    assert light_in(path) == LIGHT == open_source(path).colour.light
    for name in ("o.mp4", "o.mkv"):
        retime_video(path, tmp_path / name, fps=48, **NEAREST)
        assert light_in(tmp_path / name) == LIGHT
    retime_video(path, tmp_path / "o.webm", fps=48, **NEAREST)  # AV1
    webm = light_in(tmp_path / "o.webm")
    assert webm is not None and webm.content == LIGHT.content and webm.display is not None
    assert np.allclose(webm.display, LIGHT.display, rtol=0.002, atol=2)
    assert "light levels" not in caplog.text
    retime_video(path, tmp_path / "p.mov", fps=48, video=module.VideoOptions(codec="prores"), **NEAREST)
    assert "what HDR10 says of its display and light levels is left out" in caplog.text
    retime_video(path, tmp_path / "s.avi", fps=48, **NEAREST)
    assert light_in(tmp_path / "s.avi") is None, "it is tone-mapped"


def test_metadata_of_single_frames_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["DOVI_METADATA", "DOVI_RPU_BUFFER", "DYNAMIC_HDR_PLUS", "SEI_UNREGISTERED"]
    monkeypatch.setattr(side_data, "side_data_of", lambda frame: dict.fromkeys(names, b""))
    frame = av.VideoFrame(16, 16, "yuv420p")
    assert dynamic_metadata(frame) == ["Dolby Vision", "HDR10+"]
    assert light_of(frame) is None
