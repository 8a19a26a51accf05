"""Paired differences of two models of a board, score by score and lead time by lead time."""

from typing import TYPE_CHECKING, Any

from geobench.board.comparison import Comparison
from geobench.board.sampling import resampled
from geobench.board.scorecard import scores_of_cases
from geobench.contracts.scorer import IDEALS
from geobench.errors import GeobenchError
from geobench.statistics.estimates import LEVEL

if TYPE_CHECKING:
    import pandas as pd


def paired(comparison: Comparison, first: str, second: str) -> "pd.DataFrame":
    """Return the differences of two models, by their labels.

    A row for each score and lead time: the mean scores of both, `difference` (first less second),
    `low` and `high` (95 %), `p` (two-sided, Student's t over the blocks of cases that the board
    resamples), `p_corrected` (Holm, 1979, over all rows), and `better`: the label of the model that
    is better beyond doubt after the correction. Of several seeds it is the mean. Scores that are no
    mean over cases (`better` one or zero) are left out: they have no paired difference.
    """
    import numpy as np
    import pandas as pd
    from statsmodels.stats.multitest import multipletests

    rows = [_runs(comparison, label) for label in (first, second)]
    resampling = resampled(
        comparison.dataset,
        comparison.scorers[0],
        [comparison.reference, *comparison.competitors],
        form=comparison.forms[0] if comparison.forms else None,
    )
    lines: list[dict[str, Any]] = []
    for index, scorer in enumerate(comparison.scorers):
        if scorer.better in IDEALS:
            continue
        for column, values in scores_of_cases(comparison, index).items():
            one, other = (values[runs].mean(0) for runs in rows)  # (case, lead)
            error = np.sqrt(resampling.variance((one - other)[:, None])[0])
            for lead, hours in enumerate(comparison.board.lead_hours):
                means = float(one[:, lead].mean()), float(other[:, lead].mean())
                about = {"scorer": scorer.name, "score": column, "lead_hours": hours}
                line = _line(first, second, means, float(error[lead]), resampling.degrees)
                lines.append(about | line | {"sign": 1 if scorer.better == "higher" else -1})
    if not lines:
        raise GeobenchError("no score of this board has paired differences.")
    frame = pd.DataFrame(lines)
    tested = frame["p"].notna()
    frame.loc[tested, "p_corrected"] = multipletests(frame.loc[tested, "p"], method="holm")[1]
    sure, sign = frame["p_corrected"] < 1 - LEVEL, frame.pop("sign")
    frame["better"] = np.where(~sure, "", np.where(sign * frame["difference"] > 0, first, second))
    return frame


def _line(
    first: str, second: str, means: tuple[float, float], error: float, degrees: float
) -> dict[str, Any]:
    from scipy import stats

    difference = means[0] - means[1]
    names = [first, second] if first != second else [first, f"{second} again"]
    half = float(stats.t.ppf(0.5 + LEVEL / 2, degrees)) * error
    p = 2 * float(stats.t.sf(abs(difference) / error, degrees)) if error > 0 else float("nan")
    return dict(zip(names, means, strict=True)) | {
        "difference": difference,
        "low": difference - half,
        "high": difference + half,
        "p": p,
    }


def _runs(comparison: Comparison, label: str) -> list[int]:
    """Positions of a model's runs among those of all competitors."""
    labels = [run.label for competitor in comparison.competitors for run in competitor.runs]
    if label not in labels:
        names = ", ".join(dict.fromkeys(labels))
        raise GeobenchError(f"no model of this board is called '{label}'. There are: {names}.")
    return [index for index, name in enumerate(labels) if name == label]
