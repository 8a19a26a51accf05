"""How large the published studies are: what they compare, and how much they train."""

import json
from dataclasses import dataclass

from geobench.registry import Registry
from geobench.study.file import Study
from geobench.study.graph import StudyGraph
from geobench.study.published import published


@dataclass(frozen=True)
class Size:
    """What a published study compares, and how much it trains."""

    name: str
    title: str
    experiments: list[str]
    models: list[str]
    trainings: int
    sample_passes: int
    """The budgets of all trainings together."""


def sizes(registry: Registry) -> list[Size]:
    """Return the sizes of all published studies."""
    return [_size(name, Study.read(file), registry) for name, file in published().items()]


def _size(name: str, study: Study, registry: Registry) -> Size:
    from geobench.training import Optimisation

    graph = StudyGraph(study, registry)
    budgets: dict[str, int] = {}
    for experiment in graph.experiments:
        for row in graph.of(experiment).rows:
            node = row.forecaster and (row.forecaster.weights or row.forecaster)
            budget = getattr(node.model, "training", None) if node else None
            if node and isinstance(budget, Optimisation):
                key = json.dumps([experiment, node.seed, node.model.recipe()], sort_keys=True)
                budgets[key] = budget.passes
    labels = list(study.models)
    return Size(
        name, study.title, list(study.experiments), labels, len(budgets), sum(budgets.values())
    )
