"""Manifests: written whole, read strictly."""

from __future__ import annotations

import pytest
from PIL import Image

from gen_inbetween.runtime import hashing, manifest, outputs
from gen_inbetween.runtime.files import OutputError


def test_written_and_read(tmp_path):
    made = {"format": manifest.FORMAT, "settings": {"seed": 3}, "versions": manifest.versions()}
    path = manifest.write(made, tmp_path / "clip.json")
    assert manifest.read(path) == made
    assert [entry.name for entry in tmp_path.iterdir()] == ["clip.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read"),
        ("{", "not a manifest"),
        ("[]", "found 'list'"),
        ('{"format": 99}', "of format 1 or 2, found 99"),
    ],
)
def test_what_is_no_manifest(tmp_path, text, message):
    path = tmp_path / "clip.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(manifest.ManifestError, match=message):
        manifest.read(path)


def test_place_beside_the_clip(tmp_path):
    assert outputs.path_beside(tmp_path / "clip.mp4") == tmp_path / "clip.mp4.inbetween.json"
    assert outputs.path_beside(tmp_path) == tmp_path / "inbetween.json"


def test_version_drift_names_old_and_present():
    here = manifest.versions()
    made = {"versions": {**here, "torch": "1.0", "gone": "2.0"}}
    assert manifest.version_drift({"versions": here}) == []
    assert manifest.version_drift(made) == [f"torch 1.0 -> {here['torch']}", "gone 2.0 -> not installed"]


def labelled(path, **parts):
    """A picture with a manifest inside of it, and that manifest."""
    made = {"format": manifest.FORMAT, "settings": {"seed": 3}, "versions": manifest.versions(), **parts}
    Image.new("RGB", (8, 8)).save(path)
    outputs.embed(made, path)
    return made


def test_the_manifest_inside_of_a_clip_counts(tmp_path):
    clip = tmp_path / "c.png"
    made = labelled(clip, created_at="2026-11-28T10:00:00+00:00", seconds=3)
    lasts = {part: made[part] for part in ("format", "settings", "versions")}
    assert manifest.read(clip) == manifest.embedded(clip) == lasts
    manifest.write(made, outputs.path_beside(clip))
    assert manifest.read(clip) == made, "the one beside says more of the same"
    manifest.write({**made, "settings": {"seed": 4}}, outputs.path_beside(clip))
    assert manifest.read(clip) == lasts, "the one beside is of another clip"
    outputs.path_beside(clip).write_text("cut o")
    assert manifest.read(clip) == lasts


def test_the_manifest_beside_a_clip_is_made_whole_again(tmp_path):
    clip = tmp_path / "c.png"
    made = labelled(clip)
    beside = outputs.path_beside(clip)
    assert manifest.complete(clip) and not manifest.complete(clip)
    kept = {"created_at": manifest.read(beside)["created_at"], "file_sha256": hashing.file_sha256(clip)}
    assert manifest.read(beside) == {**kept, **made}
    manifest.write({**made, "settings": {"seed": 4}}, beside)
    assert manifest.complete(clip) and manifest.read(beside)["settings"] == {"seed": 3}
    beside.write_text("notes of mine")
    with pytest.raises(OutputError, match="did not make"):
        manifest.complete(clip)
    Image.new("RGB", (8, 8)).save(clip)
    assert not manifest.complete(clip), "there is none inside"


def test_the_inputs_of_a_clip_are_what_its_manifest_names(tmp_path):
    weights = tmp_path / "rife.safetensors"
    weights.touch()
    made = {
        "frames": {"frame0": {"path": "/a.png", "sha256": "0"}, "frame1": {"path": None}},
        "source": {"path": "/film.mp4", "manifest": {"frames": {"frame0": {"path": "/first.png"}}}},
        "settings": {"interpolator": str(weights), "motion": "default", "model": "pocket-2"},
    }
    assert manifest.inputs_of(made) == ["/a.png", "/film.mp4", "/first.png", str(weights)]
    assert manifest.inputs_of(None) == manifest.inputs_of({"settings": None, "frames": []}) == []
