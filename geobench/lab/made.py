"""What a lab has made or found: an entry of the catalog as an object of a notebook."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from geobench.lab.views import View, facts
from geobench_catalog import Entry

if TYPE_CHECKING:
    import xarray as xr

    from geobench.foreign.exporting import Form
    from geobench.lab.lab import Lab


class Made:
    """An entry of the catalog; two are equal if they are the same entry.

    What it holds is read when it is asked for, and not before.
    """

    kind: ClassVar[str]

    def __init__(self, lab: "Lab", entry: Entry) -> None:
        self.lab, self.entry = lab, entry

    @property
    def reference(self) -> str:
        """Its name in the catalog, as commands take it: `kind/name@version`."""
        return str(self.entry.reference)

    @property
    def name(self) -> str:
        """Its name without kind and version."""
        return self.entry.record.name

    @property
    def id(self) -> str:
        """Its identity: the SHA-256 of all that it holds."""
        return self.entry.id

    def to_xarray(self, group: str | None = None) -> "xr.Dataset":
        """Return its data, which are read from the catalog when they are used."""
        return self.entry.open(group)

    def export(self, folder: str | Path, form: "Form" = "netcdf") -> list[Path]:
        """Write it into a folder for other software, a forecast with the truth beside it.

        `form`: netcdf (with CF attributes), or of forecasts weatherbench (Zarr, as WeatherBench 2
        names it). Return the files.
        """
        from geobench.foreign.exporting import export

        engine = self.lab.engine
        return export([self.entry], form, Path(folder), engine.forecast, engine.memory)

    @property
    def provenance(self) -> View:
        """How it was made: recipe, parents, software, machine, and the command that repeats it."""
        record = self.entry.record
        lines = {
            "reference": self.reference,
            "id": self.id,
            "created": f"{record.created:%Y-%m-%d %H:%M:%S} UTC",
            "seconds": f"{record.seconds:.1f}",
            **{f"recipe.{key}": value for key, value in flat(record.recipe).items()},
            **{f"parent {role}": p.reference for role, p in record.parents.items()},
            **flat(record.environment),
            "data": self.entry.content_digest,
            "again": self._again(),
        }
        return facts(f"How {self.reference} was made", lines)

    def _again(self) -> str:
        """Return what makes it again: a command, if what made it is not of this session alone."""
        session = {offer.name for offer in self.lab.registry.session}
        lineage = [self.entry, *self.lab.catalog.lineage(self.entry)]
        models = [e.record.recipe["model"] for e in lineage if e.record.kind == "forecaster"]
        if any(recipe.get("use") in session for recipe in models):
            return f"lab.reproduce(lab.get('{self.reference}')), in a session that defines it"
        return f"geobench --catalog {self.lab.catalog.url} reproduce {self.reference}"

    def _facts(self) -> Mapping[str, Any]:
        """What is shown of it at first sight."""
        return {}

    def _view(self) -> View:
        return facts(self.reference, self._facts())

    def __repr__(self) -> str:
        told = ", ".join(f"{key} {value}" for key, value in self._facts().items() if value != "")
        return f"<{self.reference}: {told}>" if told else f"<{self.reference}>"

    def _repr_html_(self) -> str:
        return self._view()._repr_html_()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Made) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)


def flat(fields: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return nested fields with dots between their keys; those that are empty are left out."""
    lines: dict[str, Any] = {}
    for key, value in fields.items():
        if isinstance(value, Mapping):
            lines |= flat(value, f"{path}{key}.")
        elif value not in (None, "", [], ()):
            lines[f"{path}{key}"] = value
    return lines


def count(number: float) -> str:
    """Return a number with commas between thousands."""
    return f"{number:,.0f}"
