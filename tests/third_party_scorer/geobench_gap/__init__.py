"""A scorer like anybody's: how far apart neighbouring members are, and how that grows."""

from geobench import Curve, Scorer, Series, hookimpl


class Gap(Scorer):
    """Mean distance of neighbouring members, over that of the outcome from the nearest one."""

    name = "gap"
    family = "Gaps & <holes>"
    headline = True
    better = "one"
    units = "1"
    least_members = 2

    def statistics(self, forecast, truth, context):
        ordered = forecast.copy(data=forecast)
        ordered.values.sort(forecast.dims.index("member"))
        between = context.average(ordered.diff("member").mean("member", skipna=False))
        nearest = context.average(abs(forecast - truth).min("member", skipna=False))
        return between.to_dataset(name="between").assign(nearest=nearest)

    def metric(self, means):
        return (means["between"] / means["nearest"]).to_dataset(name="gap")

    def curves(self):
        return [
            Curve(
                "gaps",
                "Gaps between members",
                "Distance of neighbouring members, by lead time; of the outcome: dotted.",
                "lead time, days",
                "distance",
                _series,
                leads="axis",
            )
        ]


def _series(means):
    yield Series((), means["between"])
    yield Series((), means["nearest"], "outcome")


@hookimpl
def geobench_scorers():
    return [Gap]
