"""The observation network that an experiment asks for."""

import difflib
from collections.abc import Iterable

import torch
from torch import Tensor

from geobench.contracts.assimilation import Network
from geobench.contracts.experiment import Observation
from geobench.contracts.state import StateSpec
from geobench.errors import GeobenchError


def network(observation: Observation, spec: StateSpec) -> Network:
    """Observe every `stride`-th sea cell along each dim, from the first, of each variable named."""
    channels = _channels(observation, spec)
    cells = _cells(observation.stride, spec)
    size = spec.sea.size
    places = [channel * size + cells for channel in channels.values()]
    errors = torch.tensor([_error(observation, name) for name in channels], dtype=torch.float64)
    return Network(torch.cat(places), errors.repeat_interleave(len(cells)))


def _channels(observation: Observation, spec: StateSpec) -> dict[str, int]:
    known = {variable.name: channel for channel, variable in enumerate(spec.variables)}
    if isinstance(observation.error, dict):
        _check(observation.error, known, "observation.error names")
    if observation.variables is None:
        return known
    if not observation.variables:
        raise GeobenchError(
            f"observation.variables is empty: nothing is observed. There are: {', '.join(known)}."
        )
    _check(observation.variables, known, "observation.variables names")
    if len(set(observation.variables)) < len(observation.variables):
        names = ", ".join(observation.variables)
        raise GeobenchError(f"observation.variables names one twice: {names}. Name it once.")
    return {name: known[name] for name in observation.variables}


def _check(names: Iterable[str], known: dict[str, int], owner: str) -> None:
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(known)}."
            raise GeobenchError(f"{owner} '{name}', which is no variable. {hint}")


def _cells(stride: int, spec: StateSpec) -> Tensor:
    for dim in spec.dims:
        if stride > 1 and stride >= dim.size:
            raise GeobenchError(
                f"observation.stride = {stride} leaves one cell along {dim.name}, which has "
                f"{dim.size}. Use a smaller one."
            )
    sea = torch.from_numpy(spec.sea)
    chosen = torch.zeros_like(sea)
    chosen[tuple(slice(None, None, stride) for _ in spec.dims)] = True
    cells = (chosen & sea).flatten().nonzero()[:, 0]
    if not len(cells):
        raise GeobenchError(
            f"no sea cell is observed: with observation.stride = {stride} all {int(chosen.sum())} "
            f"chosen cells are land. Use another stride."
        )
    return cells


def _error(observation: Observation, name: str) -> float:
    error = observation.error
    if isinstance(error, dict):
        if name not in error:
            raise GeobenchError(
                f"'{name}' is observed, but observation.error has no entry for it. Add one, or "
                f"name the variables that are observed in observation.variables."
            )
        error = error[name]
    if not error > 0:
        raise GeobenchError(
            f"observation.error of '{name}' is {error:g}; a standard deviation is above 0."
        )
    return error
