"""What of the recipes of entries is read by name: one class for each kind of entry."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from geobench_catalog import Record

FOREIGN = "foreign"
"""The model (`use`) of a forecaster of which the forecast alone is known."""
IMPORTED = "imported"
"""Key in the recipe of a forecaster whose weights were trained elsewhere."""


def is_imported(forecaster: Record) -> bool:
    """Whether somebody made it elsewhere: the forecast alone is known, or the trained weights."""
    recipe = forecaster.recipe
    return recipe["model"].get("use") == FOREIGN or IMPORTED in recipe


class _Recipe(BaseModel):
    """Fields that are read by name; a recipe holds others, too."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)


class DatasetRecipe(_Recipe):
    """Of a dataset: its experiment."""

    leads: int | None = None
    seed: int | None = None


class _Model(_Recipe):
    use: str | None = None


class ForecasterRecipe(_Recipe):
    """Of a forecaster: the model, and the number of its training."""

    model: _Model | None = None
    seed: int | None = None


class ForecastRecipe(_Recipe):
    """Of a forecast: how many members, of which noise."""

    members: int | None = None
    seed: int | None = None


class ScoreRecipe(_Recipe):
    """Of a score: the scorer."""

    use: str | None = None
    version: str | None = None


class ControlRecipe(_Recipe):
    """Of a control run: the event that was measured."""

    event: dict[str, Any] | None = None
