"""`inbetween app`: what it refuses before it serves."""

import pytest

pytest.importorskip("gradio", reason='pip install "gen_inbetween[app]"')


@pytest.mark.parametrize(
    ("options", "login", "said"),
    [
        (["--set", "max_mb=0"], None, "max_mb"),
        (["--set", "browser=1"], None, "browser"),
        (["--port", "0"], None, "--port"),
        ([], "ann", "expected name:password"),
    ],
)
def test_bad_options_are_named(inbetween, monkeypatch, tmp_path, options, login, said):
    if login:
        monkeypatch.setenv("GEN_INBETWEEN_LOGIN", login)
    status, _, error = inbetween("app", "--folder", tmp_path / "page", "--no-browser", *options)
    assert status == 2 and said in error and error.count("\n") <= 1
    assert not (tmp_path / "page").exists()
