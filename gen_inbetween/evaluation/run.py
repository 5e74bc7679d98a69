"""An evaluation from its configuration to its tables, in phases that each process shares and any run can resume.

    generate -> score -> compare sets -> write down

Every finished piece is a file, written whole. A killed run therefore goes on where it was, a run with one metric more
computes that metric, and several processes need nothing from each other but to wait between the phases.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

from PIL import Image
from tqdm import tqdm

from gen_inbetween.evaluation.clip_store import asked, clip_folder, write_clip
from gen_inbetween.evaluation.context import Bench, Item, open_bench
from gen_inbetween.evaluation.methods import Baseline, FolderMethod, Method
from gen_inbetween.evaluation.pairs.pair import PairError
from gen_inbetween.evaluation.results import write_results
from gen_inbetween.evaluation.samplers import Sampler, open_with_motion
from gen_inbetween.evaluation.scoring import record_of, score_clip
from gen_inbetween.evaluation.set_distances import Cell, compare_sets, open_cells
from gen_inbetween.evaluation.settings import EvalRun, EvaluationError
from gen_inbetween.runtime.files import OutputError

log = logging.getLogger("gen_inbetween")
Work = TypeVar("Work", Item, Cell)


@dataclass(frozen=True)
class Failure:
    """What could not be made, scored or compared, and why. None: not this method's or this pair's alone."""

    method: str | None
    pair: str | None
    seed: int | None
    why: str

    def __str__(self) -> str:
        place = (self.method, self.pair, None if self.seed is None else f"seed {self.seed}")
        return f"{', '.join(part for part in place if part is not None)}: {self.why}"


@dataclass(frozen=True)
class Outcome:
    """What an evaluation came to."""

    clips: int | None  # rows of results.jsonl; None in all processes but the main one, which writes it
    failures: tuple[Failure, ...]  # of all processes


def evaluate(run: EvalRun) -> Outcome:
    """Run an evaluation, or the part of it that is still missing; everything is in `run.output` afterwards.

    Raises:
        EvaluationError and others: as `bench.open_bench`; in strict mode, for the first clip that fails.
        OutputError: the disk is full or closed to us.
    """
    bench = open_bench(run)
    failures = work_through(bench, "generate", clips_to_make(bench), make_clip)
    open_with_motion.cache_clear()  # the metrics' networks may need the memory
    failures += work_through(bench, "score", list(bench.items(*bench.methods, bench.true_clips)), score_clip)
    cells = open_cells(bench)
    failures += work_through(bench, "compare", cells, compare_sets)
    unique = tuple(dict.fromkeys(failures))
    clips = write_results(bench, cells, [asdict(failure) for failure in unique]) if bench.is_main else None
    return Outcome(clips, unique)


def clips_to_make(bench: Bench) -> list[Item]:
    """Every clip that is ours to make, those of one motion in a row: the model is opened once for each."""
    groups: dict[str | None, list[Method]] = {}
    for method in bench.methods:
        if not isinstance(method, FolderMethod):
            groups.setdefault(f"{method.motion}" if isinstance(method, Sampler) else None, []).append(method)
    return [item for methods in groups.values() for item in bench.items(*methods)]


def make_clip(bench: Bench, item: Item) -> None:
    """Make and keep one clip between the ends of its true clip, unless it is there."""
    if record_of(bench, item) is not None or not isinstance(item.method, Sampler | Baseline):
        return
    frames = bench.truths(item.pair).frames
    frame0, frame1 = (Image.fromarray(frames[index]) for index in (0, -1))
    made = item.method.make(item.pair, frame0, frame1, item.seed)
    folder = clip_folder(bench.run.output, item.method, item.pair, item.seed)
    write_clip(folder, made, asked(item.method, item.pair, item.seed))


def work_through(bench: Bench, title: str, work: Sequence[Work], do: Callable[[Bench, Work], None]) -> list[Failure]:
    """Do this process's share of the work, then wait for the others.

    Returns:
        The failures of all processes, the same list in each.

    Raises:
        EvaluationError: in strict mode, for the first failure. OutputError: as `do` raises it.
    """
    state, failures = bench.processes, []
    mine = work if state is None else work[state.process_index :: state.num_processes]
    for each in tqdm(mine, title, disable=not (mine and bench.is_main)):
        try:
            do(bench, each)
        except OutputError:  # no other clip would find a place either
            raise
        except Exception as error:  # one clip must not cost the thousand after it; it is named and counted
            failures.append(failure_of(each, error))
            if bench.run.strict:
                raise EvaluationError(f"strict: {failures[-1]}") from error
            log.debug("%s", failures[-1], exc_info=True)
    return failures if state is None else gathered(failures)


def failure_of(work: Item | Cell, error: Exception) -> Failure:
    """Who failed and why. A true clip that cannot be opened is one failure, however many methods wanted it."""
    why = str(error) or type(error).__name__
    if isinstance(work, Cell):
        return Failure(work.method.label, None, None, why)
    if isinstance(error, PairError):
        return Failure(None, work.pair.name, None, why)
    return Failure(work.method.label, work.pair.name, work.seed, why)


def gathered(failures: list[Failure]) -> list[Failure]:
    """Those of all processes; each waits here for the slowest."""
    from accelerate.utils import gather_object

    everyone: list[Failure] = gather_object(failures)
    return everyone
