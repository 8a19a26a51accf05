"""The conformance kit: what every plugin must do. Inherit a class in your tests.

from geobench.testing import ModelConformance

class TestMyModel(ModelConformance):
    def model(self):
        return MyModel(width=8)
"""

from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor

from geobench import numerics
from geobench.field_events import FieldEvents
from geobench.forecasting import members
from geobench.interfaces.assimilation import Assimilation, Network
from geobench.interfaces.law import Law
from geobench.interfaces.model import EnsembleModel, Forecaster, Run, Task, Training
from geobench.interfaces.noise import Noise
from geobench.interfaces.scorer import UNITS, Context, Scorer
from geobench.interfaces.simulator import Simulator
from geobench.interfaces.state import Dimension, StateSpec, Variable
from geobench.simulating import trajectories

if TYPE_CHECKING:
    import xarray as xr

    from geobench.interfaces.experiment import Control, Event


class Decay(Simulator):
    """x' = `memory` x + sqrt(1 - memory²) N(0, 1) at every site of a ring: a law known exactly.

    `steps` steps ahead, a site is N(memory^steps x, 1 - memory^(2 steps)); the climate is N(0, 1).
    """

    name = "decay"

    sites: int = 8
    memory: float = 0.8

    @property
    def spec(self) -> StateSpec:
        """One variable on a ring."""
        return StateSpec(
            variables=(Variable(name="q"),),
            dims=(Dimension(name="x", size=self.sites, periodic=True),),
        )

    @property
    def output_step(self) -> timedelta:
        """One day."""
        return timedelta(days=1)

    def initial(self, noise: Noise) -> Tensor:
        """Draw from the climate."""
        return noise.use("initial").normal(1, self.sites)

    def advance(self, state: Tensor, steps: int, noise: Noise) -> Tensor:
        """Take `steps` steps."""
        size = (1 - self.memory**2) ** 0.5
        for step in range(steps):
            kick = noise.at(noise.lead + step).normal(*state.shape[1:], dtype=state.dtype)
            state = self.memory * state + size * kick
        return state


class SimulatorConformance(ABC):
    """What every simulator must do."""

    @abstractmethod
    def simulator(self) -> Simulator:
        """Return the simulator under test, small enough for a test."""

    def test_states_are_as_the_spec_says(self) -> None:
        simulator = self.simulator()
        noise = Noise.rows(1, "conformance", 3)
        state = simulator.initial(noise)
        simulator.spec.check(state, 3, simulator.name)
        simulator.spec.check(simulator.advance(state, 1, noise.at(1)), 3, simulator.name)

    def test_advance_is_pure_and_repeatable(self) -> None:
        simulator = self.simulator()
        noise = Noise.rows(1, "conformance", 3)
        state = simulator.initial(noise)
        before = state.clone()
        generator = torch.get_rng_state()
        once = simulator.advance(state, 2, noise.at(1))
        again = simulator.advance(state, 2, noise.at(1))
        assert torch.equal(once, again), "the same noise gave two results"
        assert torch.equal(state, before), "advance changed the state it was given"
        assert torch.equal(torch.get_rng_state(), generator), "the global generator was used"

    def test_two_steps_are_one_step_twice(self) -> None:
        simulator = self.simulator()
        noise = Noise.rows(1, "conformance", 3)
        state = simulator.initial(noise)
        both = simulator.advance(state, 2, noise.at(1))
        first = simulator.advance(state, 1, noise.at(1))
        assert torch.equal(both, simulator.advance(first, 1, noise.at(2)))

    def test_rows_are_independent(self) -> None:
        simulator = self.simulator()
        noise = Noise.rows(1, "conformance", 4)
        state = simulator.initial(noise)
        other = state.clone()
        other[0] = state[1]
        kept = simulator.advance(state, 2, noise.at(1))[1:]
        assert torch.equal(kept, simulator.advance(other, 2, noise.at(1))[1:])


class ModelConformance(ABC):
    """What every ensemble model must do."""

    _last: ClassVar[tuple[object, tuple[Forecaster, Training]] | None] = None

    @abstractmethod
    def model(self) -> EnsembleModel:
        """Return the model under test, with a budget small enough for a test."""

    def simulator(self) -> Simulator:
        """Return the system to learn; override it if the model needs another grid."""
        return Decay()

    def _training(self) -> Training:
        simulator, model = self.simulator(), self.model()
        law = Law(simulator) if model.knows_law else None
        task = Task(simulator.spec, simulator.output_step, law=law)
        train, validation = (
            trajectories(simulator, Noise.rows(seed, "data", rows), spin_up=20, steps=30)
            for seed, rows in ((0, 16), (1, 4))
        )
        return Training(task, train, validation)

    def _fitted(self) -> tuple[Forecaster, Training]:
        """Fit, unless the last fit was of the same model, which tests only look at."""
        key = type(self), self.model().recipe(), self.simulator().recipe()
        if ModelConformance._last is None or ModelConformance._last[0] != key:
            ModelConformance._last = key, self._fit()
        return ModelConformance._last[1]

    def _fit(self) -> tuple[Forecaster, Training]:
        training = self._training()
        with numerics.seeded(3):  # as in a study
            return self.model().fit(training, Run(seed=3)), training

    def _members(
        self, forecaster: Forecaster, training: Training, rows: list[tuple[int, int]]
    ) -> Tensor:
        count = max(init for init, _ in rows) + 1
        given = training.validation[:1, : forecaster.history]
        histories = given + 0.1 * torch.arange(count).view(-1, 1, *[1] * (given.ndim - 2))
        return members(forecaster, histories, rows, leads=2, seed=5, spec=training.task.spec)

    def test_fitting_twice_gives_the_same_weights(self) -> None:
        first, second = (fit()[0].weights() for fit in (self._fitted, self._fit))
        assert first.keys() == second.keys()
        for key, value in first.items():
            assert torch.equal(value, second[key]), f"weight {key} differs between two fits"

    def test_a_restored_forecaster_forecasts_the_same(self) -> None:
        fitted, training = self._fitted()
        with numerics.seeded(0):
            restored = self.model().restore(fitted.weights(), training.task)
        rows = [(0, 0), (1, 2)]
        assert torch.equal(
            self._members(fitted, training, rows), self._members(restored, training, rows)
        )

    def test_members_are_equal_only_if_the_model_says_so(self) -> None:
        fitted, training = self._fitted()
        one, other = self._members(fitted, training, [(0, 0), (0, 1)])
        assert torch.equal(one, other) or not self.model().deterministic, (
            "the model says that its members are equal, and they are not"
        )
        assert fitted.deterministic == self.model().deterministic, (
            "the model and its forecaster differ in whether members are equal"
        )

    def test_members_do_not_depend_on_batch_order_or_number(self) -> None:
        """Of two tiles of `geobench.forecasting`: other inits and other members in each."""
        fitted, training = self._fitted()
        everything = [(init, member) for init in range(4) for member in range(3)]
        everything += [(init, member) for init in (16, 17) for member in range(4, 7)]
        whole = self._members(fitted, training, everything)
        assert bool(whole.isfinite().all())
        for rows in (everything[15:4:-3], everything[:1], everything[-2:]):
            places = [everything.index(row) for row in rows]
            assert torch.equal(self._members(fitted, training, rows), whole[places])


class AssimilationConformance(ABC):
    """What every data assimilation must do."""

    @abstractmethod
    def assimilation(self) -> Assimilation:
        """Return the assimilation under test."""

    def _analyse(self, rows: list[int], dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
        """Forecasts of `rows`, their analysis and its estimate, on a plane with an island."""
        spec = StateSpec(
            variables=(Variable(name="u"), Variable(name="h")),
            dims=(Dimension(name="y", size=4), Dimension(name="x", size=6, periodic=True)),
            land=(8, 9),
        )
        sea = torch.from_numpy(spec.sea).to(dtype)
        assimilation = self.assimilation()
        climate = Noise.rows(1, "climate", 100).normal(*spec.shape, dtype=dtype) * sea
        noise = Noise(1, "conformance", torch.tensor(rows), torch.zeros(len(rows)).long())
        forecast = noise.use("forecast").normal(assimilation.members, *spec.shape, dtype=dtype)
        network = Network(torch.tensor([0, 3, 17, 24, 30, 47]), torch.full((6,), 0.5))
        observed = noise.use("observed").normal(len(network), dtype=dtype)
        given = forecast * sea
        filter = assimilation.filter(network, spec, climate)
        analysis = filter.analyse(given, observed, noise.use("filter"))
        assert torch.equal(given, forecast * sea), "the forecast was changed in place"
        return given, analysis, filter.estimate(analysis)

    def test_analyses_are_shaped_like_forecasts(self) -> None:
        for dtype in (torch.float32, torch.float64):
            forecast, analysis, estimate = self._analyse([0, 1, 2], dtype)
            assert (analysis.shape, analysis.dtype) == (forecast.shape, dtype)
            assert (estimate.shape, estimate.dtype) == (forecast[:, 0].shape, dtype)
            assert bool(analysis.isfinite().all())
            assert not torch.equal(analysis, forecast), "observations change nothing"

    def test_land_stays_as_it_is(self) -> None:
        _, analysis, _ = self._analyse([0, 1, 2])
        assert bool((analysis[..., 1, 2:4] == 0).all())

    def test_the_same_noise_gives_the_same_analyses(self) -> None:
        for first, second in zip(self._analyse([0, 1]), self._analyse([0, 1]), strict=True):
            assert torch.equal(first, second)

    def test_experiments_are_independent(self) -> None:
        whole, part = self._analyse([0, 1, 2, 3])[1], self._analyse([3, 1])[1]
        # To rounding of float32: a matrix's last bits depend on its place in memory.
        assert torch.allclose(whole[[3, 1]], part, rtol=0, atol=1e-5)


class ScorerConformance(ABC):
    """What every scorer must do."""

    @abstractmethod
    def scorer(self) -> Scorer:
        """Return the scorer under test."""

    def test_statistics_are_per_case(self) -> None:
        forecast, truth, context = small_case()
        whole = self.scorer().statistics(forecast, truth, context)
        for statistic in whole.data_vars.values():
            assert {"init_time", "lead_time"} <= set(statistic.dims)
            assert not {"member", "x"} & set(statistic.dims)
        part = slice(2, 4)
        assert context.law is not None
        alone = self.scorer().statistics(
            forecast.isel(init_time=part),
            truth.isel(init_time=part),
            replace(context, law=context.law.isel(init_time=part)),
        )
        import xarray as xr

        xr.testing.assert_allclose(alone, whole.isel(init_time=part), rtol=1e-6)

    def test_order_of_members_and_draws_does_not_matter(self) -> None:
        """In double precision, within 1e-9 of the largest value of each statistic."""
        import numpy as np

        for count in _counts(self.scorer()):
            forecast, truth, context = _double_case(count)
            assert context.law is not None
            right = self.scorer().statistics(forecast, truth, context)
            generator = np.random.Generator(np.random.Philox(key=7))
            turned, law = (
                each.isel(member=generator.permutation(each.sizes["member"]))
                for each in (forecast, context.law)
            )
            found = self.scorer().statistics(turned, truth, replace(context, law=law))
            for name, expected in right.data_vars.items():
                size = float(abs(expected).max())
                apart = float(abs(found[name] - expected).max())
                assert apart <= 1e-9 * size, f"{name} of {count} members changes by {apart}"

    def test_every_member_and_every_draw_is_read(self) -> None:
        """A member that is far off changes the numbers of its case, and so does a draw."""
        for count in _counts(self.scorer()):
            forecast, truth, context = _double_case(count)
            assert context.law is not None
            right = self.scorer().statistics(forecast, truth, context)
            far = [
                self.scorer().statistics(_one_far(forecast, by), truth, context)
                for by in (1000.0, -1000.0)
            ]
            unread = _unread(right, far, count)
            assert not unread, f"members {unread} of {count} are not read"
            if not self.scorer().needs_law:
                continue
            contexts = (replace(context, law=_one_far(context.law, by)) for by in (1e3, -1e3))
            far = [self.scorer().statistics(forecast, truth, own) for own in contexts]
            unread = _unread(right, far, context.law.sizes["member"])
            assert not unread, f"draws {unread} of the law are not read"

    def test_a_single_member_has_a_score_unless_said_otherwise(self) -> None:
        """With `least_members` there is a number; a single one has none where more are needed."""
        forecast, truth, context = _world(5)  # whose law varies from case to case
        least = self.scorer().least_members
        enough = self._score(forecast.isel(member=slice(least)), truth, context)
        for name, values in enough.data_vars.items():
            assert bool(values.notnull().any()), f"{name} of {least} members is not a number"
        if least > 1:
            single = self._score(forecast.isel(member=[0]), truth, context)
            assert bool(single.isnull().all().to_dataarray().all())
            assert self.scorer().no_score(1), "nothing says why a single member has no score"

    def test_lead_times_are_scored_alone_unless_said_otherwise(self) -> None:
        import xarray as xr

        forecast, truth, context = small_case()
        whole = self.scorer().statistics(forecast, truth, context)
        part = {"lead_time": slice(0 if self.scorer().whole_paths else 1, 2)}
        assert context.law is not None
        alone = self.scorer().statistics(
            forecast.isel(part), truth.isel(part), replace(context, law=context.law.isel(part))
        )
        xr.testing.assert_allclose(alone, whole.isel(part), rtol=1e-6)

    def test_land_is_not_read(self) -> None:
        import xarray as xr

        forecast, truth, context = small_case()
        assert context.law is not None
        sea = context.sea.copy(data=[place not in (0, 5) for place in range(8)])
        found = []
        for value in (0.0, float("nan")):
            drawn, outcome, law, std, limits = (
                each.where(sea, value)
                for each in (forecast, truth, context.law, context.std, context.thresholds)
            )
            own = replace(context, thresholds=limits, sea=sea, std=std, law=law, measure=_ring(sea))
            dims = forecast.dims, truth.dims
            found.append(
                self.scorer().statistics(
                    drawn.transpose(*dims[0]), outcome.transpose(*dims[1]), own
                )
            )
        xr.testing.assert_allclose(*found, rtol=1e-6)

    def test_a_cell_counts_by_its_area(self) -> None:
        """Two halves of a cell, with its values, are as good as the cell, if so declared."""
        import xarray as xr

        if not self.scorer().cells_by_area:
            return
        forecast, truth, context = small_case()
        assert context.law is not None
        cells = [0, 1, 2, 3, 4, 5, 5, 6, 7]
        areas = xr.DataArray([2.0, 1, 3, 1, 0.25, 2, 2, 1, 1], dims="x")
        whole = areas.isel(x=[0, 1, 2, 3, 4, 5, 7, 8]).copy()
        whole[5] = 4.0
        thresholds, sea, std, law = (
            each.isel(x=cells)
            for each in (context.thresholds, context.sea, context.std, context.law)
        )
        halved = replace(
            context,
            thresholds=thresholds,
            sea=sea,
            std=std,
            law=law,
            areas=areas,
            measure=_ring(sea, areas),
        )
        joined = replace(context, areas=whole, measure=_ring(context.sea, whole))
        xr.testing.assert_allclose(
            self.scorer().statistics(forecast, truth, joined),
            self.scorer().statistics(forecast.isel(x=cells), truth.isel(x=cells), halved),
            rtol=1e-5,
            atol=1e-6,
        )

    def test_units_are_as_declared(self) -> None:
        """Scores of data that are 8 times larger are as the power of their units says."""
        import xarray as xr

        assert self.scorer().units in UNITS, f"units must be one of {', '.join(UNITS)}"
        case = small_case()
        plain, large = (self._score(*each) for each in (case, _scaled(case, 8.0)))
        by = 8 ** UNITS[self.scorer().units]
        xr.testing.assert_allclose(large, by * plain, rtol=1e-4, atol=1e-6 * by)

    def test_units_of_one_variable_are_not_mixed_with_anothers(self) -> None:
        """Two variables, the second 8 times larger: a score of both together has no units."""
        import xarray as xr

        case, other = small_case(), small_case(key="other")
        plain, large = (self._score(*_two(case, _scaled(other, by))) for by in (1.0, 8.0))
        power = UNITS[self.scorer().units]
        factor = xr.DataArray([1.0, 8.0**power], {"variable": ["q", "r"]}, ["variable"])
        for name, values in plain.data_vars.items():
            each = factor if "variable" in values.dims else 8.0**power
            told = f"{name} joins variables, so its units must be '1'"
            assert "variable" in values.dims or not power, told
            expected = (each * values).transpose(*values.dims)
            xr.testing.assert_allclose(large[name], expected, rtol=1e-4, atol=1e-5)

    def test_a_failed_member_makes_its_case_nan(self) -> None:
        """Wherever the member stands: the first, one in the middle, the last."""
        for count in _counts(self.scorer()):
            forecast, truth, context = small_case(count=count)
            failures = {1: 0, 3: count // 2, 4: count - 1}
            for init, member in failures.items():
                forecast[init, 0, member, 0, 3] = float("nan")
            for statistic in self.scorer().statistics(forecast, truth, context).data_vars.values():
                if "variable" in statistic.dims:
                    statistic = statistic.isel(variable=0)
                for init, member in failures.items():
                    failed = statistic.isel(init_time=init, lead_time=0)
                    told = f"member {member} of {count} is NaN, and was dropped in silence"
                    assert bool(failed.isnull().any()), told
                others = statistic.isel(init_time=[0, 2, 5])
                assert bool(others.notnull().all()), "a NaN member spoilt other cases"

    def _score(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """The score over all cases, by the framework's rule of how many members it takes."""
        from geobench import scoring

        found = scoring.applied(self.scorer(), forecast, truth, context)
        return self.scorer().metric(found.mean("init_time", skipna=False))

    def test_a_fair_score_is_the_same_with_any_number_of_members(self) -> None:
        """Six standard errors of 20 batches, on fixed draws: a false alarm in 100,000."""
        if not self.scorer().fair:
            return
        few, many = (self._batches(_world(4)), self._batches(_world(16)))
        for name, values in few.items():
            _check_not_above(abs((values - many[name]).mean(0)), values - many[name], name)

    def test_nothing_is_better_than_the_law(self) -> None:
        """Nor is the law from itself, for scorers that need it: errors as above."""
        if not self.scorer().proper:
            return
        _, truth, context = _world(8)
        wrong_ones = _defective(8)
        right = self._batches((wrong_ones["none"], truth, context))
        if self.scorer().needs_law:
            for name, values in right.items():
                _check_not_above(abs(values.mean(0)), values, name)
        sign = -1 if self.scorer().better == "higher" else 1
        for defect, drawn in wrong_ones.items():
            wrong = self._batches((drawn, truth, context))
            for name, values in wrong.items():
                gap = sign * (right[name] - values)
                _check_not_above(gap.mean(0), gap, f"{name} with the defect '{defect}'")

    def test_the_law_form_is_the_mean_excess_over_all_draws(self) -> None:
        """An identity: each draw of the law as the outcome, of the members and of the other draws.

        To rounding, in double precision.
        """
        import xarray as xr

        form = self._law_form()
        if form is None:
            return
        assert form.needs_law
        assert form.fair
        forecast, truth, context = small_case()
        assert context.law is not None
        members = 1.3 * forecast.astype(float) + 0.2
        law = context.law.isel(member=slice(6)).astype(float)
        scores = []
        for others in (None, law):
            parts = []
            for place in range(law.sizes["member"]):
                drawn = members if others is None else others.drop_isel(member=place)
                outcome = law.isel(member=place, drop=True)
                found = self.scorer().statistics(drawn, outcome, replace(context, law=law))
                parts.append(found.mean("init_time"))
            means = xr.concat(parts, "draw").mean("draw")
            scores.append(self.scorer().metric(means).to_dataarray("column"))
        sign = -1 if self.scorer().better == "higher" else 1
        expected = sign * (scores[0] - scores[1])
        own = form.statistics(members, truth, replace(context, law=law)).mean("init_time")
        told = form.metric(own).to_dataarray("column").transpose(*expected.dims)
        xr.testing.assert_allclose(told.drop_vars("column"), expected.drop_vars("column"), 1e-6)

    def _law_form(self) -> Scorer | None:
        named = self.scorer().law_form()
        if named is None or isinstance(named, Scorer):
            return named
        from geobench.registry import Registry

        return Registry().scorer(named)

    def _batches(self, case: "tuple[xr.DataArray, xr.DataArray, Context]") -> "dict[str, Any]":
        """Scores of 20 batches of cases: `(batch, lead_time)` of each column."""
        import numpy as np
        import xarray as xr

        from geobench import scoring

        found = self.scorer().statistics(*case).drop_vars("init_time")
        batch = np.arange(found.sizes["init_time"]).reshape(-1, 20)  # the columns
        places = xr.DataArray(batch, dims=("in batch", "draw"))
        scores = self.scorer().metric(found.isel(init_time=places).mean("in batch", skipna=False))
        return {name: values.to_numpy() for name, values in scoring.columns(scores)}


def _counts(scorer: Scorer) -> tuple[int, ...]:
    """Members: the 16 draws of `small_case` are more than three times, and less than twice as many.

    How many draws there are for a member is nothing to a scorer that needs no law.
    """
    return (5, 11) if scorer.needs_law else (11,)


def small_case(
    inits: int = 6, count: int = 5, key: str = "conformance"
) -> "tuple[xr.DataArray, xr.DataArray, Context]":
    """Normal members `(init_time, lead_time, member, variable, x)`, outcomes, draws of the law."""
    forecast, truth, context = _small_case(inits, count, key)
    assert context.law is not None
    return forecast.copy(), truth.copy(), replace(context, law=context.law.copy())


@cache
def _small_case(inits: int, count: int, key: str) -> "tuple[xr.DataArray, xr.DataArray, Context]":
    import numpy as np
    import xarray as xr

    leads, sites = 2, 8
    rows = Noise.rows(0, key, inits)
    dims = ("init_time", "lead_time", "member", "variable", "x")
    coords = {
        "init_time": np.datetime64("2000-01-01", "ns") + np.arange(inits) * np.timedelta64(1, "D"),
        "lead_time": (1 + np.arange(leads)) * np.timedelta64(1, "D").astype("timedelta64[ns]"),
        "variable": ["q"],
    }
    drawn = rows.use("members").normal(leads, count, 1, sites).numpy()
    forecast = xr.DataArray(drawn, coords, dims)
    outcome = rows.use("truth").normal(leads, 1, sites).numpy()
    truth = xr.DataArray(outcome, coords, tuple(dim for dim in dims if dim != "member"))
    thresholds = xr.DataArray(
        np.full((2, 1, sites), [[[0.5]], [[1.0]]]),
        {"quantile": [0.7, 0.9], "variable": ["q"]},
        ("quantile", "variable", "x"),
    )
    sea = xr.DataArray(np.ones(sites, bool), dims="x")
    std = xr.DataArray(np.ones((1, sites)), {"variable": ["q"]}, ("variable", "x"))
    law = xr.DataArray(rows.use("law").normal(leads, 16, 1, sites).numpy(), forecast.coords, dims)
    forecast, law = (
        each.assign_coords(member=7 + np.arange(each.sizes["member"])) for each in (forecast, law)
    )
    context = Context(thresholds, sea, std, law, measure=_ring(sea), limits=AnyLimit(1))
    return forecast, truth, context


class AnyLimit(dict[Any, "xr.DataArray"]):
    """Thresholds for whatever events a scorer asks for: `size` times half the quantile."""

    def __init__(self, size: float) -> None:
        super().__init__()
        self._size = size

    def __missing__(self, key: "tuple[Event, Control | None]") -> "xr.DataArray":
        """Make them."""
        import xarray as xr

        quantiles = list(key[0].quantiles)
        return xr.DataArray([self._size * q / 2 for q in quantiles], {"quantile": quantiles})


class _Ring(Decay):
    """The ring with land on it, and cells that are not equally large."""

    land: tuple[int, ...] = ()
    areas: Literal["equal"] | tuple[float, ...] = "equal"

    @property
    def spec(self) -> StateSpec:
        whole = super().spec
        return StateSpec(
            variables=whole.variables, dims=whole.dims, land=self.land, areas=self.areas
        )


def _ring(sea: "xr.DataArray", areas: "xr.DataArray | None" = None) -> FieldEvents:
    """Measure events on a ring of which some cells are land."""
    land = tuple(int(cell) for cell in (~sea).to_numpy().nonzero()[0])
    own = "equal" if areas is None else tuple(areas.to_numpy().tolist())
    return FieldEvents(_Ring.model_validate({"sites": sea.size, "land": land, "areas": own}))


def _double_case(count: int) -> "tuple[xr.DataArray, xr.DataArray, Context]":
    """A small case in double precision, with an init for each of 16 members or draws."""
    forecast, truth, context = small_case(16, count)
    assert context.law is not None
    own = replace(context, law=context.law.astype(float))
    return forecast.astype(float), truth.astype(float), own


def _scaled(
    case: "tuple[xr.DataArray, xr.DataArray, Context]", by: float
) -> "tuple[xr.DataArray, xr.DataArray, Context]":
    """All that is in the units of the variable, so many times larger."""
    forecast, truth, context = case
    assert context.law is not None
    scaled = (by * each for each in (context.thresholds, context.std, context.law))
    limits, std, law = scaled
    own = replace(context, thresholds=limits, std=std, law=law, limits=AnyLimit(by))
    return by * forecast, by * truth, own


def _two(
    *cases: "tuple[xr.DataArray, xr.DataArray, Context]",
) -> "tuple[xr.DataArray, xr.DataArray, Context]":
    """Two cases of one variable as one of two, `q` and `r`."""
    import xarray as xr

    parts = [(f, t, c.law, c.thresholds, c.std) for f, t, c in cases]
    forecast, truth, law, limits, std = (
        xr.concat(each, "variable").assign_coords(variable=["q", "r"]).transpose(*each[0].dims)
        for each in zip(*parts, strict=True)
    )
    return forecast, truth, replace(cases[0][2], law=law, thresholds=limits, std=std)


def _one_far(drawn: "xr.DataArray", by: float) -> "xr.DataArray":
    """In every case another member is so far off, and farther from cell to cell."""
    import numpy as np

    ordered = drawn.transpose("init_time", "member", ...)
    inits, members = ordered.shape[:2]
    slope = by * (1 + np.arange(drawn.sizes["x"]))
    values = ordered.to_numpy().copy()
    values[np.arange(inits), np.arange(inits) % members] += slope  # `x` is last
    return ordered.copy(data=values).transpose(*drawn.dims)


def _unread(right: "xr.Dataset", far: "list[xr.Dataset]", count: int) -> list[int]:
    """Members of which no case differs from the right one, with any of them far off.

    Both ways: a rank may be the same with a member far above that was above.
    """
    import numpy as np

    differ = np.zeros(right.sizes["init_time"], bool)
    for found in far:
        for name, values in right.data_vars.items():
            apart = abs(found[name] - values) > 1e-9 * abs(values)
            differ |= apart.any([dim for dim in apart.dims if dim != "init_time"]).to_numpy()
    place = np.arange(len(differ)) % count
    return [one for one in range(count) if not differ[place == one].any()]


@cache
def _defective(count: int) -> "dict[str, xr.DataArray]":
    """Ensembles of so many members, one with each defect."""
    from geobench.defects import DEFECTS

    draws, _, _ = _world(128)
    return {
        name: change(draws).isel(member=slice(count)).copy() for name, change in DEFECTS.items()
    }


@cache
def _world(count: int) -> "tuple[xr.DataArray, xr.DataArray, Context]":
    """Members, outcomes and 40 draws of a law with dependence in space and time: 400 cases.

    What is known of a case is its mean field, which is as large as the spread.
    """
    import numpy as np
    import xarray as xr

    inits, leads, sites, draws = 400, 2, 12, 40
    rows = Noise.rows(0, "conformance world", inits)

    def smooth(stream: str, members: int) -> "Any":
        white = rows.use(stream).normal(leads, members, 1, sites).numpy().astype(float)
        white += np.roll(white, 1, -1) + np.roll(white, 2, -1)
        return white.cumsum(1) / np.sqrt(3 * np.arange(1, leads + 1))[:, None, None, None]

    mean = smooth("mean", 1)
    drawn = [mean + smooth(f"draws {each}", each) for each in (count, 1, draws)]
    dims = ("init_time", "lead_time", "member", "variable", "x")
    coords = {
        "init_time": np.datetime64("2000-01-01", "ns") + np.arange(inits) * np.timedelta64(1, "D"),
        "lead_time": (1 + np.arange(leads)) * np.timedelta64(1, "D").astype("timedelta64[ns]"),
        "variable": ["q"],
    }
    forecast, truth, law = (
        xr.DataArray(each, coords | {"member": np.arange(each.shape[2])}, dims) for each in drawn
    )
    sea = xr.DataArray(np.ones(sites, bool), dims="x")
    climate = xr.DataArray(np.full((1, sites), 2**0.5), {"variable": ["q"]}, ("variable", "x"))
    limits = xr.concat([0 * climate, 2 * climate], xr.DataArray([0.5, 0.977], dims="quantile"))
    limits = limits.assign_coords(quantile=[0.5, 0.977])
    context = Context(
        limits, sea, climate, law, periodic=("x",), measure=_ring(sea), limits=AnyLimit(1)
    )
    return forecast, truth.isel(member=0, drop=True), context


def _check_not_above(size: "Any", values: "Any", name: str) -> None:
    """Raise where a mean over batches is above 0 by more than six standard errors."""
    import numpy as np

    error = values.std(0, ddof=1) / np.sqrt(len(values))
    bad = size > 6 * error + 1e-9
    assert not bad.any(), f"{name}: {size} is above 6 standard errors of {error}"


__all__ = [
    "AssimilationConformance",
    "Decay",
    "ModelConformance",
    "ScorerConformance",
    "SimulatorConformance",
    "small_case",
]
