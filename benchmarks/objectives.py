"""The CRPS as a loss, forward and backward, beside the two usual forms: pairs, and sorting.

python benchmarks/objectives.py

JSON lines; jobs take turns in one process, one thread.
"""

import torch
from timing import interleaved, tell
from torch import Tensor

from geobench import Noise
from geobench_plugins.networks.ensemble_scores import crps


def pairwise(ensemble: Tensor, target: Tensor) -> Tensor:
    """Fair CRPS with the differences of all members."""
    members = ensemble.shape[1]
    far = (ensemble - target[:, None]).abs().mean(1)
    near = (ensemble[:, :, None] - ensemble[:, None]).abs().sum((1, 2))
    return (far - near / (2 * members * (members - 1))).mean()


def by_sorting(ensemble: Tensor, target: Tensor) -> Tensor:
    """Fair CRPS with the differences from the order: Σ (2k - M - 1) x_(k)."""
    members = ensemble.shape[1]
    far = (ensemble - target[:, None]).abs().mean(1)
    weights = 2 * torch.arange(1, members + 1) - members - 1
    shape = (1, members, *[1] * (ensemble.ndim - 2))
    near = (ensemble.sort(1).values * weights.view(shape)).sum(1)
    return (far - near / (members * (members - 1))).mean()


def main() -> None:
    """Lorenz95 and shallow-water batches at the same number of rows in all."""
    torch.set_num_threads(1)
    for name, grid, rows in (("lorenz95", (40, 1), 128), ("shallow-water", (64, 64, 3), 16)):
        for members in (2, 4, 8):
            noise = Noise.rows(0, "objectives", 1)
            target = noise.use("y").normal(rows // members, *grid)[0]
            ensemble = noise.normal(rows // members, members, *grid)[0].requires_grad_()

            def both(loss, ensemble: Tensor = ensemble, target: Tensor = target):  # type: ignore[no-untyped-def]
                return lambda: torch.autograd.grad(loss(ensemble, target), ensemble)

            jobs = {"ours": both(crps), "pairs": both(pairwise), "sort": both(by_sorting)}
            gradients = [job()[0] for job in jobs.values()]
            assert all(torch.allclose(each, gradients[0], atol=1e-6) for each in gradients)
            best = interleaved(jobs)
            tell(
                benchmark="crps loss",
                data=name,
                members=members,
                microseconds={job: round(1e6 * seconds, 1) for job, seconds in best.items()},
                ratio_to_best_peer=min(best["pairs"], best["sort"]) / best["ours"],
                required=1.0,
            )


if __name__ == "__main__":
    main()
