"""What every data assimilation must do."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from geobench.contracts.assimilation import Assimilation, Network
from geobench.contracts.noise import Noise
from geobench.contracts.state import Dimension, StateSpec, Variable


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
