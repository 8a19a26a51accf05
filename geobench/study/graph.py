"""The graph of a study: every name is resolved, and each entry to make is a node."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from geobench.contracts.experiment import Experiment
from geobench.contracts.model import EnsembleModel
from geobench.contracts.scorer import IDEALS, Scorer
from geobench.entries.recipes import is_imported
from geobench.errors import GeobenchError
from geobench.nodes.control import ControlNode
from geobench.nodes.dataset import DatasetNode
from geobench.nodes.forecast import ForecastNode
from geobench.nodes.forecaster import ForecasterNode
from geobench.nodes.node import Entries, Given, Named, Node
from geobench.nodes.scores import ScoreNode
from geobench.registry import Registry
from geobench.scoring.law_forms import Forms
from geobench.study.file import Study
from geobench.twin.cases import check_whole
from geobench_catalog import Entry

if TYPE_CHECKING:
    from geobench.nodes.engine import Engine

_LABEL = r"^[a-z0-9][a-z0-9_-]{0,60}$"
REFERENCE = "reference"


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


@dataclass(frozen=True, eq=False, repr=False)
class BroughtNode(Given):
    """The forecast of a dataset among those that somebody brought."""

    cell: Brought
    dataset: DatasetNode
    kind: ClassVar[str] = "forecast"

    @property
    def seed(self) -> int:
        """Number of the training, as far as it is known."""
        return self.cell.seed

    def parents(self) -> Mapping[str, Node]:
        """Return the dataset that it must be of."""
        return {"dataset": self.dataset}

    def entry_for(self, engine: "Engine", parents: Entries) -> Entry | None:
        """Return the first forecast that is of the dataset; it must be of all its test cases."""
        for reference in self.cell.forecasts:
            entry = engine.catalog.get(reference, "forecast")
            check_whole(entry)
            forecaster = engine.catalog.parent(entry, "forecaster")
            if engine.catalog.parent(forecaster, "dataset").id == parents["dataset"].id:
                return entry
        return None

    def missing(self, parents: Entries) -> str:
        """Return how to bring a forecast of the dataset."""
        label, dataset = self.cell.label, parents["dataset"].reference
        return (
            f"{label}: {', '.join(self.cell.forecasts)} is no forecast of {dataset}. Import one: "
            f"geobench catalog import-forecast PATH --dataset {dataset} --model {label}."
        )

    def name_of(self, parents: Mapping[str, Named]) -> str:
        """Return dataset, label and seed."""
        return f"{parents['dataset'].name}.{self.cell.label}.s{self.seed}"

    def labels_of(self, parents: Mapping[str, Named]) -> dict[str, str]:
        """Return the label of the model and the name of the dataset."""
        return {"model": self.cell.label, "dataset": parents["dataset"].name}


@dataclass(frozen=True)
class Row:
    """The nodes of a row of a board."""

    cell: Cell | Brought
    forecaster: ForecasterNode | None
    """None: somebody brought the forecast."""
    forecast: ForecastNode | BroughtNode
    scores: Sequence[ScoreNode]
    """By the study's scorers, and by the law forms that are added to them."""

    def nodes(self) -> list[Node]:
        """All nodes, each after its parents."""
        first: list[Node] = [self.forecaster] if self.forecaster else []
        return [*first, self.forecast, *self.scores]


@dataclass(frozen=True)
class Graph:
    """The nodes of an experiment; the first row is the reference."""

    experiment: Experiment
    dataset: DatasetNode
    controls: Sequence[ControlNode]
    rows: Sequence[Row]

    def nodes(self) -> Iterator[Node]:
        """All nodes, each after its parents."""
        yield self.dataset
        yield from self.controls
        for row in self.rows:
            yield from row.nodes()


class StudyGraph:
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
        self.registry = registry
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
            *(Brought(label, forecasts) for label, forecasts in brought.items() if forecasts),
        ]

    def of(self, name: str) -> Graph:
        """Return the graph of an experiment."""
        experiment = self.experiments[name]
        dataset = DatasetNode(name, experiment)
        rows: list[Row] = []
        for cell in self.cells:
            forecaster: ForecasterNode | None = None
            forecast: ForecastNode | BroughtNode
            if isinstance(cell, Brought):
                forecast = BroughtNode(cell, dataset)
            else:
                forecaster = ForecasterNode(dataset, cell.model, cell.seed, cell.label)
                forecast = ForecastNode(
                    forecaster,
                    cell.members,
                    label=cell.label,
                    keep_failures=self.study.keep_failures,
                    keep_bits=self.study.keep_bits,
                )
            law = rows[0].forecast if rows else forecast
            scorers = self._wanted(cell, exact=not experiment.inexact_law)
            scores = [ScoreNode(forecast, scorer, law) for scorer in scorers]
            rows.append(Row(cell, forecaster, forecast, scores))
        return Graph(experiment, dataset, self._controls(dataset), rows)

    def _wanted(self, cell: Cell | Brought, *, exact: bool) -> list[Scorer]:
        """The study's scorers, and the law forms that are added to them.

        The reference needs none: nothing lies between the true distribution and itself.
        """
        added = self.forms.added if exact and cell.label != REFERENCE else []
        return [*self.scorers, *added]

    def _controls(self, dataset: DatasetNode) -> list[ControlNode]:
        """Control runs that thresholds of the scorers' events are from, each once."""
        nodes: dict[str, ControlNode] = {}
        for scorer in self.scorers:
            run = scorer.control_run()
            for event in scorer.events_counted() if run else ():
                key = json.dumps([event.measure(), run and run.model_dump()])
                if run and key not in nodes:
                    nodes[key] = ControlNode(dataset, event, run)
        return [*nodes.values()]

    def datasets(self, engine: "Engine") -> list[Entry]:
        """Return the datasets of its experiments that are in the catalog."""
        nodes = [DatasetNode(name, experiment) for name, experiment in self.experiments.items()]
        return [entry for entry in engine.find_all(nodes) if entry]

    def invite(self, engine: "Engine", references: Sequence[str]) -> None:
        """Put forecasts on the boards that are not in the study file, scored if they are not yet.

        Each must be of a dataset of the study.
        """
        datasets = self.datasets(engine) if references else []
        known = {dataset.id for dataset in datasets}
        for reference in references:
            forecast = engine.catalog.get(reference, "forecast")
            forecaster = engine.catalog.parent(forecast, "forecaster")
            dataset = engine.catalog.parent(forecaster, "dataset")
            if dataset.id not in known:
                names = ", ".join(str(entry.reference) for entry in datasets)
                raise GeobenchError(
                    f"{forecast.reference} is of {dataset.reference}, of which the study has no "
                    f"board. Name a forecast of one of: {names}."
                )
            self._add(forecast)

    def imported(self, engine: "Engine") -> list[str]:
        """Newest forecast of each name that `import-forecast` took in, of the study's datasets.

        What came in an archive or from another catalog is no guest, unless it is trusted or named.
        """
        newest: dict[str, str] = {}
        known = {dataset.id for dataset in self.datasets(engine)}
        for forecast in engine.catalog.entries("forecast"):
            if forecast.origin == "imported" and forecast.door != "forecast":
                continue
            maker = engine.catalog.parent(forecast, "forecaster")
            if is_imported(maker.record) and engine.catalog.parent(maker, "dataset").id in known:
                newest[forecast.record.name] = str(forecast.reference)
        return list(newest.values())

    def _add(self, forecast: Entry) -> None:
        """Make a cell of a forecast, unless it has one; under a label of its own."""
        check_whole(forecast)
        reference = str(forecast.reference)
        brought = [cell for cell in self.cells if isinstance(cell, Brought)]
        if any(reference in cell.forecasts for cell in brought):
            return
        label, seed = forecast.record.labels["model"], int(forecast.record.recipe["seed"])
        taken = {(c.label, c.seed) for c in self.cells if isinstance(c, Brought) and c.guest}
        study = {c.label for c in self.cells if not (isinstance(c, Brought) and c.guest)}
        while label in study or (label, seed) in taken:
            label += " (guest)"
        self.cells.append(Brought(label, (reference,), seed, guest=True))


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
        message = str(error).removeprefix(f"{label}: ")
        raise GeobenchError(f"model {label}: {message}") from error


def _brought(recipe: object) -> tuple[str, ...]:
    """References of forecasts, if that is what stands in a model's place."""
    if not (isinstance(recipe, dict) and set(recipe) == {"forecast"}):
        return ()
    named = recipe["forecast"]
    return tuple(map(str, named)) if isinstance(named, list) else (str(named),)


def _swept(models: dict[str, EnsembleModel], counts: tuple[int, ...]) -> dict[str, EnsembleModel]:
    """Return the models that can have so many evaluations; each that is new, once."""
    known = [model.recipe() for model in models.values()]
    swept: dict[str, EnsembleModel] = {}
    for label, model in models.items():
        for count in sorted(set(counts)):
            variant = model.with_evaluations(count)
            if variant is not None and (recipe := variant.recipe()) not in known:
                known.append(recipe)
                swept[f"{label}-nfe{count}"] = variant
    return swept


def _label(text: str, kind: str) -> str:
    if not re.fullmatch(_LABEL, text):
        raise GeobenchError(
            f"'{text}' cannot label a {kind}: use lower-case letters, digits, '-' and '_', "
            f"starting with a letter or digit."
        )
    return text
