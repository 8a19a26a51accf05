"""What a plugin offers, checked."""

import hashlib
import inspect
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geobench.errors import GeobenchError
from geobench_catalog.plain_text import plain

if TYPE_CHECKING:
    from geobench.contracts.plugin import Plugin

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,60}")
"""Names of plugins and of their commands."""
SESSION = "this session"
"""Who offers what was registered in Python."""


@dataclass(frozen=True)
class Offer:
    """One thing that a plugin offers."""

    kind: str
    name: str
    plugin: str
    value: Any
    source: str = ""
    """Text of one that was registered in a session, which is stored with what it makes."""

    @property
    def summary(self) -> str:
        """One line about it."""
        if self.kind == "experiment":
            from geobench.registry.plain_yaml import read_yaml

            return plain(str(read_yaml(self.value).get("title", "")))
        return plain(str(self.value.summary()))


def bases() -> "dict[str, type[Plugin]]":
    """The class that plugins of each kind are made from."""
    from geobench.contracts.assimilation import Assimilation
    from geobench.contracts.model import EnsembleModel
    from geobench.contracts.scorer import Scorer
    from geobench.contracts.simulator import Simulator

    return {
        "simulator": Simulator,
        "model": EnsembleModel,
        "scorer": Scorer,
        "assimilation": Assimilation,
    }


def checked(value: object, base: type["Plugin"], kind: str) -> str:
    """Return the name of what a plugin offers as a kind; `GeobenchError` if it is none."""
    if not (inspect.isclass(value) and issubclass(value, base)):
        raise GeobenchError(f"offers {value!r} as a {kind}; offer a subclass of {base.__name__}")
    if inspect.isabstract(value):
        missing = ", ".join(sorted(value.__abstractmethods__))
        raise GeobenchError(f"the {kind} {value.__name__} does not implement {missing}")
    if not NAME.fullmatch(value.name):
        raise GeobenchError(
            f"the {kind} {value.__name__} has the name {value.name!r}; write name = '…' in it, in "
            f"lower-case letters, digits and '-'"
        )
    return value.name


def short(identity: str) -> str:
    """Return 12 hex digits of an identity: itself, or those of a text that a user chose."""
    if re.fullmatch("[0-9a-f]{12}", identity):
        return identity
    return hashlib.sha256(identity.encode()).hexdigest()[:12]
