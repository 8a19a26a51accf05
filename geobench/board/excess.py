"""Excess over the true distribution: from draws of it where a score has a law form, else paired.

A law form (`Scorer.law_form`) estimates E[score(members, y)] - E[score(law, y)] over outcomes y of
the true distribution, without the noise of the one outcome. For a score without one, or where what
stands for the true distribution is not exact, the scores of model and reference against the
outcome are subtracted, case by case.

For a model that does not know the outcome both have the same expectation: given what models know,
the outcome is one more draw. So the outcome's excess less the law form's is 0 in expectation for
every honest model, good or bad. It is below 0 for one that has seen the outcome, which the law form
alone cannot tell: members that equal the outcome are far from the true distribution. The law form
itself is never below 0 in expectation, unless members depend on the draws or on one another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geobench.contracts.scorer import Scorer, excess
from geobench.errors import GeobenchError

if TYPE_CHECKING:
    from geobench.board.competitor import Competitor
    from geobench.statistics.estimates import Draws
    from geobench.statistics.resampling import Resampling

OUTCOME = "outcome"
SKEWED = 2.0
"""Standard errors by which the law form must be farther below 0 than others, to be noticed."""


@dataclass(frozen=True)
class Excess:
    """One column's excess: draws `(run, draw, lead_time)`, the reference's runs first.

    `source`: the name of the law form, or 'outcome'. `beyond`: the outcome's excess less the law
    form's; None without a law form.
    """

    source: str
    runs: "Draws"
    beyond: "Draws | None" = None

    def too_good(self) -> "list[tuple[Draws, float]]":
        """What is never below 0 in expectation, for an honest model.

        Each with further standard errors that it must be below 0 to be noticed. At equality the law
        form is skewed to the right, so that a low mean comes with a small estimate of its error: of
        64 cases of one site 32 in 10,000 equal models are 4 of them below 0, and 1 is 6.
        """
        if self.beyond is None:
            return [(self.runs, 0.0)]
        return [(self.runs, SKEWED), (self.beyond, 0.0)]


def complete(index: int, competitors: "Sequence[Competitor]") -> bool:
    """Whether every run has a score by the law form of the scorer at this index."""
    return all(index in run.against_law for entry in competitors for run in entry.runs)


def excesses(
    scorer: Scorer,
    form: Scorer | None,
    index: int,
    every: "Sequence[Competitor]",
    scores: "dict[str, Draws]",
    resampling: "Resampling",
    cases: "Sequence[int] | None",
) -> list[Excess]:
    """Return the excess of every run, for each column of `scores` against the outcome.

    `every` begins with the reference; `scores` are draws `(run, draw, lead_time)`.
    """
    outcome = [excess(scorer.orientation(name), score, score[0]) for name, score in scores.items()]
    if form is None or not complete(index, every[1:]):
        return [Excess(OUTCOME, runs) for runs in outcome]
    by_law = _by_law(form, index, every, resampling, cases)
    if len(by_law) != len(outcome):
        raise GeobenchError(
            f"the scorer {scorer.name} has {len(outcome)} columns and its law form {form.name} "
            f"{len(by_law)}. Give both the same, in the same order."
        )
    return [
        Excess(form.name, runs, beyond=other - runs)
        for runs, other in zip(by_law, outcome, strict=True)
    ]


def _by_law(
    form: Scorer,
    index: int,
    every: "Sequence[Competitor]",
    resampling: "Resampling",
    cases: "Sequence[int] | None",
) -> "list[Draws]":
    import numpy as np

    from geobench import scoring

    reference, *competitors = every
    by_law = statistics(index, competitors, cases)
    nothing = len(reference.runs)  # lies between the true distribution and itself
    return [
        np.concatenate([np.zeros((nothing, *draws.shape[1:])), draws])
        for draws in scoring.scores(form, by_law, resampling).values()
    ]


def statistics(
    index: int, competitors: "Sequence[Competitor]", cases: "Sequence[int] | None" = None
) -> "list[Any]":
    """Statistics of every run, by the law form of the scorer at this index.

    Default: of all cases.
    """
    first = competitors[0]
    by_run = [
        run.statistics(index, like=first, against_law=True)
        for entry in competitors
        for run in entry.runs
    ]
    return by_run if cases is None else [dataset.isel(init_time=list(cases)) for dataset in by_run]


def described(
    columns: Sequence[tuple[str, str]], draws: int, missing: Sequence[str] = ()
) -> list[str]:
    """Say where excess and skill come from, of columns (scorer, source)."""
    lawful = [name for name, source in columns if source != OUTCOME]
    others = [name for name, source in columns if source == OUTCOME]
    sentences = []
    if lawful:
        against = f"{draws} draws of the true distribution per case"
        sentences.append(f"Excess and skill are estimated from {against}: {_listed(lawful)}.")
        if others:
            sentences.append(
                f"Excess and skill are estimated from the one outcome: {_listed(others)}."
            )
    elif others:
        sentences.append(
            "Excess and skill of all scores are estimated from the one outcome per case."
        )
    if missing:
        sentences.append(
            f"Scores against the true distribution are missing ({_listed(missing)}). Run 'geobench "
            f"run' with this study: it adds them alone, and narrows the intervals."
        )
    return sentences


def _listed(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
