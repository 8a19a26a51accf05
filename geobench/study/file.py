"""A study file: experiments, models, seeds and scorers that are compared."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, PositiveInt, model_validator

from geobench.contracts.plugin import Fields, validated
from geobench.errors import GeobenchError
from geobench.registry import Registry, plain_yaml
from geobench.study import variants, written
from geobench.study.published import study_file


class Reference(Fields):
    """The forecast that all others are compared with: more draws of the law, and other ones."""

    use: dict[str, Any] | str = "oracle"
    members: int = Field(32, gt=1)
    seed: int = Field(1_000_000, ge=0, lt=2**63, description="another one than any model's")


class Study(Fields):
    """Experiments, models, seeds and scorers that are compared: a study file as an object.

    Experiments, models and scorers are written as in a file, or as plugins:
    `Study(experiments=["lorenz95"], models={"small": FGN(members=4), "oracle": "oracle"})`. A list
    labels each one with its own name.
    """

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

    @model_validator(mode="before")
    @classmethod
    def _as_in_a_file(cls, given: Any) -> Any:
        """Write plugins as plain values; they are built again where the study runs."""
        if not isinstance(given, Mapping):
            return given
        try:
            return {key: _as_in_a_file(key, value) for key, value in given.items()}
        except GeobenchError as error:
            raise ValueError(str(error)) from error

    @classmethod
    def read(cls, named: str | Path) -> Self:
        """Read a study file, or a published study by its name, such as "quick"."""
        path = study_file(named)
        return validated(cls, plain_yaml.read_yaml(path), str(path))

    def to_yaml(self, path: str | Path | None = None) -> str:
        """Return the study as the text of a study file without defaults; write it to `path`, too.

        Reading the file gives an equal study.
        """
        text = plain_yaml.dump(self.model_dump(mode="json", exclude_defaults=True))
        if path is not None:
            try:
                Path(path).write_text(text, "utf-8")
            except OSError as error:
                raise GeobenchError(
                    f"{path} cannot be written ({error.strerror}). Name another file."
                ) from error
        return text

    def __str__(self) -> str:
        return self.to_yaml()

    def vary(self, key: str, values: Sequence[Any], registry: Registry | None = None) -> Self:
        """Return the study with a variant for each value of a field, in place of the original.

        `study.vary("models.fgn.conditioning.noise", ["global", "local"])` replaces the model `fgn`
        by `fgn--noise-global` and `fgn--noise-local`. A second call varies all variants: the
        result is the product. `experiments.NAME.FIELD` varies an experiment. A variant with the
        recipe of an earlier model finds that model's entries. The baseline stays beside its
        variants. `registry`: the plugins that fields are checked against; default: those installed.
        """
        sections: dict[str, Mapping[str, Any]] = {
            "experiments": self.experiments,
            "models": self.models,
        }
        registry = registry or Registry()
        changed = variants.varied(sections, key, values, registry, kept=self.baseline)
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self).model_validate({**given, **changed})


def _as_in_a_file(key: str, value: Any) -> Any:
    """Return the value of a key of a study as it is written in a file."""
    if key == "experiments":
        experiments = written.recipes(value, "experiment")
        if not isinstance(experiments, Mapping):
            return experiments
        return {k: {"use": v} if isinstance(v, str) else v for k, v in experiments.items()}
    if key == "models":
        return written.recipes(value, "model")
    if key == "scorers" and isinstance(value, list | tuple):
        scorers = map(written.recipe, value)
        return [s["use"] if isinstance(s, dict) and set(s) == {"use"} else s for s in scorers]
    return written.recipe(value) if key == "reference" and isinstance(value, Mapping) else value


def read_study(path: Path, nfe: tuple[int, ...] = ()) -> Study:
    """Read and check a study file; `nfe` in place of its own, if there is any."""
    fields = plain_yaml.read_yaml(path)
    return validated(Study, fields | {"nfe": nfe} if nfe else fields, str(path))
