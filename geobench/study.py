"""A study: experiments x models x seeds x scorers, run to the end, and compared."""

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PositiveInt

from geobench import bins
from geobench.board.compare import compare
from geobench.board.comparison import Comparison as Exhibit
from geobench.board.competitor import Competitor, over_seeds
from geobench.board.model import Board
from geobench.cases import check_whole
from geobench.errors import GeobenchError
from geobench.interfaces.experiment import Experiment
from geobench.interfaces.model import EnsembleModel
from geobench.interfaces.plugin import Fields, validated
from geobench.interfaces.scorer import IDEALS, Scorer
from geobench.law_forms import Forms
from geobench.registry import Registry, read_yaml
from geobench.steps import PATIENCE, BusyError, Steps
from geobench_catalog import Entry
from geobench_catalog.adoption import FOREIGN, is_imported

_LABEL = r"^[a-z0-9][a-z0-9_-]{0,60}$"
REFERENCE = "reference"


class Reference(Fields):
    """The forecast that all others are compared with: more draws of the law, and other ones."""

    use: dict[str, Any] | str = "oracle"
    members: int = Field(32, gt=1)
    seed: int = Field(1_000_000, ge=0, lt=2**63, description="another one than any model's")


class Study(Fields):
    """A study file."""

    title: str = ""
    experiments: dict[str, dict[str, Any]] = Field(
        min_length=1, description="name -> experiment; `use: NAME` starts from a named one"
    )
    models: dict[str, dict[str, Any] | str] = Field(
        min_length=1,
        description="label -> model plugin and its fields, or `forecast: REFERENCE` for one that "
        "was imported",
    )
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**63)], ...] = Field(
        (0,), min_length=1, description="one training each"
    )
    nfe: tuple[PositiveInt, ...] = Field(
        (),
        description="further rows of every model that draws a member in several evaluations of its "
        "network: with these numbers of them, at most, from one training",
    )
    members: int = Field(16, gt=1)
    scorers: tuple[dict[str, Any] | str, ...] | None = Field(
        None,
        min_length=1,
        description="the first one ranks; default: the headline scores, of which `geobench plugins "
        "list` tells",
    )
    reference: Reference = Reference()
    baseline: str = Field(
        "climatology", description="the label of the model that closes none of the gap"
    )
    keep_bits: int | None = Field(
        None,
        gt=0,
        le=23,
        description="store forecasts rounded to so many bits of the climate's standard deviation",
    )
    keep_failures: bool = Field(
        False, description="store forecasts with members that failed, ranked last"
    )


@dataclass(frozen=True)
class Cell:
    """One model with one seed on one experiment."""

    label: str
    model: EnsembleModel
    seed: int
    members: int


@dataclass(frozen=True)
class Brought:
    """A model of which there are only forecasts, one for each dataset: somebody brought them.

    `guest`: it is not in the study file, and stands on the boards of its own dataset alone.
    """

    label: str
    forecasts: tuple[str, ...]
    seed: int = 0
    guest: bool = False


@dataclass
class Outcome:
    """What a run has made: boards to look at, and what went wrong."""

    boards: list[Board] = field(default_factory=list)
    failures: list[GeobenchError] = field(default_factory=list)
    exhibits: list[Exhibit] = field(default_factory=list)
    """What each board is of, where that was asked for."""


@dataclass
class _Left:
    """What is left of an experiment in a run: places of cells, and what is made of others."""

    cells: list[int]
    drawn: dict[int, tuple[Entry, Entry]] = field(default_factory=dict)
    made: dict[int, Competitor] = field(default_factory=dict)

    def done(self) -> tuple[int, int]:
        """Count what is done, to see whether anything was."""
        return len(self.drawn), len(self.cells)


class Runner:
    """A study whose every name is resolved: what is wrong with it is found before anything runs."""

    def __init__(self, study: Study, registry: Registry) -> None:
        self.study = study
        self.experiments = {
            _label(name, "experiment"): registry.experiment(fields, f"experiment {name}")
            for name, fields in study.experiments.items()
        }
        brought = {label: _brought(recipe) for label, recipe in study.models.items()}
        models = {
            _label(label, "model"): _model(registry, label, recipe)
            for label, recipe in study.models.items()
            if not brought[_label(label, "model")]
        }
        models |= _swept(models, study.nfe)
        if study.baseline not in models:
            models = {study.baseline: registry.model(study.baseline), **models}
        if REFERENCE in study.models:
            raise GeobenchError(f"a model cannot be labelled '{REFERENCE}': rename it.")
        self.scorers = registry.headline_scorers()
        if study.scorers:
            self.scorers = [registry.scorer(recipe) for recipe in study.scorers]
        self.forms = Forms(self.scorers, registry)
        self._registry = registry
        reference = study.reference
        law = registry.model(reference.use)
        _check(study, self.scorers, law)
        # The reference and the baseline come first: without them there is nothing to compare.
        self.cells: list[Cell | Brought] = [
            Cell(REFERENCE, law, reference.seed, reference.members),
            *(
                Cell(label, model, seed, study.members)
                for label, model in sorted(models.items(), key=lambda m: m[0] != study.baseline)
                for seed in study.seeds
            ),
            *(Brought(label, own) for label, own in brought.items() if own),
        ]

    def plan(self, steps: Steps | None) -> Iterator[tuple[str, str, Entry | None]]:
        """Go through every step: (kind, name, the entry if it is there). None: no catalog yet."""
        for name, experiment in self.experiments.items():
            dataset = steps.find_dataset(experiment) if steps else None
            law: Entry | None = None
            yield "dataset", name, dataset
            yield from self._control_runs(steps, name, dataset)
            for cell in self.cells:
                full = f"{name}.{cell.label}.s{cell.seed}"
                fitted = drawn = None
                if isinstance(cell, Brought):
                    drawn = _of_dataset(steps, dataset, cell) if steps and dataset else None
                else:
                    if steps and dataset:
                        fitted = steps.find_forecaster(dataset, cell.model, cell.seed)
                    if steps and fitted:
                        drawn = self._drawn(steps, fitted, cell)
                    yield "forecaster", full, fitted
                yield "forecast", full, drawn
                law = drawn if cell.label == REFERENCE else law
                wanted = self._wanted(cell, exact=not experiment.inexact_law)
                found = steps.find_scores(drawn, wanted, law) if steps and drawn else ()
                for scorer, score in zip_longest(wanted, found):
                    yield "score", f"{full}.{scorer.name}", score

    def _wanted(self, cell: Cell | Brought, *, exact: bool) -> list[Scorer]:
        """The study's scorers, and the law forms that are added to them.

        The reference needs none: nothing lies between the true distribution and itself.
        """
        added = self.forms.added if exact and cell.label != REFERENCE else []
        return [*self.scorers, *added]

    def _control_runs(
        self, steps: Steps | None, name: str, dataset: Entry | None
    ) -> Iterator[tuple[str, str, Entry | None]]:
        """Control runs that thresholds of the scorers' events are from, each once."""
        known = set()
        for scorer in self.scorers:
            run, events = scorer.control_run(), scorer.events_counted()
            for event in events if run else ():
                key = json.dumps([event.measure(), run and run.model_dump()])
                if key not in known:
                    known.add(key)
                    found = (
                        steps.find_control(dataset, [event], run)
                        if steps and dataset and run
                        else [None]
                    )
                    yield "control", f"{name}.{event.name}", found[0]

    def _drawn(self, steps: Steps, fitted: Entry, cell: Cell) -> Entry | None:
        return steps.find_forecast(fitted, cell.members, cell.seed, self.study.keep_bits)

    def run(self, steps: Steps) -> Outcome:
        """Do every step that is not done. Failures are reported, and the other steps go on.

        Several runs share a study out: work that another process is at is left for later, and is
        waited for when there is nothing else to do.
        """
        outcome = Outcome()
        boards: dict[str, Board] = {}
        left = {name: _Left([*range(len(self.cells))]) for name in self.experiments}
        sharing, shown = replace(steps, wait=False), False
        with ExitStack() as waiting:
            while left:
                before = [unfinished.done() for unfinished in left.values()]
                for name, unfinished in list(left.items()):
                    try:
                        if board := self._go_on(sharing, name, unfinished, outcome):
                            boards[name] = board
                            del left[name]
                    except GeobenchError as error:
                        outcome.failures.append(_of(name, error))
                        del left[name]
                if left and before == [unfinished.done() for unfinished in left.values()]:
                    if not shown:
                        shown = True
                        waiting.enter_context(steps.watch("wait for another run of this study"))
                    time.sleep(PATIENCE)
        outcome.boards += [boards[name] for name in self.experiments if name in boards]
        return outcome

    def _go_on(
        self, steps: Steps, name: str, unfinished: "_Left", outcome: Outcome
    ) -> Board | None:
        """Do all of an experiment that no other process is at; return its board if all is done."""
        try:
            dataset = steps.simulate(name, self.experiments[name])
        except BusyError:
            return None
        for place in list(unfinished.cells):
            try:
                self._compete(steps, dataset, place, unfinished)
            except BusyError:
                continue
            except GeobenchError as error:
                if self.cells[place].label in (REFERENCE, self.study.baseline):
                    raise
                outcome.failures.append(_of(name, error))
            unfinished.cells.remove(place)
        if unfinished.cells:
            return None
        competitors = [made for _, made in sorted(unfinished.made.items())]
        competitors = self._readable(name, competitors, outcome)
        return self._board(name, self.experiments[name], dataset, competitors)

    def _compete(self, steps: Steps, dataset: Entry, place: int, unfinished: "_Left") -> None:
        """Do every step of a cell. The reference is the first one, and its own law."""
        cell, drawn = self.cells[place], unfinished.drawn
        if place not in drawn:
            drawn[place] = self._drawn_by(steps, dataset, cell)
        if 0 not in drawn:
            raise BusyError("another process is drawing the reference.")
        unfinished.made[place] = self._scored(steps, dataset, cell, *drawn[place], drawn[0][1])

    def boards(
        self,
        steps: Steps,
        binned: str | None = None,
        *,
        only: str | None = None,
        by_model: bool = False,
    ) -> Outcome:
        """Compare what is in the catalog; what is missing is told.

        `only`: the board of this experiment; default: of each.
        `binned`: a board for each bin of the cases (`geobench.bins`), by what was known of them.
        `by_model`: a row is a model, the mean over its seeds, and not one training.
        """
        outcome = Outcome()
        for name in [only] if only else self.experiments:
            experiment = self.experiments[name]
            dataset = steps.find_dataset(experiment)
            with steps.catalog.index.still():
                competitors = self._there(steps, name, dataset, outcome) if dataset else []
            labels = {each.label for each in competitors}
            if dataset is None or not {REFERENCE, self.study.baseline} <= labels:
                raise GeobenchError(
                    f"the catalog {steps.catalog.url} holds no scores of the reference and the "
                    f"baseline of '{name}'. Run the study first: geobench run."
                )
            competitors = self._readable(name, competitors, outcome)
            if by_model:
                competitors = over_seeds(competitors)
            if binned is None:
                board = self._board(name, experiment, dataset, competitors)
                outcome.boards.append(board)
                outcome.exhibits.append(self._exhibit(steps, board, dataset, competitors))
                continue
            for each in bins.of(binned, steps, competitors[0].forecast):
                board = self._board(name, experiment, dataset, competitors, each.places.tolist())
                board.title += f", {each.title} of the cases"
                outcome.boards.append(board)
        return outcome

    def invite(self, steps: Steps, references: Sequence[str]) -> None:
        """Put forecasts on the boards that are not in the study file, scored if they are not yet.

        Each must be of a dataset of the study.
        """
        datasets = [steps.find_dataset(experiment) for experiment in self.experiments.values()]
        known = {dataset.id for dataset in datasets if dataset}
        for reference in references:
            forecast = steps.catalog.get(reference, "forecast")
            dataset = steps.catalog.parent(steps.catalog.parent(forecast, "forecaster"), "dataset")
            if dataset.id not in known:
                raise GeobenchError(
                    f"{forecast.reference} is of {dataset.reference}, of which the study has no "
                    f"board. Name a forecast of one of: "
                    f"{', '.join(str(each.reference) for each in datasets if each)}."
                )
            self._add(forecast)

    def imported(self, steps: Steps) -> list[str]:
        """Newest forecast of each name that `import-forecast` took in, of the study's datasets.

        What came in an archive or from another catalog is no guest, unless it is trusted or named.
        """
        found: dict[str, str] = {}
        known = {
            dataset.id
            for experiment in self.experiments.values()
            if (dataset := steps.find_dataset(experiment))
        }
        for forecast in steps.catalog.entries("forecast"):
            if forecast.origin == "imported" and forecast.door != "forecast":
                continue
            maker = steps.catalog.parent(forecast, "forecaster")
            if is_imported(maker.record) and steps.catalog.parent(maker, "dataset").id in known:
                found[forecast.record.name] = str(forecast.reference)
        return list(found.values())

    def _add(self, forecast: Entry) -> None:
        """Make a cell of a forecast, unless it has one; under a label of its own."""
        check_whole(forecast)
        reference = str(forecast.reference)
        brought = [each for each in self.cells if isinstance(each, Brought)]
        if any(reference in each.forecasts for each in brought):
            return
        label, seed = forecast.record.labels["model"], int(forecast.record.recipe["seed"])
        taken = {each.label for each in self.cells}
        while label in taken:
            label += " (guest)"
        self.cells.append(Brought(label, (reference,), seed, guest=True))

    def _there(self, steps: Steps, name: str, dataset: Entry, outcome: Outcome) -> list[Competitor]:
        """Competitors whose scores are in the catalog; guests are scored now."""
        competitors: list[Competitor] = []
        for cell in self.cells:
            law = competitors[0].forecast if competitors else None
            try:
                if isinstance(cell, Brought) and cell.guest:
                    if _of_dataset(steps, dataset, cell) and law:
                        drawn = self._drawn_by(steps, dataset, cell)
                        competitors.append(self._scored(steps, dataset, cell, *drawn, law))
                    continue
                found = self._found(steps, dataset, cell, law)
                if found is None:
                    raise GeobenchError(f"{cell.label} (seed {cell.seed}) is not done")
                competitors.append(found)
            except GeobenchError as error:
                outcome.failures.append(_of(name, error))
        return competitors

    def _exhibit(
        self, steps: Steps, board: Board, dataset: Entry, competitors: list[Competitor]
    ) -> Exhibit:
        """Everything that a board is of, the competitors in the order of its rows."""
        reference, *others = competitors
        by_forecast = {str(each.forecast.reference): each for each in others}
        return Exhibit(
            board,
            dataset,
            self.scorers,
            reference,
            [by_forecast[row.entries["forecast"]] for row in board.rows],
            steps.dataset(dataset).spec,
            steps.dataset(dataset).outcome,
            {
                name: offer.summary
                for (kind, name), offer in steps.registry.offers.items()
                if kind == "model"
            },
            self.forms.forms if _exact(dataset) else (),
        )

    def exact(
        self, steps: Steps, exhibit: Exhibit, exchanges: int
    ) -> dict[str, list[tuple[str, float, float, float, float]]]:
        """Exact tests of each row that is not given the law, by forecast: score, value, law, p, q.

        Of the study's scorers; a forecast with failed members is not tested.
        """
        tested = {}
        for row, own in zip(exhibit.board.rows, exhibit.competitors, strict=True):
            if row.knows_law or row.failed:
                continue
            found = steps.verdicts(
                own.forecast, exhibit.reference.forecast, self.scorers, exchanges, classify=False
            )
            tested[row.entries["forecast"]] = [
                (each.score, each.value, each.law, each.p, each.q) for each in found
            ]
        return tested

    def _drawn_by(self, steps: Steps, dataset: Entry, cell: Cell | Brought) -> tuple[Entry, Entry]:
        """Train and forecast: the forecaster and the forecast of a cell."""
        if isinstance(cell, Brought):
            drawn = _of_dataset(steps, dataset, cell)
            if drawn is None:
                raise GeobenchError(
                    f"{cell.label}: {', '.join(cell.forecasts)} is no forecast of "
                    f"{dataset.reference}. Import one: geobench catalog import-forecast PATH "
                    f"--dataset {dataset.reference} --model {cell.label}."
                )
            return steps.catalog.parent(drawn, "forecaster"), drawn
        fitted = steps.train(dataset, cell.model, seed=cell.seed, label=cell.label)
        drawn = steps.forecast(
            fitted,
            members=cell.members,
            seed=cell.seed,
            label=cell.label,
            keep_failures=self.study.keep_failures,
            keep_bits=self.study.keep_bits,
        )
        return fitted, drawn

    def _scored(
        self,
        steps: Steps,
        dataset: Entry,
        cell: Cell | Brought,
        fitted: Entry,
        drawn: Entry,
        law: Entry,
    ) -> Competitor:
        wanted = self._wanted(cell, exact=_exact(dataset))
        return self._competitor(cell, fitted, drawn, steps.scores(drawn, wanted, law))

    def _competitor(
        self, cell: Cell | Brought, fitted: Entry, drawn: Entry, scores: "Sequence[Entry | None]"
    ) -> Competitor:
        """Of the scores by the study's scorers, which are all there, and by their law forms."""
        own = [score for score in scores[: len(self.scorers)] if score]
        against = {} if cell.label == REFERENCE else self.forms.of(scores)
        return Competitor(cell.label, cell.seed, fitted, drawn, own, against_law=against)

    def _found(
        self, steps: Steps, dataset: Entry, cell: Cell | Brought, law: Entry | None
    ) -> Competitor | None:
        fitted: Entry | None
        if isinstance(cell, Brought):
            drawn = _of_dataset(steps, dataset, cell)
            fitted = drawn and steps.catalog.parent(drawn, "forecaster")
        else:
            fitted = steps.find_forecaster(dataset, cell.model, cell.seed)
            drawn = fitted and self._drawn(steps, fitted, cell)
        if fitted is None or drawn is None:
            return None
        wanted = self._wanted(cell, exact=_exact(dataset))
        scores = steps.find_scores(drawn, wanted, law or drawn)
        if not all(scores[: len(self.scorers)]):
            return None
        return self._competitor(cell, fitted, drawn, scores)

    def _board(
        self,
        name: str,
        experiment: Experiment,
        dataset: Entry,
        competitors: list[Competitor],
        cases: list[int] | None = None,
    ) -> Board:
        reference, *others = competitors
        seeds = self.study.seeds
        return compare(
            name,
            experiment.title,
            dataset,
            self.scorers,
            reference=reference,
            baseline=next(each for each in others if each.label == self.study.baseline),
            competitors=others,
            cases=cases,
            forms=self.forms.forms if _exact(dataset) else (),
            seeds_of=dict.fromkeys((c.label for c in self.cells if isinstance(c, Cell)), seeds),
            deterministic={each.label for each in others if self._deterministic(each)},
        )

    def _deterministic(self, competitor: Competitor) -> bool:
        """Whether the model says itself that all its members are equal."""
        recipe = competitor.forecaster.record.recipe["model"]
        if recipe.get("use") == FOREIGN:
            return False
        try:
            return self._registry.model(recipe).deterministic
        except GeobenchError:  # a model of a plugin that is not here any more
            return False

    def _readable(
        self, name: str, competitors: list[Competitor], outcome: Outcome
    ) -> list[Competitor]:
        """Read all scores; a model of which one is damaged is named, and left out."""
        kept = []
        for each in competitors:
            try:
                each.read_all(like=competitors[1])
                kept.append(each)
            except GeobenchError as error:
                if each.label in (REFERENCE, self.study.baseline):
                    raise
                left = GeobenchError(f"{each.label} (seed {each.seed}) is left out: {error}")
                outcome.failures.append(_of(name, left))
        return kept


def read_study(path: Path, nfe: tuple[int, ...] = ()) -> Study:
    """Read and check a study file; `nfe` in place of its own, if there is any."""
    fields = read_yaml(path)
    return validated(Study, fields | {"nfe": nfe} if nfe else fields, str(path))


def _exact(dataset: Entry) -> bool:
    """Whether draws of the true distribution are exact."""
    return not dataset.record.summary.get("inexact_law")


def _of(experiment: str, error: GeobenchError) -> GeobenchError:
    told = GeobenchError(f"{experiment}: {error}")
    told.__cause__ = error
    return told


def _check(study: Study, scorers: list[Scorer], law: EnsembleModel) -> None:
    """Refuse what would make a board say less than it seems to."""
    first = scorers[0]
    if first.better in IDEALS or not first.fair:
        ideal = f"ideal at {first.better}"
        reason = ideal if first.better in IDEALS else "not fair in the number of members"
        raise GeobenchError(
            f"the first scorer ranks, and {first.name} is {reason}. Put another one first, such as "
            f"crps."
        )
    if len({json.dumps(scorer.recipe(), sort_keys=True) for scorer in scorers}) < len(scorers):
        raise GeobenchError("a scorer is named twice. Leave one out.")
    if len(set(study.seeds)) < len(study.seeds):
        raise GeobenchError(f"seeds = {list(study.seeds)}: one is there twice. Leave one out.")
    if study.reference.seed in study.seeds:
        raise GeobenchError(
            f"the reference has the seed {study.reference.seed} of a model: the oracle would be "
            f"compared with itself. Give the reference another one."
        )
    if not law.knows_law:
        raise GeobenchError(
            f"the reference is {law.name}, which does not know the law. Use one that does: oracle."
        )


def _model(registry: Registry, label: str, recipe: object) -> EnsembleModel:
    """Build a model; what is wrong with it is told under its label."""
    try:
        return registry.model(recipe)
    except GeobenchError as error:
        told = str(error).removeprefix(f"{label}: ")
        raise GeobenchError(f"model {label}: {told}") from error


def _brought(recipe: object) -> tuple[str, ...]:
    """References of forecasts, if that is what stands in a model's place."""
    if not (isinstance(recipe, dict) and set(recipe) == {"forecast"}):
        return ()
    named = recipe["forecast"]
    return tuple(map(str, named)) if isinstance(named, list) else (str(named),)


def _of_dataset(steps: Steps, dataset: Entry, cell: Brought) -> Entry | None:
    """Return the one of the forecasts that is of this dataset, if there is one."""
    for reference in cell.forecasts:
        entry = steps.catalog.get(reference, "forecast")
        check_whole(entry)
        forecaster = steps.catalog.parent(entry, "forecaster")
        if steps.catalog.parent(forecaster, "dataset").id == dataset.id:
            return entry
    return None


def _swept(models: dict[str, EnsembleModel], counts: tuple[int, ...]) -> dict[str, EnsembleModel]:
    """Return the models that can have so many evaluations; each that is new, once."""
    known = [model.recipe() for model in models.values()]
    swept: dict[str, EnsembleModel] = {}
    for label, model in models.items():
        for count in sorted(set(counts)):
            found = model.with_evaluations(count)
            if found is not None and (recipe := found.recipe()) not in known:
                known.append(recipe)
                swept[f"{label}-nfe{count}"] = found
    return swept


def _label(text: str, kind: str) -> str:
    if not re.fullmatch(_LABEL, text):
        raise GeobenchError(
            f"'{text}' cannot label a {kind}: use lower-case letters, digits, '-' and '_', "
            f"starting with a letter or digit."
        )
    return text
