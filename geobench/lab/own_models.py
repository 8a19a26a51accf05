"""Models that are a function or a network of one's own, trained in a loop of one's own."""

import copy
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from geobench.contracts.model import EnsembleModel, Forecaster, Run, Task, Training
from geobench.errors import GeobenchError
from geobench.registry import own_code
from geobench.registry.offers import NAME

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from geobench.contracts.noise import Noise


class OwnForecaster(Forecaster):
    """Draws the next state by a function of (history, noise)."""

    trained_elsewhere = True

    def __init__(self, step: Any, label: str, history: int) -> None:
        self._step, self._label, self.history = step, label, history
        self._networks = networks_of(step)

    @property
    def network(self) -> "nn.Module | None":
        """The network that it calls; a list of them, if there are several."""
        from torch import nn

        networks = [*self._networks.values()]
        if len(networks) > 1:
            return nn.ModuleList(networks)
        return networks[0] if networks else None

    def weights(self) -> "dict[str, Tensor]":
        """Parameters and buffers of the networks, with the names of the networks before theirs."""
        return {
            f"{name}.{key}".removeprefix("."): value
            for name, network in self._networks.items()
            for key, value in network.state_dict().items()
        }

    def step(self, history: "Tensor", noise: "Noise") -> "Tensor":
        """Call the function, without gradients."""
        import torch

        with torch.no_grad():
            state = torch.as_tensor(self._step(history, noise), dtype=history.dtype)
        if state.shape != history[:, -1].shape:
            raise GeobenchError(
                f"{self._label} returned a state of shape {tuple(state.shape)}; expected "
                f"{tuple(history[:, -1].shape)} (row, channel, *grid), that of history[:, -1]."
            )
        return state


def model_of(
    step: Any, label: str, history: int, version: str | None
) -> tuple[type[EnsembleModel], str]:
    """Return a class of models, of which the only one forecasts by a function, and its identity.

    A network is copied, and put in the mode for evaluation. Of a function nothing is copied: what
    it refers to must be the same when a forecast is made, or that is an error.
    """
    from torch import nn

    if not NAME.fullmatch(label):
        raise GeobenchError(
            f"label={label!r} names no model: use lower-case letters, digits and '-', and begin "
            f"with a letter or digit, such as label='my-model'."
        )
    _check_arguments(step, label)
    if isinstance(step, nn.Module):
        step = copy.deepcopy(step).eval().requires_grad_(False)
    identity = own_code.digest(step, label) if version is None else _versioned(step, version)

    class Own(EnsembleModel):
        name: ClassVar[str] = label

        def fit(self, training: Training, run: Run) -> Forecaster:
            training.check(history, 1)
            return OwnForecaster(step, label, history)

        def restore(self, weights: "Mapping[str, Tensor]", task: Task) -> Forecaster:
            now = own_code.digest(step, label) if version is None else _versioned(step, version)
            if now != identity:
                raise GeobenchError(
                    f"what {label} refers to has changed since lab.forecaster was called. Call it "
                    f"again with the function as it is now."
                )
            forecaster = OwnForecaster(step, label, history)
            _check_weights(label, forecaster.weights(), weights)
            return forecaster

    Own.__doc__ = _summary(step, label)
    return Own, identity


def _versioned(step: Any, version: str) -> str:
    """Return an identity that a user chose, with the weights of the networks."""
    weights = {name: dict(net.state_dict()) for name, net in networks_of(step).items()}
    return f"{version} {own_code.digest(weights, 'weights')}"


def source(step: Any) -> str:
    """Return the text of a function, or of the class of a network; "" if nobody knows it."""
    from torch import nn

    return own_code.source(type(step) if isinstance(step, nn.Module) else step)


def networks_of(step: Any) -> "dict[str, nn.Module]":
    """Return the networks that a function refers to, by path; "": it is a network itself."""
    return own_code.networks(step, "step")


def _summary(step: Any, label: str) -> str:
    described = inspect.getdoc(step) if inspect.isroutine(step) else ""
    return (described or f"{label}, made in a session.").partition("\n")[0]


def _check_arguments(step: Any, label: str) -> None:
    """Raise unless it can be called with history and noise."""
    if not callable(step):
        raise GeobenchError(
            f"{label} is a {type(step).__name__}, and no function. Give a function of (history, "
            f"noise) that returns the next state of each row."
        )
    called = getattr(step, "forward", step)
    try:
        inspect.signature(called).bind(None, None)
    except TypeError as error:
        raise GeobenchError(
            f"{label} cannot be called with (history, noise): {error}. Give a function of both, "
            f"such as lambda history, noise: net(history)."
        ) from error
    except ValueError:  # written in C: it has no signature
        return


def _check_weights(
    label: str, mine: "Mapping[str, torch.Tensor]", stored: "Mapping[str, torch.Tensor]"
) -> None:
    import torch

    same = mine.keys() == stored.keys() and all(
        torch.equal(value.cpu(), stored[key]) for key, value in mine.items()
    )
    if not same:
        raise GeobenchError(
            f"the weights of {label} are not those that are stored. Call lab.forecaster again."
        )
