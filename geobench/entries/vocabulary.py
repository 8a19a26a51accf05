"""What the entries of a catalog mean, as the catalog is told: kinds, columns, scores, skill."""

from collections.abc import Iterator, Mapping
from typing import Any

from geobench.entries import recipes, skill, summaries
from geobench_catalog import Column, Kind, Measure, Record, Reference, Vocabulary

_GUIDE = """
Kinds: dataset, forecaster, forecast, score, events, control.

    dataset = lorenz95   an entry's dataset, by its name; a value with '/' or '@' is its reference:
                         dataset/lorenz95@2
    model scorer         what made it, by its label
    seed                 the number of its training, or the seed of its dataset

    forecaster.model.width > 64    forecasters, their forecasts, and the scores of these

Scores are measures, and their columns are its parts. The time is the lead time.

    crps@5d < 2                 score at a lead time: 5d, 120h, 1.5d
    crps.skill@5d > 0.8         its skill: 0 is climatology, 1 the true distribution
    law-crps.skill@5d > 0.8     the same by draws of the true distribution, as boards show it
    brier[90%]@3d < 0.1         in a column with '90%' in its name
    brier[90%].skill@3d > 0.5

For example:

    kind = forecast and dataset = lorenz95 and crps.skill@5d > 0.8
    kind in (forecaster, forecast) and (model.width >= 128 or not tag = draft)
    kind = dataset and size > 1.5GiB and created <= 2026-11-24
    name ~ lorenz* and alias ~ *@paper
"""


def _dataset(reference: Reference, _: Record) -> Reference | None:
    return reference if reference.kind == "dataset" else None


def _seed(reference: Reference, record: Record) -> Any:
    return record.recipe.get("seed") if reference.kind in ("dataset", "forecaster") else None


def _scores(record: Record) -> Iterator[Measure]:
    """The numbers of a score; whatever an odd record holds in their place gives none."""
    scorer = record.labels.get("scorer", "")
    hours, scores = record.summary.get("lead_hours"), record.summary.get("scores")
    if isinstance(hours, list) and isinstance(scores, Mapping):
        for column, values in scores.items():
            for lead, value in zip(hours, values, strict=False):
                yield Measure(scorer, str(column), lead, value)


_OF_FORECAST = {"forecast": "forecast", "dataset": "dataset"}
_OF_SCORE = _OF_FORECAST | {"law": "forecast", "control.*": "control"}
_KINDS = (
    Kind("dataset", {}, recipes.DatasetRecipe, summaries.DatasetSummary),
    Kind(
        "forecaster",
        {"dataset": "dataset", "weights": "forecaster"},
        recipes.ForecasterRecipe,
        summaries.ForecasterSummary,
    ),
    Kind(
        "forecast", {"forecaster": "forecaster"}, recipes.ForecastRecipe, summaries.ForecastSummary
    ),
    Kind("score", _OF_SCORE, recipes.ScoreRecipe, summaries.ScoreSummary),
    Kind("events", _OF_FORECAST, summary=summaries.EventsSummary),
    Kind("control", {"dataset": "dataset"}, recipes.ControlRecipe, summaries.ControlSummary),
)

VOCABULARY = Vocabulary(
    kinds=_KINDS,
    columns=(
        Column("dataset", _dataset, "reference", inherited=True),
        Column("model", lambda _, record: record.labels.get("model")),
        Column("scorer", lambda _, record: record.labels.get("scorer")),
        Column("seed", _seed, "integer", inherited=True),
    ),
    measures=_scores,
    measured_in="scores",
    derived={"skill": "skill"},
    former={"share": "skill"},
    former_tables={
        "scores": (
            "measures",
            """SELECT entry, name AS scorer, part AS "column", hours AS lead_hours, value,
            skill AS share FROM measures""",
        )
    },
    derive=skill.work_out,
    doors={"forecast": "as a forecast", "forecaster": "as a forecaster"},
    packages=("geobench-twin", "torch", "xskillscore"),
    version=2,
    plugins="geobench",
    hint="'geobench simulate'",
    guide=_GUIDE,
)
