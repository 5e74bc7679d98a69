"""Evaluation runs: from a configuration to tables, in resumable phases.

    generate -> score -> compare sets -> write down

Every finished piece is a file, written whole, with the hash of what it was made from: one that was changed since is
named, set aside and made again. A killed run therefore goes on where it was, a run with one metric more
computes that metric, and several processes need nothing from each other but to wait between the phases.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image
from tqdm import tqdm

from gen_inbetween.evaluation.clip_store import EvalClip, write_clip
from gen_inbetween.evaluation.context import EvalContext, open_context
from gen_inbetween.evaluation.pairs.pair import PairError
from gen_inbetween.evaluation.report.settings import check_copy
from gen_inbetween.evaluation.results import write_results
from gen_inbetween.evaluation.samplers import open_with_motion
from gen_inbetween.evaluation.scoring import score_clip
from gen_inbetween.evaluation.set_distances import SetComparison, compare_sets, plan_comparisons
from gen_inbetween.evaluation.settings import EvalRun, EvaluationError, inputs_of
from gen_inbetween.runtime.files import OutputError
from gen_inbetween.runtime.processes import gather, share_of
from gen_inbetween.runtime.remote.ray_engine import Cluster, spread_numbers
from gen_inbetween.runtime.traces.leftovers import sweep_below

if TYPE_CHECKING:
    from gen_inbetween.evaluation.methods import Method

log = logging.getLogger("gen_inbetween")
Piece = TypeVar("Piece", EvalClip, SetComparison)  # of work


@dataclass(frozen=True)
class Failure:
    """What could not be generated, scored or compared, and why. None: not this method's or this pair's alone."""

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


def evaluate(run: EvalRun, cluster: Cluster | None = None, *, overwrite: bool = False) -> Outcome:
    """Run an evaluation, or the part of it that is still missing; everything is in `run.output` afterwards.

    cluster: Ray's, which does the work of each phase; all its machines must see the same folders. None: this process,
        or those of a launcher. overwrite: the copy of the report may replace a file of somebody else, too.

    Raises:
        EvaluationError and others: as `bench.open_bench`; in strict mode, for the first clip that fails.
        OutputError: the disk is full or closed to us.
    """
    if run.report.markdown is not None:
        check_copy(run.report.markdown, inputs_of(run), overwrite=overwrite)
    context = open_context(run)
    if context.is_main:
        sweep_below(run.output)
    if cluster is not None:
        return evaluate_on_ray(run, context, cluster)
    failures = work_through(context, "generate", clips_to_generate(context), generate_clip)
    open_with_motion.cache_clear()  # the metrics' networks may need the memory
    failures += work_through(context, "score", clips_to_score(context), score_clip)
    comparisons = plan_comparisons(context)
    failures += work_through(context, "compare", comparisons, compare_sets)
    unique = tuple(dict.fromkeys(failures))
    if not context.is_main:
        return Outcome(None, unique)
    return Outcome(write_results(context, comparisons, [asdict(failure) for failure in unique]), unique)


def evaluate_on_ray(run: EvalRun, context: EvalContext, cluster: Cluster) -> Outcome:
    """`evaluate` on a cluster: one phase after the other, its pieces in any order."""
    failures: list[Failure] = []
    for phase, (plan, _) in PHASES.items():
        work = plan(context)
        reasons = spread_numbers(len(work), partial(open_phase, run, phase), cluster)
        for piece, why in zip(work, reasons, strict=True):
            method, pair, seed = piece.names
            failures += [Failure(method, pair, seed, why)] if why else []
        if run.strict and failures:
            raise EvaluationError(f"strict: {failures[0]}")
    unique = tuple(dict.fromkeys(failures))
    return Outcome(write_results(context, plan_comparisons(context), [asdict(failure) for failure in unique]), unique)


def open_phase(run: EvalRun, phase: str) -> Callable[[int], str]:
    """What an actor does in a phase: a function of a piece's number, which says why where it fails."""
    context = open_context(run)
    plan, do = PHASES[phase]
    work = plan(context)

    def work_on(number: int) -> str:
        do(context, work[number])
        return ""

    return work_on


def clips_to_score(context: EvalContext) -> list[EvalClip]:
    """Every clip, the true ones too."""
    return list(context.clips(*context.methods, context.true_clips))


def clips_to_generate(context: EvalContext) -> list[EvalClip]:
    """Every clip that is ours to make, those of one model in a row: it is opened once for each."""
    groups: dict[str | None, list[Method]] = {}
    for method in context.methods:
        if method.generates:
            groups.setdefault(method.model, []).append(method)
    return [clip for methods in groups.values() for clip in context.clips(*methods)]


def generate_clip(context: EvalContext, clip: EvalClip) -> None:
    """Generate and keep one clip through the keyframes of its true clip, unless it exists."""
    if clip.exists():
        return
    clip.set_aside_if_broken()
    frames = context.truths(clip.pair).frames
    keyframes = [Image.fromarray(frames[position]) for position in clip.pair.positions]
    write_clip(clip, clip.method.generate(clip.pair, keyframes, clip.seed))


PHASES: dict[str, tuple[Callable[[EvalContext], list[Any]], Callable[[EvalContext, Any], None]]] = {
    "generate": (clips_to_generate, generate_clip),
    "score": (clips_to_score, score_clip),
    "compare": (plan_comparisons, compare_sets),
}


def work_through(
    context: EvalContext, title: str, work: Sequence[Piece], do: Callable[[EvalContext, Piece], None]
) -> list[Failure]:
    """Do this process's share of the work, then wait for the others.

    Returns:
        The failures of all processes, the same list in each.

    Raises:
        EvaluationError: in strict mode, for the first failure. OutputError: as `do` raises it.
    """
    state, failures = context.processes, []
    share = share_of(work, state)
    for piece in tqdm(share, title, disable=not (share and context.is_main)):
        try:
            do(context, piece)
        except OutputError:  # no other clip would find a place either
            raise
        except Exception as error:  # one clip must not cost the thousand after it; it is named and counted
            failures.append(describe_failure(piece, error))
            if context.run.strict:
                raise EvaluationError(f"strict: {failures[-1]}") from error
            log.debug("%s", failures[-1], exc_info=True)
    return gather(failures, state)


def describe_failure(piece: EvalClip | SetComparison, error: Exception) -> Failure:
    """Who failed and why. A true clip that cannot be opened is one failure, however many methods wanted it."""
    method, pair, seed = piece.names
    why = str(error) or type(error).__name__
    return Failure(None, pair, None, why) if isinstance(error, PairError) else Failure(method, pair, seed, why)
