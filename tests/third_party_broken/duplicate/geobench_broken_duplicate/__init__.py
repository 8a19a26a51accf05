"""A plugin that offers a name that is taken."""

from geobench import EnsembleModel, hookimpl


class Another(EnsembleModel):
    """Another model called fgn."""

    name = "fgn"

    def fit(self, training, run):
        raise AssertionError

    def restore(self, weights, task):
        raise AssertionError


@hookimpl
def geobench_models():
    return [Another]
