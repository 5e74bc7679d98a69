"""Messages to people: what is said once, and what is not said."""

from __future__ import annotations

import subprocess
import sys

from gen_inbetween.runtime.messages import warn_once


def test_a_notice_is_given_once(caplog):
    warn_once.cache_clear()
    for _ in range(3):
        warn_once("only once")
    assert caplog.text.count("only once") == 1


def test_importing_the_pipeline_says_nothing():
    code = "from gen_inbetween.diffusion.pipeline import InbetweenPipeline"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torchvision" not in run.stderr
