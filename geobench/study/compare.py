"""Comparing a study: boards of what is in the catalog."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from geobench.board.compare import compare
from geobench.board.comparison import Comparison
from geobench.board.competitor import Competitor, over_seeds
from geobench.board.model import Board
from geobench.diagnostics import against_law, bins
from geobench.entries.recipes import FOREIGN
from geobench.entries.summaries import DatasetSummary
from geobench.errors import GeobenchError
from geobench.nodes.engine import Engine, Known
from geobench.nodes.node import Node
from geobench.study.graph import REFERENCE, Brought, Cell, Graph, Row, StudyGraph
from geobench_catalog import Entry


@dataclass
class Outcome:
    """What a run has made: boards to look at, and what went wrong."""

    boards: list[Board] = field(default_factory=list)
    failures: list[GeobenchError] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    """What each board is of, where that was asked for."""


def boards(
    study: StudyGraph,
    engine: Engine,
    binned: str | None = None,
    *,
    only: str | None = None,
    by_model: bool = False,
) -> Outcome:
    """Compare what is in the catalog; what is missing is reported.

    `only`: the board of this experiment; default: of each.
    `binned`: a board for each bin of the cases (`diagnostics.bins`), by what was known of them.
    `by_model`: a row is a model, the mean over its seeds, and not one training.
    """
    outcome = Outcome()
    for name in [only] if only else study.experiments:
        graph = study.of(name)
        dataset = engine.find(graph.dataset)
        with engine.catalog.index.still():
            competitors = _found(study, engine, name, graph, outcome) if dataset else []
        labels = {competitor.label for competitor in competitors}
        if dataset is None or not {REFERENCE, study.study.baseline} <= labels:
            raise GeobenchError(
                f"the catalog {engine.catalog.url} holds no scores of the reference and the "
                f"baseline of '{name}'. Run the study first: geobench run."
            )
        competitors = readable(study, name, competitors, outcome)
        if by_model:
            competitors = over_seeds(competitors)
        if binned is None:
            board = board_of(study, name, dataset, competitors)
            outcome.boards.append(board)
            outcome.comparisons.append(_comparison(study, engine, board, dataset, competitors))
            continue
        for part in bins.of(binned, engine, competitors[0].forecast):
            board = board_of(study, name, dataset, competitors, part.indices.tolist())
            board.title += f", {part.title} of the cases"
            outcome.boards.append(board)
    return outcome


def _found(
    study: StudyGraph, engine: Engine, name: str, graph: Graph, outcome: Outcome
) -> list[Competitor]:
    """Return the competitors whose scores are in the catalog; guests are scored now."""
    competitors: list[Competitor] = []
    known: Known = {}
    for row in graph.rows:
        guest = isinstance(row.cell, Brought) and row.cell.guest
        try:
            (drawn,) = engine.find_all([row.forecast], known)
            if guest and drawn is None:
                continue  # it is of another dataset
            if guest:
                engine.ensure_all(row.scores, known)
            else:
                engine.find_all(row.nodes(), known)
            if not all(known[node] for node in _needed(study, row)):
                raise GeobenchError(f"{row.cell.label} (seed {row.cell.seed}) is not done")
            competitors.append(competitor(study, engine, row, known))
        except GeobenchError as error:
            outcome.failures.append(of_experiment(name, error))
    return competitors


def _needed(study: StudyGraph, row: Row) -> list[Node]:
    """Nodes without which a row is not on a board: scores by law forms may be missing."""
    return [row.forecast, *row.scores[: len(study.scorers)]]


def competitor(
    study: StudyGraph, engine: Engine, row: Row, known: Mapping[Node, Entry | None]
) -> Competitor:
    """Return a row's entries: scores by the study's scorers, and by their law forms."""
    drawn = known[row.forecast]
    if drawn is None:
        raise TypeError("a row is compared before it was forecast.")
    scores = [known[node] for node in row.scores]
    return Competitor(
        row.cell.label,
        row.cell.seed,
        engine.catalog.parent(drawn, "forecaster"),
        drawn,
        [score for score in scores[: len(study.scorers)] if score],
        against_law={} if row.cell.label == REFERENCE else study.forms.of(scores),
    )


def _comparison(
    study: StudyGraph,
    engine: Engine,
    board: Board,
    dataset: Entry,
    competitors: Sequence[Competitor],
) -> Comparison:
    """Everything that a board is of, the competitors in the order of its rows."""
    reference, *others = competitors
    by_forecast = {str(competitor.forecast.reference): competitor for competitor in others}
    realised = engine.dataset(dataset)
    return Comparison(
        board,
        dataset,
        study.scorers,
        reference,
        [by_forecast[row.entries["forecast"]] for row in board.rows],
        realised.spec,
        realised.outcome,
        {
            name: offer.summary
            for (kind, name), offer in engine.registry.offers.items()
            if kind == "model"
        },
        study.forms.forms if realised.exact else (),
    )


def exact(
    study: StudyGraph, engine: Engine, comparison: Comparison, exchanges: int
) -> dict[str, list[tuple[str, float, float, float, float]]]:
    """Exact tests of each row that is not given the law, by forecast: score, value, law, p, q.

    The study's scorers test; a forecast with failed members is not tested.
    """
    tested = {}
    law = engine.forecast(comparison.reference.forecast)
    for row, competitor in zip(comparison.board.rows, comparison.competitors, strict=True):
        if row.knows_law or row.failed:
            continue
        forecast = engine.forecast(competitor.forecast)
        verdicts = against_law.verdicts(
            engine, forecast, law, study.scorers, exchanges, classify=False
        )
        tested[row.entries["forecast"]] = [
            (verdict.score, verdict.value, verdict.law, verdict.p, verdict.q)
            for verdict in verdicts
        ]
    return tested


def board_of(
    study: StudyGraph,
    name: str,
    dataset: Entry,
    competitors: Sequence[Competitor],
    cases: list[int] | None = None,
) -> Board:
    """Compare the competitors, of which the first is the reference, over all or some cases."""
    reference, *others = competitors
    baseline = study.study.baseline
    labels = [cell.label for cell in study.cells if isinstance(cell, Cell)]
    return compare(
        name,
        study.experiments[name].title,
        dataset,
        study.scorers,
        reference=reference,
        baseline=next(competitor for competitor in others if competitor.label == baseline),
        competitors=others,
        cases=cases,
        forms=() if DatasetSummary.of(dataset).inexact_law else study.forms.forms,
        seeds_of=dict.fromkeys(labels, study.study.seeds),
        deterministic={
            competitor.label for competitor in others if _deterministic(study, competitor)
        },
    )


def _deterministic(study: StudyGraph, competitor: Competitor) -> bool:
    """Whether the model says itself that all its members are equal."""
    recipe = competitor.forecaster.record.recipe["model"]
    if recipe.get("use") == FOREIGN:
        return False
    try:
        return study.registry.model(recipe).deterministic
    except GeobenchError:  # a model of a plugin that is not here any more
        return False


def readable(
    study: StudyGraph, name: str, competitors: Sequence[Competitor], outcome: Outcome
) -> list[Competitor]:
    """Read all scores; a model of which one is damaged is named, and left out."""
    kept = []
    for competitor in competitors:
        try:
            competitor.read_all(like=competitors[1])
            kept.append(competitor)
        except GeobenchError as error:
            if competitor.label in (REFERENCE, study.study.baseline):
                raise
            left = GeobenchError(
                f"{competitor.label} (seed {competitor.seed}) is left out: {error}"
            )
            outcome.failures.append(of_experiment(name, left))
    return kept


def of_experiment(name: str, error: GeobenchError) -> GeobenchError:
    """Return an error that names the experiment it is of."""
    named = GeobenchError(f"{name}: {error}")
    named.__cause__ = error
    return named
