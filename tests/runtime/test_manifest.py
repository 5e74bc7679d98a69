"""Manifests: written whole, read strictly."""

from __future__ import annotations

import pytest

from gen_inbetween.runtime import manifest, outputs


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
