"""What each model's sampler makes of a Gaussian whose denoiser is known exactly.

python benchmarks/samplers.py

JSON lines: the standard deviation that is drawn over the right one, for laws of standard deviation
c in units of what the network is trained on (GenCast and flow matching: a step's change, of which
the noise of one-day Lorenz95 is 0.14; ArchesWeatherGen: the error of its mean, so c is about 1).
Nothing is learned here: what differs from 1 is the sampler's own doing.
"""

import torch
from timing import tell

from geobench import Noise
from geobench_plugins.models.archesweather_gen import ArchesWeatherGen
from geobench_plugins.models.flow_matching import FlowMatching
from geobench_plugins.models.gencast import GenCast
from geobench_plugins.networks import samplers
from geobench_plugins.networks.sampling import Sampler

DRAWS = 400_000  # standard error of a ratio: 0.11 %
LAWS = (1.0, 0.5, 0.25, 0.14, 0.1)


def ratio(c: float, sampler: Sampler, path: samplers.Path) -> float:
    """Drawn standard deviation over c."""

    def denoise(x: torch.Tensor, t: float) -> torch.Tensor:
        a = path.signal(t)
        return x * (a * c**2 / (a**2 * c**2 + t**2))

    noise = Noise.rows(0, "draws", DRAWS)
    start = noise.use("start").normal(1, dtype=torch.float64)
    start = (start - start.mean()) / start.std()
    drawn = samplers.draw(
        denoise, sampler.highest * sampler.noise_scale * start, sampler, path, noise
    )
    return float(drawn.std()) / c


def main() -> None:
    """The defaults, and what each choice in them does."""
    straight, edm = samplers.Path(straight=True), samplers.Path(straight=False)
    flow, arches, gencast = (cls().sampler for cls in (FlowMatching, ArchesWeatherGen, GenCast))

    def with_(sampler: Sampler, **fields: object) -> Sampler:
        return Sampler.model_validate(dict(sampler) | fields)

    cases: list[tuple[str, Sampler, samplers.Path]] = [
        *(
            (f"flow-matching, {count} evaluations", with_(flow, evaluations=count), straight)
            for count in (1, 2, 4, 8, 16, 32)
        ),
        ("archesweather-gen", arches, straight),
        ("archesweather-gen, noise scale 1", with_(arches, noise_scale=1.0), straight),
        ("gencast, 10 levels", gencast, edm),
        ("gencast, 20 levels", with_(gencast, evaluations=39), edm),
        ("gencast, 20 levels, churn noise 1", with_(gencast, evaluations=39, churn_noise=1.0), edm),
        ("gencast, 20 levels, no churn", with_(gencast, evaluations=39, churn=0.0), edm),
        (
            "gencast, 20 levels to 0.002, no churn",
            with_(gencast, evaluations=39, churn=0.0, lowest=0.002),
            edm,
        ),
    ]
    for name, sampler, path in cases:
        found = {str(c): round(ratio(c, sampler, path), 4) for c in LAWS}
        tell(benchmark="samplers", sampler=name, spread_over_right_one=found)


if __name__ == "__main__":
    main()
