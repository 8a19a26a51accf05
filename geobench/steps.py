"""The four steps, simulate, train, forecast, score: from catalog entries to a catalog entry.

A step whose computation (recipe and parents) is in the catalog is not done again.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

from geobench import numerics
from geobench.cases import Cases, check_equal_members, check_same, member_counts
from geobench.dataset import Dataset
from geobench.entries.recipes import FOREIGN, IMPORTED
from geobench.errors import GeobenchError
from geobench.forecasts import layout
from geobench.forecasts.failures import BEYOND, Limits
from geobench.interfaces.experiment import Experiment
from geobench.interfaces.model import EnsembleModel, Forecaster, Progress, Run, Task, silent
from geobench.interfaces.scorer import Scorer
from geobench.interfaces.state import StateSpec
from geobench.registry import Registry
from geobench_catalog import Catalog, CatalogError, Entry

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr
    from torch import Tensor

    from geobench.defects import Power
    from geobench.exchange import Verdict
    from geobench.interfaces.experiment import Control, Event
    from geobench.interfaces.scorer import Context
    from geobench.passes import Source
    from geobench.planning import Aim, Plan
    from geobench.rounding import Rounding
    from geobench.scoring import Piece
    from geobench_catalog.draft import Draft

Watch = Callable[[str], AbstractContextManager[Progress]]
"""Called with what is about to be done; gives the progress to report to."""

_WEIGHTS = "weights.safetensors"
_LEAST = 2**26  # bytes, with fewer of which many passes would take their time for nothing
PATIENCE = 0.5
"""Seconds until it is asked again whether a work is done, or free."""
_Block = TypeVar("_Block")


def unwatched(_title: str) -> AbstractContextManager[Progress]:
    """Watch nothing."""
    return nullcontext(silent)


class BusyError(GeobenchError):
    """Another process is at this very work."""


@contextmanager
def blaming(owner: str) -> Iterator[None]:
    """Turn whatever a plugin raises into an error that names the plugin."""
    try:
        yield
    except CatalogError:
        raise  # not the plugin's fault
    except GeobenchError as error:
        told = str(error)
        raise GeobenchError(told if told.startswith(owner) else f"{owner}: {told}") from error
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        reason = " ".join(str(error).split())
        raise GeobenchError(
            f"{owner} failed with {type(error).__name__}: {reason}. Run again with --debug to see "
            f"where, and mend the plugin."
        ) from error


@dataclass(frozen=True)
class PieceTask:
    """A piece of a forecast to score, and with what."""

    forecast: str
    law: str | None
    piece: "Piece"
    scorers: Sequence[Scorer]
    counts: Sequence[int] | None = None
    """How many members each init is scored with, where that differs; default: all."""
    threads: int | None = None
    """Threads to compute with, wherever it is done; default: as many as torch is allowed there."""


@dataclass
class Steps:
    """The steps, with a catalog to read and write, plugins to use and somebody who watches."""

    catalog: Catalog
    registry: Registry
    watch: Watch = unwatched
    device: str = "cpu"
    memory: int = 2**30
    """Bytes that data may take while they are forecast, scored, written and read.

    Besides: what the networks need, one tile of inits and members, and the programs themselves."""

    checkpoint_every: float = 60.0
    """Seconds between the checkpoints of a training."""

    scheduler: str | None = None
    """Address of a dask scheduler, whose workers score; default: it is done here."""

    wait: bool = True
    """Wait where another process is at the same work; otherwise that is a `BusyError`."""

    threads: int | None = None
    """Threads to compute with; default: as many as torch is allowed when a step begins.

    The last bits of sums depend on it, so the record of each entry names it."""

    def __post_init__(self) -> None:
        self._dataset: Dataset | None = None
        # Forecasts that are being scored, by the id of the entry.
        self._opened: dict[str, xr.Dataset] = {}
        if self.device != "cpu":
            _check_device(self.device)

    @contextmanager
    def _draft(self, kind: str, name: str, **how: Any) -> "Iterator[Draft]":
        """Begin an entry, computed with the threads of these steps; its record names them."""
        with (
            numerics.settled(self.threads) as threads,
            self.catalog.draft(kind, name, environment={"threads": threads}, **how) as draft,
        ):
            yield draft

    @contextmanager
    def _claimed(
        self, kind: str, what: str, recipe: Mapping[str, Any], parents: Mapping[str, Entry]
    ) -> "Iterator[None]":
        """Do a work that no other process is at; look again whether it is done once it is ours."""
        first = True
        while True:
            with self.catalog.claim(kind, recipe, parents) as ours:
                if ours:
                    yield
                    return
            if not self.wait:
                raise BusyError(f"another process is making {what}.")
            if first:
                with self.watch(f"wait for another process that is making {what}"):
                    first = False
            time.sleep(PATIENCE)

    # -- datasets

    def find_dataset(self, experiment: Experiment) -> Entry | None:
        """Return the dataset of an experiment, if it is there."""
        return self.catalog.find("dataset", _experiment_recipe(experiment), {})

    def simulate(self, name: str, experiment: Experiment) -> Entry:
        """Realise an experiment: its trajectories, climatology and init times."""
        if found := self.find_dataset(experiment):
            return found
        with self._claimed("dataset", f"the dataset {name}", _experiment_recipe(experiment), {}):
            return self.find_dataset(experiment) or self._simulate(name, experiment)

    def _simulate(self, name: str, experiment: Experiment) -> Entry:
        from geobench import simulating
        from geobench.twins import Twin

        simulator = self.registry.simulator(experiment.simulator)
        assimilation = experiment.assimilation and self.registry.assimilation(
            experiment.assimilation
        )
        states = sum(rows * steps for rows, steps in _sizes(experiment))
        self.catalog.check_room(4 * states * prod(simulator.spec.shape), f"the dataset {name}")
        labels = {"dataset": name, "title": experiment.title}
        recipe = _experiment_recipe(experiment)
        with self._draft("dataset", name, recipe=recipe, labels=labels) as draft:
            owner = f"the simulator {simulator.name}"
            if assimilation:
                owner += f", followed by {assimilation.name}"
            with blaming(owner):
                twin = Twin(experiment, simulator, assimilation or None)
                plugins = [simulator, *([assimilation] if assimilation else [])]
                for split in simulating.splits(experiment):
                    with self.watch(f"simulate {name}: {split}") as progress:
                        for group, dim, block in twin.realise(split, progress):
                            draft.write(
                                block,
                                group=group,
                                append=dim,
                                chunks=layout.of_trajectories(block, dim).chunks,
                            )
                for plugin in plugins:
                    plugin.check_files()
            train = draft.read(experiment.truth_group("train"))
            draft.write(
                simulating.climatology(experiment, train, self.memory // 8), group="climatology"
            )
            draft.write(simulating.inits(experiment, draft.read("test")), group="inits")
            return draft.publish(
                {
                    "states": sum(a * b for a, b in _sizes(experiment)),
                    "inexact_law": experiment.inexact_law,
                    **({"analysis": twin.skill} if assimilation else {}),
                }
            )

    def animate(self, dataset: Entry, path: "Path") -> None:
        """Draw the first test trajectory: a film or a picture, by the ending of `path`."""
        from geobench import film

        simulator = self.dataset(dataset).simulator
        title = str(dataset.reference)
        with dataset.reading():
            shots = film.shots(dataset.open("test"), simulator, title)
        with self.watch(f"draw {path.name}"):
            film.save(shots, path)

    # -- forecasters

    def find_forecaster(self, dataset: Entry, model: EnsembleModel, seed: int) -> Entry | None:
        """Return the forecaster that this model became on this dataset, if it is there."""
        recipe, parents = {"model": model.recipe(), "seed": seed}, {"dataset": dataset}
        trained = model.trained()
        if trained.recipe() != model.recipe():
            weights = self.find_forecaster(dataset, trained, seed)
            if weights is None:
                return None
            parents["weights"] = weights
        return self.catalog.find("forecaster", recipe, parents)

    def train(
        self, dataset: Entry, model: EnsembleModel, *, seed: int = 0, label: str = ""
    ) -> Entry:
        """Fit a model to the train and validation splits of a dataset.

        A model that has the weights of another one (`EnsembleModel.trained`) is restored from that.
        """
        from geobench.training import processes

        trained, weights = model.trained(), None
        with blaming(f"the model {label or model.name}"):
            model.check(self.dataset(dataset).task(model))
        if trained.recipe() != model.recipe():
            weights = self.train(dataset, trained, seed=seed)

        def found() -> str | None:
            entry = self.find_forecaster(dataset, model, seed)
            return str(entry.reference) if entry else None

        label = label or model.name
        recipe = {"model": model.recipe(), "seed": seed}
        if processes.rank() != 0 or found():
            claim: AbstractContextManager[None] = nullcontext()
        else:
            what, parents = f"the forecaster {label}", {"dataset": dataset}
            claim = self._claimed("forecaster", what, recipe, parents)
        with claim:
            reference = processes.first(found, self.device)
            if reference is None:
                self._fit(dataset, model, seed, label, weights)
                reference = processes.first(found, self.device)
        return self.catalog.get(str(reference))

    def _fit(
        self, dataset: Entry, model: EnsembleModel, seed: int, label: str, weights: Entry | None
    ) -> None:
        """Train or derive a forecaster; of several processes the first one publishes it."""
        from geobench.training import processes

        recipe = {"model": model.recipe(), "seed": seed}
        if weights is not None:
            if processes.rank() == 0:
                self._derive(dataset, model, seed, label, weights)
        elif processes.rank() == 0:
            with (
                self.catalog.work("forecaster", recipe, {"dataset": dataset}) as folder,
                numerics.settled(_threads_begun_with(folder)),
            ):
                self._train(dataset, model, seed, label, folder)
        else:
            training = self._training(self.dataset(dataset), model)
            run = self._run(dataset, model, seed, training)
            with (
                numerics.settled(self.threads),
                blaming(f"the model {label}"),
                numerics.seeded(seed),
            ):
                model.fit(training, run)

    def _train(
        self, dataset: Entry, model: EnsembleModel, seed: int, label: str, folder: "Path"
    ) -> Entry:
        """Fit a model and publish it; checkpoints and logs are kept in `folder` meanwhile."""
        import torch

        from geobench.training import cost

        name = f"{dataset.record.name}.{label}.s{seed}"
        with self._draft(
            "forecaster",
            name,
            recipe={"model": model.recipe(), "seed": seed},
            parents={"dataset": dataset},
            labels={"model": label, "dataset": dataset.record.name},
        ) as draft:
            training = self._training(self.dataset(dataset), model)
            run = self._run(dataset, model, seed, training)
            run.folder = folder
            with self.watch(f"train {name}") as progress, blaming(f"the model {label}"):
                run.progress = progress
                memory = cost.PeakMemory(run.device)
                with numerics.seeded(seed):
                    forecaster = model.fit(training, run)
                model.check_files()
                peak = memory.grown()
                stored = _stored(model, forecaster, training.task)
                step = cost.StepCost.of(forecaster, training.train[:1, : training.task.history])
            draft.write_file(_WEIGHTS, stored)
            for path in sorted(folder.glob("*training")) + sorted(folder.glob("*.csv")):
                draft.write_file(path.name, path.read_bytes())
            draft.write(_training_log(run))
            return draft.publish(
                {
                    **cost.summary(forecaster, run, step),
                    "peak_memory": peak,
                    "knows_law": model.knows_law,
                    "device": self.device,
                    "threads": torch.get_num_threads(),
                }
            )

    def _derive(
        self, dataset: Entry, model: EnsembleModel, seed: int, label: str, weights: Entry
    ) -> Entry:
        """Publish a model with the weights of another forecaster; training cost what that did."""
        from geobench.training import cost

        name = f"{dataset.record.name}.{label}.s{seed}"
        recipe = {"model": model.recipe(), "seed": seed}
        with self._draft(
            "forecaster",
            name,
            recipe=recipe,
            parents={"dataset": dataset, "weights": weights},
            labels={"model": label, "dataset": dataset.record.name},
        ) as draft:
            content, data = weights.content(_WEIGHTS), self.dataset(dataset)
            task = data.task(model)
            history = data.first_states(task.history)
            with blaming(f"the model {label}"):
                forecaster = _restored(model, content, task)
                data.check_history(forecaster.history)
                step = cost.StepCost.of(forecaster, history)
            draft.write_file(_WEIGHTS, content)
            draft.write(weights.load())
            return draft.publish(
                {
                    **weights.record.summary,
                    **step.summary(),
                    "trained_as": str(weights.reference),
                }
            )

    def adopt_forecaster(
        self, path: "Path", dataset: Entry, model: EnsembleModel, *, seed: int = 0, label: str = ""
    ) -> Entry:
        """Publish weights that were trained elsewhere as a forecaster of `dataset`.

        `path` is a safetensors file with what the model's `weights()` return. The model is restored
        from it and draws a few members, before anything is published. The entry is no result of
        `train`: its recipe holds the digest of the weights, and nothing is known of its cost.
        """
        import hashlib

        import safetensors.torch

        from geobench.foreign import weights as foreign_weights
        from geobench.training import cost

        label = label or model.name
        if model.knows_law:
            raise GeobenchError(f"the model {label} is given the law: it has no weights to import.")
        weights = foreign_weights.read(path)
        content = safetensors.torch.save(weights)  # in one order, whoever wrote the file
        imported = {"file": path.name, "sha256": hashlib.sha256(content).hexdigest()}
        recipe = {"model": model.recipe(), "seed": seed, IMPORTED: imported}
        task = self.dataset(dataset).task(model)
        with blaming(f"the model {label}"):
            model.check(task)
            try:
                forecaster = _restored(model, content, task)
            except GeobenchError:
                raise
            except Exception as error:
                raise foreign_weights.not_restored(error, weights) from error
            foreign_weights.check_used(weights, forecaster.weights())
        parents = {"dataset": dataset}
        if found := self.catalog.find("forecaster", recipe, parents, door="forecaster"):
            return found
        with self._draft(
            "forecaster",
            f"{dataset.record.name}.{label}.s{seed}",
            recipe=recipe,
            parents=parents,
            labels={"model": label, "dataset": dataset.record.name},
            door="forecaster",
        ) as draft:
            with blaming(f"the model {label}"):
                history = self._try_out(forecaster, dataset, task, seed)
                step = cost.StepCost.of(forecaster, history)
            draft.write_file(_WEIGHTS, content)
            draft.write(_training_log(Run(seed)))
            network = forecaster.network
            count = sum(p.numel() for p in network.parameters()) if network is not None else 0
            return draft.publish({"parameters": count, **step.summary(), "knows_law": False})

    def _try_out(self, forecaster: Forecaster, dataset: Entry, task: Task, seed: int) -> "Tensor":
        """Draw four members of the first init; raise if one fails. Return the init's history."""
        from geobench import forecasting

        data = self.dataset(dataset)
        history = data.histories(forecaster.history, Cases())[:1]
        rows = [(0, member) for member in range(4)]
        leads = min(2, Cases().steps_of(data.experiment))
        with _own_randomness():
            drawn = forecasting.members(
                forecaster, history, rows, leads=leads, seed=seed, spec=task.spec
            )
        block = drawn.transpose(0, 1)[None].numpy()
        piece = task.spec.dataset(block, ("init_time", "lead_time", "member"))
        failed = Limits.of(dataset).failed(piece)
        if failed.counts():
            raise GeobenchError(
                f"restored from these weights, {failed.counts().total()} of 4 members fail: "
                f"{failed.described()}. Check that weights and model belong together, "
                f"normalisation included."
            )
        return history

    def _run(self, dataset: Entry, model: EnsembleModel, seed: int, training: "Any") -> Run:
        """What a model is told of how to fit; of the law two numbers, where it is known exactly."""
        from geobench.interfaces.validation import Validation
        from geobench.training import processes, validating

        run = Run(
            seed,
            processes.device(self.device),
            checkpoint_every=self.checkpoint_every,
            recipe=model.recipe(),
        )
        if model.knows_law:
            return run
        validation = Validation.of(training)
        data = self.dataset(dataset)
        law = data.law
        if validation is not None and law.states is None:
            if data.ends is None:
                ends = validating.with_ends(validation, training, law)
                data.ends = ends.climatology, ends.oracle
            climatology, oracle = data.ends
            validation = replace(validation, climatology=climatology, oracle=oracle)
        run.validation = validation
        return run

    def restore(self, forecaster: Entry) -> tuple[Forecaster, Task]:
        """Load a forecaster from the catalog."""
        if forecaster.record.recipe["model"].get("use") == FOREIGN:
            raise GeobenchError(
                f"{forecaster.reference} stands for a forecast that was imported; there is nothing "
                f"of it to forecast with. Score its forecast."
            )
        model = self.registry.model(forecaster.record.recipe["model"])
        dataset = self.catalog.parent(forecaster, "dataset")
        task = self.dataset(dataset).task(model)
        with (
            numerics.settled(self.threads),
            blaming(f"the model {forecaster.record.labels['model']}"),
        ):
            restored = _restored(model, forecaster.content(_WEIGHTS), task)
            model.check_files()
        if restored.network is not None:
            restored.network.to(self.device)
        return restored, task

    # -- forecasts

    def find_forecast(
        self,
        forecaster: Entry,
        members: int,
        seed: int,
        keep_bits: int | None = None,
        cases: Cases | None = None,
    ) -> Entry | None:
        """Return the forecast with these members, if it is there."""
        recipe = _forecast_recipe(members, seed, keep_bits) | (cases or Cases()).recipe()
        return self.catalog.find("forecast", recipe, {"forecaster": forecaster})

    def forecast(
        self,
        forecaster: Entry,
        *,
        members: int,
        seed: int | None = None,
        label: str = "",
        keep_failures: bool = False,
        keep_bits: int | None = None,
        cases: Cases | None = None,
    ) -> Entry:
        """Draw `members` members for every init and lead time of `cases`; default: the test split.

        `seed` is that of the noise; default: the one of the forecaster's training.
        A member that failed (`geobench.forecasts.failures`) is an error, unless `keep_failures`:
        then it is stored as it is, failed members are counted in the record, and the entry ranks
        below those that finish. The law itself fails only where it is not finite.
        `keep_bits`: round to so many bits of the climate's standard deviation; what that changes in
        the scores stands in the record.
        """
        seed = int(forecaster.record.recipe["seed"]) if seed is None else seed
        dataset = self.catalog.parent(forecaster, "dataset")
        cases = (cases or Cases()).settled(self.dataset(dataset).experiment, dataset)
        if found := self.find_forecast(forecaster, members, seed, keep_bits, cases):
            return found
        recipe = _forecast_recipe(members, seed, keep_bits) | cases.recipe()
        what = f"the forecast {label or forecaster.record.name}"
        with self._claimed("forecast", what, recipe, {"forecaster": forecaster}):
            return self.find_forecast(
                forecaster, members, seed, keep_bits, cases
            ) or self._forecast(
                forecaster,
                members,
                seed,
                label=label,
                keep_failures=keep_failures,
                keep_bits=keep_bits,
                cases=cases,
            )

    def _forecast(
        self,
        forecaster: Entry,
        members: int,
        seed: int,
        *,
        label: str,
        keep_failures: bool,
        keep_bits: int | None,
        cases: Cases,
    ) -> Entry:
        dataset = self.catalog.parent(forecaster, "dataset")
        data = self.dataset(dataset)
        from geobench import forecasting
        from geobench.writing import Writer

        labels = dict(forecaster.record.labels)
        labels["model"] = label or labels["model"]
        restored, task = self.restore(forecaster)
        inits, leads = data.inits(cases), cases.steps_of(data.experiment)
        _check_start(cases, task, dataset)
        name = f"{labels['dataset']}.{labels['model']}.s{forecaster.record.recipe['seed']}"
        if seed != forecaster.record.recipe["seed"]:
            name += f".noise{seed}"
        name += cases.label()
        numbers = inits.sizes["init_time"] * leads * members * prod(task.spec.shape)
        self.catalog.check_room(4 * numbers, f"the forecast {name}")
        recipe = _forecast_recipe(members, seed, keep_bits) | cases.recipe()
        shape, batch = _forecast_blocks(
            task.spec, leads, members, inits.sizes["init_time"], self.memory
        )
        coords = _forecast_coords(inits, leads, members, task)
        rounding = self._rounding(data, keep_bits, cases) if keep_bits else None
        cost = forecasting.Cost()
        with self._draft(
            "forecast", name, recipe=recipe, parents={"forecaster": forecaster}, labels=labels
        ) as draft:
            limits = Limits.of(dataset, only_finite=task.law is not None)
            writer = Writer(draft, task.spec, coords, shape, rounding, keep_failures, limits=limits)
            with (
                self.watch(f"forecast {name}") as progress,
                blaming(f"the model {labels['model']}"),
            ):
                blocks = forecasting.forecast(
                    restored,
                    data.histories(restored.history, cases),
                    count=members,
                    leads=leads,
                    seed=seed,
                    spec=task.spec,
                    batch=batch,
                    cost=cost,
                    device=self.device,
                    progress=progress,
                    stream=cases.stream(),
                    chosen=range(*cases.inits) if cases.inits else None,
                )
                for piece in _repeatable(blocks):
                    writer.put(*piece)
            return draft.publish(
                {
                    **cost.summary(leads),
                    "failed_members": writer.failures.total(),
                    **({"failures": dict(writer.failures)} if writer.failures else {}),
                    "members": members * inits.sizes["init_time"],
                    **({"rounding": rounding.summary()} if rounding else {}),
                }
            )

    def _rounding(self, dataset: Dataset, bits: int, cases: Cases) -> "Rounding":
        from geobench.rounding import Rounding, bits_of

        names = [variable.name for variable in dataset.spec.variables]
        kept = bits_of(dataset.climatology, names, bits)
        scorers = self.registry.headline_scorers()
        return Rounding(kept, scorers, dataset.outcome(cases=cases), self.context(dataset))

    # -- scores

    def find_scores(
        self, forecast: Entry, scorers: Sequence[Scorer], law: Entry | None = None
    ) -> list[Entry | None]:
        """Return the score of this forecast by each scorer, where it is there."""
        parents = self._score_parents(forecast)
        controls = [self.find_controls(parents["dataset"], own) for own in scorers]
        wanted = [
            (own.recipe(), parents | _lawful(own, law) | runs)
            for own, runs in zip(scorers, controls, strict=True)
            if runs is not None
        ]
        found = iter(self.catalog.find_all("score", wanted))
        return [None if runs is None else next(found) for runs in controls]

    def score(self, forecast: Entry, scorer: Scorer, law: Entry | None = None) -> Entry:
        """Apply a scorer to every case of a forecast."""
        return self.scores(forecast, [scorer], law)[0]

    def scores(
        self, forecast: Entry, scorers: Sequence[Scorer], law: Entry | None = None
    ) -> list[Entry]:
        """Apply scorers to every case of a forecast, which is read once.

        `law` is a forecast of the true law, for the scorers that compare with one.
        """
        found = self.find_scores(forecast, scorers, law)
        if all(found):
            return [entry for entry in found if entry]
        what = f"scores of {forecast.reference}"
        with self._claimed("score", what, {}, {"forecast": forecast}):
            found = self.find_scores(forecast, scorers, law)
            missing = [own for own, entry in zip(scorers, found, strict=True) if entry is None]
            made = iter(self._score(forecast, missing, law) if missing else [])
            return [entry or next(made) for entry in found]

    def _score(self, forecast: Entry, scorers: Sequence[Scorer], law: Entry | None) -> list[Entry]:
        if law and law.id != forecast.id and any(scorer.needs_law for scorer in scorers):
            self._check_law(forecast, law)
        made = []
        parents = self._score_parents(forecast)
        controls = [self.controls(parents["dataset"], scorer) for scorer in scorers]
        with (
            numerics.settled(self.threads),
            self.watch(f"score {forecast.record.name}") as progress,
        ):
            every = self._statistics(forecast, scorers, law, progress)
            for scorer, runs, statistics in zip(scorers, controls, every, strict=True):
                with blaming(f"the scorer {scorer.name}"):
                    scorer.check_files()
                if scorer.needs_law and law and law.id == forecast.id:
                    statistics = statistics * 0  # nothing lies between the law and itself
                of = parents | _lawful(scorer, law) | runs
                made.append(self._publish_score(forecast, scorer, of, statistics))
        return made

    def _publish_score(
        self,
        forecast: Entry,
        scorer: Scorer,
        parents: Mapping[str, Entry],
        statistics: "xr.Dataset",
    ) -> Entry:
        import numpy as np

        from geobench import scoring

        leads = statistics["lead_time"].to_numpy() / np.timedelta64(1, "h")
        with self._draft(
            "score",
            f"{forecast.record.name}.{scorer.name}",
            recipe=scorer.recipe(),
            parents=parents,
            labels={**forecast.record.labels, "scorer": scorer.name},
        ) as draft:
            draft.write(statistics)
            return draft.publish(
                {
                    "cases": statistics.sizes["init_time"],
                    "better": scorer.better,
                    "lead_hours": leads.tolist(),
                    "scores": scoring.overall(scorer, statistics),
                }
            )

    def _statistics(
        self,
        forecast: Entry,
        scorers: Sequence[Scorer],
        law: Entry | None,
        progress: Progress,
    ) -> "Iterator[xr.Dataset]":
        """Score piece by piece, here or on the workers of a scheduler; the numbers are the same."""
        import torch

        from geobench import scoring
        from geobench.spreading import spread

        self._opened.clear()  # whoever scores again finds what is damaged since
        members = self._open(forecast)
        lawful = any(scorer.needs_law for scorer in scorers)
        draws = self._open(law) if law and lawful else None
        frame = self.dataset_of(forecast).frame(Cases.of(forecast))
        scoring.check(scorers, members, frame, draws)
        cases = {dim: members.sizes[dim] for dim in scoring.CASE_DIMS}
        opened = [each for each in (members, draws) if each is not None]
        size = sum(each.nbytes for data in opened for each in data.data_vars.values())
        most = max(1, self.memory // 16 // max(1, size // prod(cases.values())))
        groups = self._grouped(forecast, scorers, draws)
        work = [
            (own, counts, piece)
            for own, counts in groups
            for piece in scoring.pieces(scorers[own[0]], cases, most)
        ]
        tasks = [
            PieceTask(
                str(forecast.reference),
                str(law.reference) if law and lawful else None,
                piece,
                [scorers[place] for place in own],
                counts,
                torch.get_num_threads(),
            )
            for own, counts, piece in work
        ]
        parts: list[list[tuple[scoring.Piece, xr.Dataset]]] = [[] for _ in scorers]
        results = spread(self, tasks)
        for done, ((own, _, _), found) in enumerate(zip(work, results, strict=True), 1):
            for place, each in zip(own, found, strict=True):
                parts[place].extend(each)
            progress(done, len(work), "")
        for scorer, own_parts in zip(scorers, parts, strict=True):
            with blaming(f"the scorer {scorer.name}"):
                whole = scoring.joined(scorer, own_parts)
            own_parts.clear()  # what several scorers share is held until the last has copied it
            yield whole

    def _grouped(
        self, forecast: Entry, scorers: Sequence[Scorer], draws: "xr.Dataset | None"
    ) -> list[tuple[list[int], list[int] | None]]:
        """Places of the scorers that are given the same pieces, and the members of each init.

        Where inits differ in number of members, each is scored with its own; by scorers that count
        ranks, whose statistics could not be averaged then, with as many as the init with the
        fewest.
        """
        from geobench import scoring

        together, counts = _read_together(scorers), member_counts(forecast)
        if counts is None:
            return [(own, None) for own in together]
        dataset, members = self.dataset_of(forecast), forecast.open()
        most = counts.index(max(counts))
        case = scoring.Piece((most, most + 1), (0, members.sizes["lead_time"]))
        truth = dataset.outcome(case)
        context = self.context(dataset, scorers)
        ranked = {
            place
            for place, scorer in enumerate(scorers)
            if scoring.shaped_by_members(scorer, case, members, truth, context, counts, draws)
        }
        groups: list[tuple[list[int], list[int] | None]] = []
        for own in together:
            for members_of, part in (
                (counts, [place for place in own if place not in ranked]),
                ([min(counts)] * len(counts), [place for place in own if place in ranked]),
            ):
                if part:
                    groups.append((part, members_of))
        return groups

    def piece(self, task: "PieceTask") -> "list[list[tuple[Piece, xr.Dataset]]]":
        """Score one piece of a forecast."""
        from geobench import scoring

        forecast = self.catalog.get(task.forecast, "forecast")
        law = self.catalog.get(task.law, "forecast") if task.law else None
        dataset = self.dataset_of(forecast)
        return scoring.of_piece(
            task.scorers,
            task.piece,
            self._open(forecast),
            dataset.outcome(task.piece, Cases.of(forecast)),
            self.context(dataset, task.scorers),
            law=self._open(law) if law else None,
            counts=task.counts,
            reading=forecast.reading,
            reading_law=law.reading if law else nullcontext,
            blaming=blaming,
        )

    def _open(self, entry: Entry) -> "xr.Dataset":
        """Open a forecast once for all its pieces: that takes as long as scoring a small one."""
        if entry.id not in self._opened:
            while len(self._opened) > 1:  # a forecast and its law
                del self._opened[next(iter(self._opened))]
            self._opened[entry.id] = entry.open()
        return self._opened[entry.id]

    def verdicts(
        self,
        forecast: Entry,
        law: Entry,
        scorers: Sequence[Scorer],
        exchanges: int,
        *,
        classify: bool = True,
    ) -> "list[Verdict]":
        """Test whether a forecast is of the law, as far as scores can see.

        `law` is a forecast of the law with other noise. `classify`: a classifier is asked, too.
        """
        from geobench import exchange

        check_equal_members(forecast, "geobench test")
        dataset, cases = self._check_law(forecast, law), Cases.of(forecast)
        source = self._source(dataset, cases, forecast, law)
        with self.watch(f"test {forecast.record.name}") as progress:
            return exchange.verdicts(
                scorers,
                source,
                self.context(dataset, scorers),
                exchanges=exchanges,
                inits=dataset.inits(cases) if classify else None,
                blaming=blaming,
                progress=progress,
            )

    def _source(self, dataset: Dataset, cases: Cases, *forecasts: Entry) -> "Source":
        """Forecasts of the same cases, with their outcomes, to be read in pieces."""
        from geobench.passes import Source

        names = [variable.name for variable in dataset.spec.variables]
        return Source(
            tuple(each.open()[names] for each in forecasts),
            lambda piece: dataset.outcome(piece, cases),
            max(self.memory, _LEAST),
            _reading(*forecasts),
        )

    def _check_law(self, forecast: Entry, law: Entry) -> Dataset:
        """Return the dataset of both; refuse a law that is none, or that shares its noise."""
        dataset = self._of_law(law)
        check_same(forecast, law)
        fitted = self.catalog.parent(forecast, "forecaster")
        own = self.catalog.parent(fitted, "dataset")
        if own.id != dataset.entry.id:
            raise GeobenchError(
                f"{forecast.reference} is of {own.reference}, and {law.reference} of "
                f"{dataset.entry.reference}. Name a forecast of the law of the same dataset."
            )
        same_model = fitted.id == self.catalog.parent(law, "forecaster").id
        if same_model and forecast.record.recipe["seed"] == law.record.recipe["seed"]:
            raise GeobenchError(
                f"{forecast.reference} and {law.reference} have the same noise (seed "
                f"{law.record.recipe['seed']}): members of one are draws of the other. Name a "
                f"forecast of the law with another seed."
            )
        return dataset

    def _of_law(self, law: Entry) -> Dataset:
        """Return the dataset of a forecast of the law."""
        fitted = self.catalog.parent(law, "forecaster")
        if not fitted.record.summary.get("knows_law"):
            raise GeobenchError(
                f"{law.reference} is not of the law. Name a forecast of a model that is given it, "
                f"such as a study's reference."
            )
        dataset = self.catalog.parent(fitted, "dataset")
        if "imported" in (law.origin, fitted.origin) and dataset.origin != "imported":
            raise GeobenchError(
                f"{law.reference} is imported, so nobody here knows that it is of the law of "
                f"{dataset.reference}. Draw one here, or, if you trust it: geobench catalog trust "
                f"{law.reference}."
            )
        return self.dataset(dataset)

    def power(self, law: Entry, scorers: Sequence[Scorer], members: int) -> "list[Power]":
        """Measure what scorers notice, at the cases of a law's forecast and so many members."""
        from geobench import defects

        dataset, cases = self._of_law(law), Cases.of(law)
        source = self._source(dataset, cases, law)
        with self.watch(f"power {law.record.name}") as progress:
            return defects.measure(
                scorers,
                source,
                members,
                self.context(dataset, scorers),
                dataset.inits(cases)["trajectory"].to_numpy(),
                blaming,
                progress,
            )

    def plan(
        self,
        forecast: Entry,
        law: Entry,
        scorer: Scorer,
        aim: "Aim",
        members: Sequence[int],
        *,
        law_members: int | None = None,
    ) -> "list[Plan]":
        """Tell how many cases and members it takes to notice a difference from the law.

        `law` is a forecast of the law with other noise.
        """
        from geobench import planning

        check_equal_members(forecast, "geobench plan")
        dataset, cases = self._check_law(forecast, law), Cases.of(forecast)
        drawn, draws = (self._source(dataset, cases, each) for each in (forecast, law))
        with self.watch(f"plan {forecast.record.name}") as progress:
            return planning.plan(
                scorer,
                drawn,
                draws,
                self.context(dataset, [scorer]),
                dataset.inits(cases),
                aim=aim,
                members=members,
                law_members=law_members,
                blaming=blaming,
                progress=progress,
            )

    # -- events

    def events(self, forecast: Entry) -> Entry:
        """Count the experiment's events over the members of a forecast: p of each init and lead.

        For an oracle's forecast that is p*(x0), the true probability. Thresholds are quantiles of
        the train split's truth.
        """
        check_equal_members(forecast, "geobench events")
        parents = self._score_parents(forecast)
        dataset = parents["dataset"]
        experiment = self.dataset(dataset).experiment
        wanted = [event.model_dump(mode="json") for event in experiment.events]
        found = self.catalog.find("events", {"events": wanted}, parents)
        if found:
            return found
        if not experiment.events:
            raise GeobenchError(f"{dataset.reference}: the experiment names no events. Add some.")
        recipe, what = {"events": wanted}, f"events of {forecast.reference}"
        with self._claimed("events", what, recipe, parents):
            return self.catalog.find("events", recipe, parents) or self._events(forecast, recipe)

    def _events(self, forecast: Entry, recipe: dict[str, Any]) -> Entry:
        from geobench import probabilities

        parents = self._score_parents(forecast)
        dataset = self.dataset(parents["dataset"])
        experiment, simulator = dataset.experiment, dataset.simulator
        states = probabilities.Whole(simulator, experiment.shown)
        name, labels = forecast.record.name, dict(forecast.record.labels)
        with (
            self._draft("events", name, recipe=recipe, parents=parents, labels=labels) as draft,
            self.watch(f"events {name}") as progress,
            blaming(f"the simulator {simulator.name}"),
        ):
            with dataset.entry.reading():
                train = dataset.entry.open(experiment.truth_group("train"))
                limits = probabilities.thresholds(experiment.events, states, train)
            counted = probabilities.count(
                experiment.events,
                states,
                limits,
                forecast.open(),
                forecast.reading,
                progress,
                self.memory,
            )
            draft.write(counted)
            return draft.publish({"members": int(counted.attrs["members"])})

    # -- control runs

    def find_controls(self, dataset: Entry, scorer: Scorer) -> dict[str, Entry] | None:
        """Return the control runs that a scorer's thresholds are from, by role.

        Of a scorer without such thresholds there are none. None: one of them is not there.
        """
        events, run = scorer.events_counted(), scorer.control_run()
        if run is None or not events:
            return {}
        found = self.find_control(dataset, events, run)
        named = zip(events, found, strict=True)
        there = {f"control.{event.name}": entry for event, entry in named if entry}
        return there if len(there) == len(events) else None

    def controls(self, dataset: Entry, scorer: Scorer) -> dict[str, Entry]:
        """Return what `find_controls` returns, after making what is not there."""
        events, run = scorer.events_counted(), scorer.control_run()
        if run is None or not events:
            return {}
        made = self.control(dataset, events, run)
        return {f"control.{event.name}": each for event, each in zip(events, made, strict=True)}

    def find_control(
        self, dataset: Entry, events: "Sequence[Event]", run: "Control"
    ) -> list[Entry | None]:
        """Return the control run of each event, where it is there."""
        experiment = self.dataset(dataset).experiment
        wanted = [(_control_recipe(experiment, each, run), {"dataset": dataset}) for each in events]
        return self.catalog.find_all("control", wanted)

    def control(self, dataset: Entry, events: "Sequence[Event]", run: "Control") -> list[Entry]:
        """Run a dataset's simulator freely, and keep counts of what each of the events measures.

        What is not there is counted in one run. Nothing else of the dataset is used.
        """
        if not all(self.find_control(dataset, events, run)):
            what = f"a control run of {dataset.reference}"
            with self._claimed("control", what, {}, {"dataset": dataset}):
                self._control(dataset, events, run)
        return [entry for entry in self.find_control(dataset, events, run) if entry]

    def _control(self, dataset: Entry, events: "Sequence[Event]", run: "Control") -> None:
        from geobench import control

        data = self.dataset(dataset)
        experiment, simulator = data.experiment, data.simulator
        recipes = [_control_recipe(experiment, each, run) for each in events]
        missing = {
            json.dumps(recipe): event
            for recipe, event, entry in zip(
                recipes, events, self.find_control(dataset, events, run), strict=True
            )
            if entry is None
        }
        if missing:
            states = control.states_of(experiment, run.states)
            rows = control.rows_of(experiment, states)
            name = dataset.record.name
            with (
                self.watch(f"control run of {name}") as progress,
                blaming(f"the simulator {simulator.name}"),
            ):
                counted = control.count(
                    [*missing.values()],
                    experiment,
                    simulator,
                    states=states,
                    rows=rows,
                    seed=run.seed,
                    progress=progress,
                )
            for recipe, event, each in zip(missing, missing.values(), counted, strict=True):
                with self._draft(
                    "control",
                    ".".join([name, event.of] + [event.reduce] * (event.reduce != "local")),
                    recipe=json.loads(recipe),
                    parents={"dataset": dataset},
                    labels={"dataset": name},
                ) as draft:
                    draft.write(each)
                    draft.publish({"states": rows * -(-states // rows), "trajectories": rows})

    def _limits(
        self, dataset: Dataset, scorers: Sequence[Scorer]
    ) -> "dict[tuple[Event, Control | None], xr.DataArray]":
        """Thresholds of the events that scorers count; control runs that are not there are made."""
        found = {}
        for scorer in scorers:
            run, controls = scorer.control_run(), self.controls(dataset.entry, scorer)
            for event in scorer.events_counted():
                control = controls.get(f"control.{event.name}")
                found[event, run] = dataset.thresholds(event, run, control)
        return found

    # -- what the steps share

    def dataset(self, entry: Entry) -> Dataset:
        """What a dataset of the catalog stands for; the last one is kept, with what it has read."""
        if self._dataset is None or self._dataset.entry.id != entry.id:
            self._dataset = Dataset(entry, self.registry, self.memory)
        return self._dataset

    def dataset_of(self, forecast: Entry) -> Dataset:
        """The dataset that a forecast is of."""
        return self.dataset(
            self.catalog.parent(self.catalog.parent(forecast, "forecaster"), "dataset")
        )

    def _score_parents(self, forecast: Entry) -> dict[str, Entry]:
        return {"forecast": forecast, "dataset": self.dataset_of(forecast).entry}

    def _training(self, dataset: Dataset, model: EnsembleModel) -> "Any":
        from geobench.interfaces.model import Training
        from geobench.interfaces.room import Room
        from geobench.training import processes

        room = Room(self.memory // 4, self.catalog.store.folder)
        device = processes.device(self.device)
        train, validation = (
            dataset.split(name, room).to(device) for name in ("train", "validation")
        )
        return Training(dataset.task(model), train, validation, room)

    def context(self, dataset: Dataset, scorers: Sequence[Scorer] = ()) -> "Context":
        """What scorers may know of a dataset, with the thresholds that `scorers` ask for."""
        limits = self._limits(dataset, scorers)
        return replace(dataset.context, device=self.device, limits=limits)


def _control_recipe(experiment: Experiment, event: "Event", run: "Control") -> dict[str, Any]:
    """What decides the counts of a control run; raise `version` when counts change."""
    from geobench import control

    states = control.states_of(experiment, run.states)
    return {"version": "1", "event": event.measure(), "states": states, "seed": run.seed}


def _threads_begun_with(folder: "Path") -> int:
    """Threads of the training at work in `folder`: after a stop it goes on with as many."""
    import torch

    kept = folder / "threads"
    text = kept.read_text("utf-8") if kept.exists() else ""
    if not text.isdigit():  # the first time, or a write that was interrupted
        text = str(torch.get_num_threads())
        kept.write_text(text, "utf-8")
    return int(text)


def _reading(*entries: Entry) -> Callable[[], AbstractContextManager[None]]:
    """What goes wrong while they are read, told as damage to the first of them that has any."""

    @contextmanager
    def reading() -> Iterator[None]:
        with ExitStack() as stack:
            for entry in entries:
                stack.enter_context(entry.reading())
            yield

    return reading


def _lawful(scorer: Scorer, law: Entry | None) -> dict[str, Entry]:
    """The law, as a parent of scores that are of it."""
    return {"law": law} if law and scorer.needs_law else {}


def _read_together(scorers: Sequence[Scorer]) -> list[list[int]]:
    """Places of the scorers that are given the same pieces."""
    groups = [
        [place for place, scorer in enumerate(scorers) if scorer.whole_paths == whole]
        for whole in (False, True)
    ]
    return [group for group in groups if group]


def _experiment_recipe(experiment: Experiment) -> dict[str, Any]:
    recipe = experiment.model_dump(mode="json", exclude={"title"})
    if recipe["failed_beyond"] == BEYOND:  # older datasets do not name it
        del recipe["failed_beyond"]
    return recipe


def _sizes(experiment: Experiment) -> list[tuple[int, int]]:
    from geobench.simulating import splits

    return list(splits(experiment).values())


def _forecast_recipe(members: int, seed: int, keep_bits: int | None) -> dict[str, Any]:
    recipe = {"members": members, "seed": seed}
    return recipe | ({"keep_bits": keep_bits} if keep_bits else {})


def _forecast_blocks(
    spec: StateSpec, leads: int, members: int, inits: int, memory: int
) -> tuple[layout.Layout, tuple[int, int]]:
    """How a forecast is stored, and what is drawn at once: whole chunks, whole tiles."""
    from geobench.forecasting import TILE

    per_member = leads * prod(spec.shape) * 4
    most = max(TILE[1], memory // 4 // (per_member * TILE[0]))  # drawn, copied, stored
    grid = dict(zip(spec.grid_dims, spec.grid, strict=True))
    sizes = {"init_time": inits, "lead_time": leads, "member": members, **grid}
    shape = layout.of_forecast(sizes, 4, most)
    own = shape.chunks["member"]
    batch = max(TILE[0], shape.chunks["init_time"])
    rows = max(1, memory // 4 // (per_member * batch * own))
    return shape, (batch, own * rows)


def _forecast_coords(inits: "xr.Dataset", leads: int, members: int, task: Task) -> "xr.Dataset":
    import numpy as np
    import xarray as xr

    step = np.timedelta64(round(task.output_step.total_seconds()), "s")
    named = {
        "init_time": (inits["init_time"].to_numpy(), "forecast_reference_time"),
        "lead_time": (np.arange(1, leads + 1) * step, "forecast_period"),
        "member": (np.arange(members), "realization"),
    }
    return xr.Dataset(
        coords={key: (key, each, {"standard_name": told}) for key, (each, told) in named.items()}
    )


def _repeatable(blocks: Iterator[_Block]) -> Iterator[_Block]:
    while True:
        with _own_randomness():
            block = next(blocks, None)
        if block is None:
            return
        yield block


@contextmanager
def _own_randomness() -> Iterator[None]:
    """Raise if a global generator is drawn from: members would depend on what is drawn together."""
    with numerics.seeded(0) as drawn_from:
        yield
        if drawn_from():
            raise GeobenchError(
                "its step draws from a global generator of torch, numpy or Python, so its members "
                "would depend on which are drawn together. Draw from the noise that step is given: "
                "noise.normal(…)."
            )


def _check_device(device: str) -> None:
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise GeobenchError(f"the device '{device}' cannot be used: {reason}") from error
    # On a GPU convolutions would round to 10 bits (TF32): float32 is what it is on a CPU.
    torch.backends.cudnn.allow_tf32 = False


def _check_fitted(forecaster: object) -> None:
    import torch

    if not isinstance(forecaster, Forecaster):
        raise GeobenchError(f"fit returned {type(forecaster).__name__}; return a Forecaster.")
    for key, value in forecaster.weights().items():
        if not (isinstance(key, str) and isinstance(value, torch.Tensor)):
            raise GeobenchError(
                f"weights() holds {key!r}: {type(value).__name__}; map names to tensors."
            )


def _check_equal(fitted: "Mapping[str, Tensor]", restored: "Mapping[str, Tensor]") -> None:
    """Raise unless what is stored is what was fitted."""
    import torch

    if fitted.keys() != restored.keys():
        raise GeobenchError(
            f"restore(weights).weights() has {sorted(restored)}, and weights() had "
            f"{sorted(fitted)}. Return from weights() all that restore needs."
        )
    for key, value in fitted.items():
        if not torch.equal(value, restored[key].detach().cpu()):
            raise GeobenchError(f"the weight '{key}' is another one after restore(weights).")


def _stored(model: EnsembleModel, forecaster: Forecaster, task: Task) -> bytes:
    """Return the file of a forecaster's weights, once it is known that it restores them."""
    import safetensors.torch
    import torch

    _check_fitted(forecaster)
    # Cloned: safetensors stores no two tensors that share memory.
    weights = {
        key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, value in forecaster.weights().items()
    }
    stored = safetensors.torch.save(weights)
    _check_equal(weights, _restored(model, stored, task).weights())
    return stored


def _restored(model: EnsembleModel, content: bytes, task: Task) -> Forecaster:
    import safetensors.torch

    with numerics.seeded(0):
        return model.restore(safetensors.torch.load(content), task)


def _check_start(cases: Cases, task: Task, dataset: Entry) -> None:
    if cases.split != "test" and task.law is not None and task.law.states is not None:
        raise GeobenchError(
            f"the law of {dataset.reference} starts from whole states, which are stored for the "
            f"test split alone. Leave out --split {cases.split}."
        )


def _training_log(run: Run) -> "xr.Dataset":
    """One variable for each series, each along a dim of its own: they may differ in length."""
    import xarray as xr

    fields = {key: (f"{key}_record", values) for key, values in run.log.items()}
    return xr.Dataset(fields)
