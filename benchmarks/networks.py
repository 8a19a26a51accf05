"""Cost of the default networks, forward and with gradients, beside the same without conditioning.

python benchmarks/networks.py

JSON lines; jobs take turns in one process, one thread.
"""

import torch
from timing import interleaved, tell
from torch import nn

from geobench import Dimension, Noise, StateSpec, Variable
from geobench_plugins.networks.backbones import Backbone, ResNet, UNet, ViT
from geobench_plugins.networks.conditioned import Conditioned, initialise
from geobench_plugins.networks.conditioning import Conditioning

FRAMES = 2


def grid(channels: int, *sizes: int, periodic: bool) -> StateSpec:
    """So many variables on a grid."""
    variables = tuple(Variable(name=f"v{index}") for index in range(channels))
    dims = tuple(
        Dimension(name=name, size=size, periodic=periodic)
        for name, size in zip("ab", sizes, strict=False)
    )
    return StateSpec(variables=variables, dims=dims)


def main() -> None:
    """ResNet on the ring of Lorenz95; U-Net and ViT on the basin of the shallow water."""
    torch.set_num_threads(1)
    ring, basin = grid(1, 40, periodic=True), grid(3, 64, 64, periodic=False)
    cases: list[tuple[StateSpec, Backbone, int]] = [
        (ring, ResNet(), 128),
        (basin, UNet(), 8),
        (basin, ViT(), 8),
    ]
    for spec, backbone, rows in cases:
        channels = len(spec.variables)
        noise = Noise.rows(0, "benchmark", rows)
        x = noise.normal(*spec.grid, FRAMES * channels)
        jobs, parameters = {}, {}
        for name, conditioning in {
            "fgn": Conditioning(),
            "plain": Conditioning(noise="none"),
        }.items():
            network = Conditioned(
                spec, backbone, conditioning, inputs=FRAMES * channels, outputs=channels
            )
            initialise(network, Noise.rows(0, "weights", 1))
            draws = network.draw(noise)
            parameters[name] = sum(each.numel() for each in network.parameters())

            def forward(network: nn.Module = network, draws: tuple = draws) -> None:  # type: ignore[type-arg]
                with torch.no_grad():
                    network(x, draws)  # noqa: B023 # called before x changes

            def both(network: nn.Module = network, draws: tuple = draws) -> None:  # type: ignore[type-arg]
                network(x, draws).square().mean().backward()  # noqa: B023

            jobs[f"{name} forward"], jobs[f"{name} both"] = forward, both
        best = interleaved(jobs)
        tell(
            benchmark="networks",
            backbone=backbone.kind,
            grid=list(spec.grid),
            parameters=parameters["fgn"],
            rows=rows,
            forward_milliseconds_a_row=1e3 * best["fgn forward"] / rows,
            with_gradients_milliseconds_a_row=1e3 * best["fgn both"] / rows,
            ratio_to_unconditioned=best["fgn both"] / best["plain both"],
        )


if __name__ == "__main__":
    main()
