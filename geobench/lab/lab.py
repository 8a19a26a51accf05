"""A lab: a catalog with plugins, and everything that the commands do, from Python."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geobench.contracts.experiment import Experiment
from geobench.contracts.model import EnsembleModel
from geobench.contracts.plugin import Plugin
from geobench.contracts.scorer import Scorer
from geobench.errors import GeobenchError
from geobench.lab import finding, own_models, recipes, studies
from geobench.lab.board import Board, Boards
from geobench.lab.dataset import Dataset
from geobench.lab.forecast import Forecast
from geobench.lab.forecaster import Forecaster
from geobench.lab.made import Made
from geobench.lab.scores import Scores
from geobench.nodes.engine import Engine
from geobench.nodes.session import Session
from geobench.registry import Registry, own_code
from geobench_catalog import Catalog, Entry

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from geobench.describe.measuring import Description
    from geobench.lab.views import View
    from geobench.study.file import Study
    from geobench.study.reproduction import Reproduction


class Lab:
    """A catalog with plugins. What is in the catalog is not made again, by whomever it was made.

    A call makes what it names at once; data are read when they are used. `help(geobench)` shows how
    the calls follow one another.
    """

    def __init__(self, engine: Engine) -> None:
        self.session = Session(engine)

    @property
    def engine(self) -> Engine:
        """Finds and makes entries."""
        return self.session.engine

    @property
    def catalog(self) -> Catalog:
        """Where entries are kept."""
        return self.engine.catalog

    @property
    def registry(self) -> Registry:
        """The plugins."""
        return self.engine.registry

    # -- making

    def simulate(
        self, experiment: str | Mapping[str, Any] | Experiment, name: str = "", **changes: Any
    ) -> Dataset:
        """Realise an experiment: its trajectories, climatology and init times.

        `experiment`: the name of one, a YAML file, its fields, or an `Experiment`. `changes`: its
        fields and those of its simulator: `forcing=10`, `train={"trajectories": 200}`.
        """
        called, realised = recipes.experiment(self.registry, experiment, changes)
        return Dataset(self, self.session.simulate(name or called, realised))

    def train(
        self,
        model: str | Mapping[str, Any] | EnsembleModel,
        data: Dataset,
        *,
        seed: int = 0,
        label: str = "",
        **fields: Any,
    ) -> Forecaster:
        """Fit a model to the train split of a dataset.

        `model`: the name of one, `{use: name, …}`, or a model; `fields` are its fields, e.g.
        `passes=20_000` or `conditioning={"noise": "local"}`. A class of this session is registered.
        """
        entry = self._entry(data, "dataset")
        built = recipes.model(self.registry, model, fields)
        self._offer(built)
        return Forecaster(self, self.session.train(entry, built, seed=seed, label=label))

    def forecaster(
        self,
        step: Any,
        data: Dataset,
        *,
        label: str,
        seed: int = 0,
        history: int = 1,
        version: str | None = None,
    ) -> Forecaster:
        """Make a forecaster of a function of (history, noise), or of a torch module.

        `step` is given `history` `(row, frame, channel, *grid)`, oldest frame first, and `noise`,
        and returns the next state `(row, channel, *grid)` of each row. Rows are independent, and
        all randomness comes from `noise.normal(*shape)` `(row, *shape)`. The networks that it
        refers to are stored.

        Its identity is its source with all that this refers to; of what has none, the error says
        what to pass instead. `version`: a text of your own as identity, which you change whenever
        the numbers change; the weights of networks count beside it. `seed`: number of the training,
        if you trained it several times; boards show each, or their mean (`by_model`).
        """
        own, identity = own_models.model_of(step, label, history, version)
        self._register(own, identity, own_models.source(step))
        made = self.session.train(self._entry(data, "dataset"), own(), seed=seed, label=label)
        return Forecaster(self, made)

    def register(self, plugin: type[Plugin], version: str | None = None) -> type[Plugin]:
        """Offer a class of a notebook as a plugin, and return it: it may stand as a decorator.

        Simulators, models, scorers and assimilations. Its identity is its source with all that this
        refers to; `version` takes its place, a text that you change whenever the numbers change.
        """
        identity = version or own_code.digest(plugin, plugin.__name__)
        self._register(plugin, identity, own_code.source(plugin))
        return plugin

    def _register(self, plugin: type[Plugin], identity: str, source: str) -> None:
        self.registry.register(plugin, identity, source)
        if self.engine.processes > 1 or self.engine.scheduler:
            warnings.warn(
                f"other processes do not have {plugin.name}, which lives in this session: this "
                f"process works alone from now on. In a file, named by plugins=[…], all have it.",
                stacklevel=4,
            )
            self.session = Session(replace(self.engine, processes=1, scheduler=None))

    def forecast(
        self,
        forecaster: Forecaster,
        *,
        members: int = 16,
        seed: int | None = None,
        label: str = "",
        keep_failures: bool = False,
        keep_bits: int | None = None,
        **cases: Any,
    ) -> Forecast:
        """Draw members for every init and lead time of the test split.

        `seed` is that of the noise; default: the one of the training. `cases`: other ones, `split`
        ("test" or "validation"), `inits` (first, stop), `every` and `leads`.
        """
        if not isinstance(members, int) or members < 1:
            raise GeobenchError(f"members = {members!r}: write a whole number from 1.")
        made = self.session.forecast(
            self._entry(forecaster, "forecaster"),
            members=members,
            seed=seed,
            label=label,
            keep_failures=keep_failures,
            keep_bits=keep_bits,
            cases=recipes.cases(cases),
        )
        return Forecast(self, made)

    def score(
        self,
        forecast: Forecast,
        *scorers: str | Mapping[str, Any] | Scorer,
        law: Forecast | None = None,
    ) -> list[Scores]:
        """Apply scorers to every case of a forecast, which is read once.

        `scorers`: names, `{use: name, …}`, or scorers; default: those of a study that names none.
        `law`: draws of the true distribution, for scorers that compare with it; default: those with
        which studies compare.
        """
        built = self.scorers_of(scorers) if scorers else self.registry.headline_scorers()
        if law is None and any(scorer.needs_law for scorer in built):
            law = forecast.true_distribution()
        draws = law.entry if law else None
        entries = self.session.scores(forecast.entry, built, draws)
        return [Scores(self, entry) for entry in entries]

    def scorers_of(self, scorers: Sequence[Any]) -> list[Scorer]:
        """Return scorers by their names, recipes or as they are; none: all that are offered."""
        names = [name for kind, name in self.registry.offers if kind == "scorer"]
        built = [recipes.scorer(self.registry, scorer) for scorer in scorers or names]
        for scorer in built:
            self._offer(scorer)
        return built

    def _offer(self, plugin: Plugin) -> None:
        """Register the class of a plugin, if it is one of this session and not registered yet."""
        if not recipes.is_offered(self.registry, plugin):
            self.register(type(plugin))

    def _entry(self, given: Made | str, kind: str) -> Entry:
        """Return the entry of an object or a reference; raise unless it is of a kind."""
        if isinstance(given, str):
            return self.catalog.get(given, kind)
        if isinstance(given, Made) and given.kind == kind:
            return given.entry
        what = given.reference if isinstance(given, Made) else f"a {type(given).__name__}"
        raise GeobenchError(
            f"{what} is no {kind}. Give a {kind.capitalize()}, or its reference, {kind}/NAME@1."
        )

    # -- comparing

    def compare(
        self,
        models: "Iterable[Forecaster | Forecast] | Forecaster | Forecast",
        data: Dataset | None = None,
        *,
        members: int = 16,
        scorers: Sequence[str | Mapping[str, Any] | Scorer] | None = None,
        by_model: bool = False,
    ) -> Board:
        """Compare models with the true distribution and with climatology, on one dataset.

        Forecasters draw `members` first. `scorers`: the first one ranks; default: those of a study
        that names none. `by_model`: a row is a model, the mean over its seeds.
        """
        return studies.compare(self, models, data, members, scorers, by_model=by_model)

    def run(self, study: "Study | str | Path", **options: Any) -> Boards:
        """Run a study: make what is missing, and compare. A failure stops nothing else.

        `study`: a `Study`, a YAML file, or the name of a published one. `options`: `nfe`, numbers
        of network evaluations that are compared, too.
        """
        return studies.run(self, study, **options)

    def leaderboard(self, study: "Study | str | Path", **options: Any) -> Boards:
        """Compare what is in the catalog; nothing of the study is made.

        `options`: `guests` (forecasts that are not in the study), `by_model`, `nfe`, and `binned`
        (a board for each third of the cases, e.g. by "predictability").
        """
        return studies.leaderboard(self, study, **options)

    def steps(self, study: "Study | str | Path", **options: Any) -> "pd.DataFrame":
        """Return the steps of a study, done or not; nothing is made."""
        return studies.steps(self, study, **options)

    def site(
        self, study: "Mapping[str, Study] | Study | str | Path", folder: str | Path, **options: Any
    ) -> Path:
        """Build the site of one study or several in a folder; return the path of its first page.

        `options`: `title`, `guests`, `by_model`, `imported` (show forecasts that were taken in) and
        `exchanges` (of exact tests; slow).
        """
        return studies.site(self, study, Path(folder), **options)

    # -- taking in

    def take(
        self, array: "xr.Dataset | xr.DataArray | Any", data: Dataset, label: str, **reading: Any
    ) -> Forecast:
        """Take in a forecast that is in memory, under the same checks as a file.

        `array`: xarray `(init_time, lead_time, member, *grid)`, or numpy of this shape (with a
        channel before the grid where there are several variables), in the dataset's units.
        `reading`: see `geobench.foreign.adoption.Reading`.
        """
        from geobench.lab.taking import take

        return take(self, array, data, label, **reading)

    def import_forecast(
        self, paths: str | Path | Sequence[str | Path], data: Dataset, label: str, **reading: Any
    ) -> Forecast:
        """Take in anyone's forecast from files, Zarr or netCDF."""
        from geobench.foreign.adoption import Reading, adopt

        how = Reading(**{"memory": self.engine.memory} | reading)
        entry, _ = adopt(self.catalog, paths, data.entry, label, how)
        return Forecast(self, entry)

    def import_forecaster(
        self,
        weights: str | Path,
        data: Dataset,
        model: str | Mapping[str, Any] | EnsembleModel,
        *,
        seed: int = 0,
        label: str = "",
        **fields: Any,
    ) -> Forecaster:
        """Take in weights that were trained elsewhere, a .safetensors file."""
        from geobench.nodes.imported import import_forecaster

        built = recipes.model(self.registry, model, fields)
        self._offer(built)
        made = import_forecaster(
            self.engine, Path(weights), data.entry, built, seed=seed, label=label
        )
        return Forecaster(self, made)

    # -- finding

    def get(self, reference: str) -> Any:
        """Return an entry by its reference: a Dataset, Forecaster, Forecast, Scores, or `Made`."""
        return finding.wrapped(self, self.catalog.get(reference))

    def query(self, expression: str = "") -> "pd.DataFrame":
        """Find entries by the query language of `geobench catalog query`."""
        return self.catalog.query(expression)

    def list(self, kind: str | None = None) -> "View":
        """List entries."""
        return finding.listed(self, kind)

    def plugins(self, kind: str | None = None) -> "View":
        """List what plugins offer, and the plugins that are set aside."""
        return finding.plugins(self.registry, kind)

    def fields(self, name: str) -> "View":
        """Show the fields of a plugin: kinds, defaults, and what they mean."""
        return finding.fields(self.registry, name)

    def reproduce(self, made: Made, tolerance: float = 0.0) -> "Reproduction":
        """Make an entry again in a scratch catalog, and compare."""
        from geobench.study.reproduction import reproduce

        return reproduce(self.engine, made.entry, tolerance)

    def describe(self, name: str | Experiment, **options: Any) -> "Description":
        """Measure a simulator or an experiment: climate, predictability, exponents, extremes.

        `options`: `effort` ("quick", "normal", "long"), `seed`, `exponents`, `spin_up`, and
        changes of fields.
        """
        from geobench.lab.describing import describe

        return describe(self, name, **options)

    def doctor(self) -> "View":
        """Check the installation, its plugins and the catalog, quickly."""
        return finding.doctor(self)

    def __repr__(self) -> str:
        return f"<Lab {self.catalog.url}>"
