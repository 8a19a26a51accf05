"""The report: its sections in order, and its numbers as JSON."""

import dataclasses
from typing import Any

from geobench.describe import experiment_sections as experiment
from geobench.describe import simulator_sections as simulator
from geobench.describe.measuring import Description
from geobench.tables.table import Table
from geobench_catalog.json_values import json_values


def sections(description: Description, unit_days: float | None = None) -> list[Table]:
    """Turn a description into sections; rates are also told per `unit_days` days."""
    return [
        simulator.setting(description),
        simulator.climates(description),
        simulator.predictability(description, unit_days),
        simulator.exponents(description, unit_days),
        experiment.shape(description),
        experiment.difficulty(description),
        experiment.events(description),
        *(experiment.return_levels(description, extreme) for extreme in description.extremes),
    ]


def as_json(description: Description) -> dict[str, Any]:
    """All numbers, without the sample of states and the probabilities case by case."""
    fields = {
        field.name: getattr(description, field.name)
        for field in dataclasses.fields(description)
        if field.name not in ("sample", "extremes", "simulator", "spec", "exponents")
    }
    spectrum = description.exponents
    values: dict[str, Any] = json_values(
        {
            **fields,
            "simulator": description.simulator.recipe(),
            "verdicts": [card.verdict for card in description.cards],
            "variables": [variable.name for variable in description.spec.variables],
            "exponents_per_day": {
                "values": spectrum.exponents,
                "standard_errors": spectrum.errors,
                "complete": spectrum.complete,
                "kaplan_yorke_dimension": spectrum.dimension,
                "entropy": spectrum.entropy,
                "sum": spectrum.total,
            },
            "extremes": [
                {
                    "event": extreme.event.model_dump(mode="json"),
                    "thresholds": extreme.limits,
                    "seen": extreme.seen,
                    "rate": extreme.probabilities.rate(),
                    "predictable": extreme.probabilities.predictable(),
                    "return_levels": extreme.levels,
                }
                for extreme in description.extremes
            ],
        }
    )
    return values
