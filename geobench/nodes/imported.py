"""Trained weights from elsewhere, taken in as a forecaster."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from geobench.contracts.model import EnsembleModel, Forecaster, Run, Task
from geobench.entries.recipes import IMPORTED
from geobench.errors import GeobenchError, blaming
from geobench.forecasts.failures import Limits
from geobench.nodes.forecast import own_randomness
from geobench.nodes.forecaster import ForecasterNode, training_log
from geobench.nodes.stored import Stored
from geobench.training.stored_weights import WEIGHTS, restored
from geobench.twin.cases import Cases
from geobench_catalog import Entry

if TYPE_CHECKING:
    from torch import Tensor

    from geobench.nodes.engine import Engine


def import_forecaster(
    engine: "Engine",
    path: Path,
    dataset: Entry,
    model: EnsembleModel,
    *,
    seed: int = 0,
    label: str = "",
) -> Entry:
    """Publish weights that were trained elsewhere as a forecaster of `dataset`.

    `path` is a safetensors file with what the model's `weights()` return. The model is restored
    from it and draws a few members before anything is published. The recipe of the entry holds the
    digest of the weights, so no training gives it; nothing is known of its cost.
    """
    import safetensors.torch

    from geobench.foreign import weights as foreign_weights
    from geobench.training import cost

    label = label or model.name
    if model.knows_law:
        raise GeobenchError(f"the model {label} is given the law: it has no weights to import.")
    weights = foreign_weights.read(path)
    content = safetensors.torch.save(weights)  # in one order, whoever wrote the file
    imported = {"file": path.name, "sha256": hashlib.sha256(content).hexdigest()}
    recipe = {"model": model.recipe(), "seed": seed, IMPORTED: imported}
    task = engine.dataset(dataset).task(model)
    with blaming(f"the model {label}"):
        forecaster = _restored(model, content, weights, task)
    parents = {"dataset": dataset}
    if existing := engine.catalog.find("forecaster", recipe, parents, door="forecaster"):
        return existing
    node = ForecasterNode(Stored(dataset, engine.catalog), model, seed, label)
    with engine.catalog.draft(
        "forecaster",
        node.name,
        recipe=recipe,
        parents=parents,
        labels=node.labels,
        door="forecaster",
    ) as draft:
        with blaming(f"the model {label}"):
            history = _try_out(engine, forecaster, dataset, task, seed)
            step = cost.StepCost.of(forecaster, history)
        draft.write_file(WEIGHTS, content)
        draft.write(training_log(Run(seed)))
        network = forecaster.network
        count = sum(p.numel() for p in network.parameters()) if network is not None else 0
        return draft.publish({"parameters": count, **step.summary(), "knows_law": False})


def _restored(
    model: EnsembleModel, content: bytes, weights: "dict[str, Tensor]", task: Task
) -> Forecaster:
    """Restore the model; raise if weights are missing, of another shape, or not used."""
    from geobench.foreign import weights as foreign_weights

    model.check(task)
    try:
        forecaster = restored(model, content, task)
    except GeobenchError:
        raise
    except Exception as error:
        raise foreign_weights.not_restored(error, weights) from error
    foreign_weights.check_used(weights, forecaster.weights())
    return forecaster


def _try_out(
    engine: "Engine", forecaster: Forecaster, dataset: Entry, task: Task, seed: int
) -> "Tensor":
    """Draw four members of the first init; raise if one fails. Return the init's history."""
    from geobench.forecasts import rollout as forecasting

    data = engine.dataset(dataset)
    history = data.histories(forecaster.history, Cases())[:1]
    rows = [(0, member) for member in range(4)]
    leads = min(2, Cases().steps_of(data.experiment))
    with own_randomness():
        drawn = forecasting.members(
            forecaster, history, rows, leads=leads, seed=seed, spec=task.spec
        )
    block = drawn.transpose(0, 1)[None].numpy()
    piece = task.spec.dataset(block, ("init_time", "lead_time", "member"))
    failed = Limits.of(dataset).failed(piece)
    if failed.counts():
        raise GeobenchError(
            f"restored from these weights, {failed.counts().total()} of 4 members fail: "
            f"{failed.described()}. Check that weights and model belong together, "
            f"normalisation included."
        )
    return history
