"""Messages to people: what is said once, and what is not said."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading

import pytest

from gen_inbetween.runtime.messages import collected_notices, collecting_notices, warn_once

log = logging.getLogger("gen_inbetween")


def test_a_notice_is_given_once(caplog):
    warn_once.cache_clear()
    for _ in range(3):
        warn_once("only once")
    assert caplog.text.count("only once") == 1


@pytest.mark.parametrize("level", [logging.NOTSET, logging.INFO, logging.ERROR])
def test_notices_are_collected_whatever_is_shown_and_shown_as_before(level, caplog):
    @collecting_notices
    def work():
        log.debug("for programmers")
        log.info("told")
        log.warning("warned of")
        other = threading.Thread(target=log.info, args=("of another thread",))
        other.start()
        other.join()
        return collected_notices()

    log.setLevel(level)
    try:
        shown = log.getEffectiveLevel()
        assert work() == ["told", "warned of"] and work() == ["told", "warned of"]
        assert log.level == level and not log.filters and collected_notices() == []
        assert all(record.levelno >= shown for record in caplog.records)
    finally:
        log.setLevel(logging.NOTSET)


def test_importing_the_pipeline_says_nothing():
    code = "from gen_inbetween.diffusion.pipeline import InbetweenPipeline"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "torchvision" not in run.stderr
