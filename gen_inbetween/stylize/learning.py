"""Learning of a style: resumable, watched, and stopped without loss."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from tqdm import tqdm

from gen_inbetween.runtime.processes import Stopped
from gen_inbetween.stylize import model_file as files
from gen_inbetween.stylize.learner import Learner
from gen_inbetween.stylize.lesson import Lesson, preview_of
from gen_inbetween.stylize.sequence import Sequence256
from gen_inbetween.stylize.settings import Look, StyleSettings

log = logging.getLogger("gen_inbetween")

SAVE_EVERY = 20.0  # seconds between states of a learner on disk
NOWHERE = Sequence256("", "")  # of a style that is not kept
OnLook = Callable[[Look, Callable[[], Image.Image]], "bool | None"]


def learn(
    lesson: Lesson,
    settings: StyleSettings,
    seed: int,
    device: torch.device,
    *,
    sequence: Sequence256 = NOWHERE,
    file: Path | None = None,
    on_look: OnLook | None = None,
    progress: bool = False,
) -> Learner:
    """Learn, going on with `file` where it holds the state of the same; the best network so far is kept there.

    on_look: called with each look and a function that draws a preview; returning True ends learning.
    Ctrl-C ends learning, too: what is best by then is used.
    """
    learner = Learner(lesson.examples, lesson.judges, settings, seed, device)
    if file is not None and files.go_on(learner, sequence, file):
        log.info("%s: learnt already, in %d steps; another --seed or --style learns anew", file, learner.step)
        return learner
    if learner.step:
        log.info("%s: going on after %d steps, which an earlier run took", file, learner.step)
    saved = time.monotonic()
    bar = tqdm(total=round(60 * settings.minutes), unit="s", desc="learning", disable=not progress)

    def look_on(look: Look) -> bool:
        nonlocal saved
        bar.n = min(bar.total, round(learner.seconds))
        error = "" if look.error is None else f", error {look.error:.2f}, best {learner.best_error:.2f}"
        bar.set_postfix_str(f"step {look.step}{error}")
        if file is not None and time.monotonic() - saved > SAVE_EVERY:
            files.save(learner, sequence, file, finished=False)
            saved = time.monotonic()
        return bool(on_look and on_look(look, lambda: preview_of(learner.best_network(), lesson, settings.tile)))

    try:
        learner.learn(look_on)
    except Stopped:  # the process shall end; the same command goes on from here
        if file is not None:
            files.save(learner, sequence, file, finished=False)
        raise
    except KeyboardInterrupt:
        log.warning("learning stopped at step %d; the best so far is used (Ctrl-C again stops all)", learner.step)
        if not learner.looks:
            learner.look()
    finally:
        bar.close()
    if file is not None:
        files.save(learner, sequence, file, finished=True)
    return learner
