"""How a generative network is sampled: method, evaluations, levels of noise, churn."""

from typing import Literal, Self

from pydantic import Field, model_validator

from geobench import Fields

Method = Literal["euler", "heun", "midpoint", "dpm-solver++2s"]


class Sampler(Fields):
    """From noise to a draw in so many evaluations of the network.

    Times t run from `highest` to 0, evenly spaced in t^(1/`spacing`); flow matching has t = 1 for
    pure noise, EDM's t is the noise level. With `lowest` the last time before 0 is that one. Churn
    adds fresh noise before a step (Karras et al., 2022, algorithm 2): the level, noise over signal,
    grows by min(churn / steps, sqrt(2) - 1). `noise_scale` and `churn_noise` other than 1 draw
    another law than the network has learned: too wide above 1.
    """

    method: Method = Field(
        "midpoint",
        description="euler: of first order, one evaluation a step; heun, midpoint, dpm-solver++2s "
        "(Lu et al., 2022): of second order, two; the last step of heun and dpm-solver++2s has one",
    )
    evaluations: int = Field(
        16, gt=0, description="of the network for a member and step, at most; 1: a step of Euler"
    )
    spacing: float = Field(2.0, gt=0, description="1: even times; above: denser towards 0 (rho)")
    highest: float = Field(1.0, gt=0, description="time that is begun with; of a flow 1")
    lowest: float = Field(0.0, ge=0, description="last time before 0; 0: that of the spacing")
    noise_scale: float = Field(1.0, gt=0, description="standard deviation of the initial noise")
    churn: float = Field(0.0, ge=0, description="S_churn; 0: no noise but the initial one")
    churn_lowest: float = Field(0.0, ge=0, description="S_min: no churn at levels below")
    churn_highest: float | None = Field(None, gt=0, description="S_max: none above; default: none")
    churn_noise: float = Field(1.0, gt=0, description="S_noise: size of the noise that is added")

    @model_validator(mode="after")
    def _descends(self) -> Self:
        if self.lowest >= self.highest:
            raise ValueError(
                f"lowest = {self.lowest:g} is not below highest = {self.highest:g}; times run down"
            )
        return self

    @property
    def steps(self) -> int:
        """How many steps these evaluations are enough for, at least one."""
        if self.method == "euler":
            return self.evaluations
        if self.method == "midpoint":
            return max(1, self.evaluations // 2)
        return (self.evaluations + 1) // 2

    def times(self) -> list[float]:
        """Return t from `highest` to 0, `steps` + 1 of them."""
        count, power = self.steps, 1 / self.spacing
        first, last = self.highest**power, self.lowest**power
        if self.lowest == 0:
            return [(first * (1 - k / count)) ** self.spacing for k in range(count + 1)]
        shares = [k / max(1, count - 1) for k in range(count)]
        return [(first + share * (last - first)) ** self.spacing for share in shares] + [0.0]
