"""What every scorer must do."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from geobench.contracts.scorer import UNITS, Context, Scorer
from geobench.testing.cases import double_case, one_far, scaled, small_case, two
from geobench.testing.cells import CellsConformance
from geobench.testing.world import defective, world

if TYPE_CHECKING:
    import xarray as xr

    from geobench.testing.cases import Case


class ScorerConformance(CellsConformance):
    """What every scorer must do."""

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
            forecast, truth, context = double_case(count)
            assert context.law is not None
            right = self.scorer().statistics(forecast, truth, context)
            generator = np.random.Generator(np.random.Philox(key=7))
            turned, law = (
                array.isel(member=generator.permutation(array.sizes["member"]))
                for array in (forecast, context.law)
            )
            statistics = self.scorer().statistics(turned, truth, replace(context, law=law))
            for name, expected in right.data_vars.items():
                size = float(abs(expected).max())
                apart = float(abs(statistics[name] - expected).max())
                assert apart <= 1e-9 * size, f"{name} of {count} members changes by {apart}"

    def test_every_member_and_every_draw_is_read(self) -> None:
        """A member that is far off changes the numbers of its case, and so does a draw."""
        for count in _counts(self.scorer()):
            forecast, truth, context = double_case(count)
            assert context.law is not None
            right = self.scorer().statistics(forecast, truth, context)
            far = [
                self.scorer().statistics(one_far(forecast, by), truth, context)
                for by in (1000.0, -1000.0)
            ]
            unread = _unread(right, far, count)
            assert not unread, f"members {unread} of {count} are not read"
            if not self.scorer().needs_law:
                continue
            contexts = (replace(context, law=one_far(context.law, by)) for by in (1e3, -1e3))
            far = [
                self.scorer().statistics(forecast, truth, far_context) for far_context in contexts
            ]
            unread = _unread(right, far, context.law.sizes["member"])
            assert not unread, f"draws {unread} of the law are not read"

    def test_a_single_member_has_a_score_unless_said_otherwise(self) -> None:
        """With `least_members` there is a number; a single one has none where more are needed."""
        forecast, truth, context = world(5)  # whose law varies from case to case
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

    def test_units_are_as_declared(self) -> None:
        """Scores of data that are 8 times larger are as the power of their units says."""
        import xarray as xr

        assert self.scorer().units in UNITS, f"units must be one of {', '.join(UNITS)}"
        case = small_case()
        plain, large = (self._score(*arguments) for arguments in (case, scaled(case, 8.0)))
        by = 8 ** UNITS[self.scorer().units]
        xr.testing.assert_allclose(large, by * plain, rtol=1e-4, atol=1e-6 * by)

    def test_units_of_one_variable_are_not_mixed_with_anothers(self) -> None:
        """Two variables, the second 8 times larger: a score of both together has no units."""
        import xarray as xr

        case, other = small_case(), small_case(key="other")
        plain, large = (self._score(*two(case, scaled(other, by))) for by in (1.0, 8.0))
        power = UNITS[self.scorer().units]
        factor = xr.DataArray([1.0, 8.0**power], {"variable": ["q", "r"]}, ["variable"])
        for name, values in plain.data_vars.items():
            multiple = factor if "variable" in values.dims else 8.0**power
            message = f"{name} joins variables, so its units must be '1'"
            assert "variable" in values.dims or not power, message
            expected = (multiple * values).transpose(*values.dims)
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
                    message = f"member {member} of {count} is NaN, and was dropped in silence"
                    assert bool(failed.isnull().any()), message
                others = statistic.isel(init_time=[0, 2, 5])
                assert bool(others.notnull().all()), "a NaN member spoilt other cases"

    def _score(
        self, forecast: "xr.DataArray", truth: "xr.DataArray", context: Context
    ) -> "xr.Dataset":
        """The score over all cases, by the framework's rule of how many members it takes."""
        from geobench import scoring

        statistics = scoring.applied(self.scorer(), forecast, truth, context)
        return self.scorer().metric(statistics.mean("init_time", skipna=False))

    def test_a_fair_score_is_the_same_with_any_number_of_members(self) -> None:
        """Six standard errors of 20 batches, on fixed draws: a false alarm in 100,000."""
        if not self.scorer().fair:
            return
        few, many = (self._batches(world(4)), self._batches(world(16)))
        for name, values in few.items():
            _check_not_above(abs((values - many[name]).mean(0)), values - many[name], name)

    def test_nothing_is_better_than_the_law(self) -> None:
        """Nor is the law from itself, for scorers that need it: errors as above."""
        if not self.scorer().proper:
            return
        _, truth, context = world(8)
        wrong_ones = defective(8)
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
            for index in range(law.sizes["member"]):
                drawn = members if others is None else others.drop_isel(member=index)
                outcome = law.isel(member=index, drop=True)
                statistics = self.scorer().statistics(drawn, outcome, replace(context, law=law))
                parts.append(statistics.mean("init_time"))
            means = xr.concat(parts, "draw").mean("draw")
            scores.append(self.scorer().metric(means).to_dataarray("column"))
        sign = -1 if self.scorer().better == "higher" else 1
        expected = sign * (scores[0] - scores[1])
        form_means = form.statistics(members, truth, replace(context, law=law)).mean("init_time")
        form_scores = form.metric(form_means).to_dataarray("column").transpose(*expected.dims)
        xr.testing.assert_allclose(
            form_scores.drop_vars("column"), expected.drop_vars("column"), 1e-6
        )

    def _law_form(self) -> Scorer | None:
        named = self.scorer().law_form()
        if named is None or isinstance(named, Scorer):
            return named
        from geobench.registry import Registry

        return Registry().scorer(named)

    def _batches(self, case: "Case") -> dict[str, Any]:
        """Scores of 20 batches of cases: `(batch, lead_time)` of each column."""
        import numpy as np
        import xarray as xr

        from geobench import scoring

        statistics = self.scorer().statistics(*case).drop_vars("init_time")
        batch = np.arange(statistics.sizes["init_time"]).reshape(-1, 20)  # the columns
        places = xr.DataArray(batch, dims=("in batch", "draw"))
        scores = self.scorer().metric(
            statistics.isel(init_time=places).mean("in batch", skipna=False)
        )
        return {name: values.to_numpy() for name, values in scoring.columns(scores)}


def _counts(scorer: Scorer) -> tuple[int, ...]:
    """Members: the 16 draws of `small_case` are more than three times, and less than twice as many.

    How many draws there are for a member is nothing to a scorer that needs no law.
    """
    return (5, 11) if scorer.needs_law else (11,)


def _unread(right: "xr.Dataset", far: "list[xr.Dataset]", count: int) -> list[int]:
    """Members of which no case differs from the right one, with any of them far off.

    Both ways: a rank may be the same with a member far above that was above.
    """
    import numpy as np

    differ = np.zeros(right.sizes["init_time"], bool)
    for statistics in far:
        for name, values in right.data_vars.items():
            apart = abs(statistics[name] - values) > 1e-9 * abs(values)
            differ |= apart.any([dim for dim in apart.dims if dim != "init_time"]).to_numpy()
    member = np.arange(len(differ)) % count
    return [one for one in range(count) if not differ[member == one].any()]


def _check_not_above(size: Any, values: Any, name: str) -> None:
    """Raise where a mean over batches is above 0 by more than six standard errors."""
    import numpy as np

    error = values.std(0, ddof=1) / np.sqrt(len(values))
    bad = size > 6 * error + 1e-9
    assert not bad.any(), f"{name}: {size} is above 6 standard errors of {error}"
