"""The report: its sections in order, and its numbers as JSON."""

import dataclasses
from typing import Any

from geobench.describe import experiment_sections as experiment
from geobench.describe import simulator_sections as simulator
from geobench.describe.measuring import Description
from geobench.tables.json import json_values
from geobench.tables.table import Table


def sections(found: Description, unit_days: float | None = None) -> list[Table]:
    """Turn a description into sections; rates are also told per `unit_days` days."""
    return [
        simulator.setting(found),
        simulator.climates(found),
        simulator.predictability(found, unit_days),
        simulator.exponents(found, unit_days),
        experiment.shape(found),
        experiment.difficulty(found),
        experiment.events(found),
        *(experiment.return_levels(found, each) for each in found.extremes),
    ]


def as_json(found: Description) -> dict[str, Any]:
    """All numbers, without the sample of states and the probabilities case by case."""
    fields = {
        each.name: getattr(found, each.name)
        for each in dataclasses.fields(found)
        if each.name not in ("sample", "extremes", "simulator", "spec", "exponents")
    }
    spectrum = found.exponents
    values: dict[str, Any] = json_values(
        {
            **fields,
            "simulator": found.simulator.recipe(),
            "verdicts": [card.verdict for card in found.cards],
            "variables": [each.name for each in found.spec.variables],
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
                    "event": each.event.model_dump(mode="json"),
                    "thresholds": each.limits,
                    "seen": each.seen,
                    "rate": each.probabilities.rate(),
                    "predictable": each.probabilities.predictable(),
                    "return_levels": each.levels,
                }
                for each in found.extremes
            ],
        }
    )
    return values
