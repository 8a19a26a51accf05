"""A data assimilation: states are drawn to what is observed."""

from pydantic import Field

from geobench import Assimilation, Filter, Network, StateSpec


class Nudging(Assimilation):
    """x + share (y - H x) where x is observed; what is not observed is left to the forecast."""

    name = "earlier-nudging"
    share: float = Field(0.5, gt=0, le=1, description="of the difference that is taken away")

    def filter(self, network: Network, spec: StateSpec, climate):
        return _Nudging(self.share, network)


class _Nudging(Filter):
    def __init__(self, share, network):
        self.share, self.network = share, network

    def analyse(self, forecast, observed, noise):
        state = forecast.flatten(2).clone()
        difference = observed[:, None] - self.network.pick(state)
        state[..., self.network.places] += (self.share * difference).to(state.dtype)
        return state.view_as(forecast)
