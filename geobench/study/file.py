"""A study file: experiments, models, seeds and scorers that are compared."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PositiveInt

from geobench.contracts.plugin import Fields, validated
from geobench.registry.plain_yaml import read_yaml


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


def read_study(path: Path, nfe: tuple[int, ...] = ()) -> Study:
    """Read and check a study file; `nfe` in place of its own, if there is any."""
    fields = read_yaml(path)
    return validated(Study, fields | {"nfe": nfe} if nfe else fields, str(path))
