"""What people write for a plugin: its name, its fields, or the thing itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from geobench.contracts.experiment import Experiment
from geobench.contracts.model import EnsembleModel
from geobench.contracts.plugin import Plugin, validated
from geobench.contracts.scorer import Scorer
from geobench.errors import GeobenchError
from geobench.registry import Registry, merged, short_keys
from geobench.registry.plain_yaml import read_yaml
from geobench.twin.cases import Cases

if TYPE_CHECKING:
    from collections.abc import Callable

_Own = TypeVar("_Own", bound=Plugin)


def experiment(
    registry: Registry, given: str | Mapping[str, Any] | Experiment, changes: Mapping[str, Any]
) -> tuple[str, Experiment]:
    """Return an experiment with changes of its fields, and what to call it."""
    name, start = _start(given)
    keys = short_keys.tree(Experiment)
    simulator = _simulator(registry, start)
    if simulator is not None:
        keys["simulator"] = short_keys.tree(simulator)
    placed = short_keys.placed(changes, keys, f"experiment {name}")
    return name, registry.experiment(merged(start, placed), f"experiment {name}")


def _start(given: str | Mapping[str, Any] | Experiment) -> tuple[str, dict[str, Any]]:
    if isinstance(given, Experiment):
        return str(given.simulator.get("use", "experiment")), given.model_dump()
    if isinstance(given, Mapping):
        return str(given.get("use", "experiment")), dict(given)
    file = Path(given)
    if file.suffix in (".yaml", ".yml"):
        return file.stem, read_yaml(file)
    return given, {"use": given}


def _simulator(registry: Registry, start: Mapping[str, Any]) -> "type[Plugin] | None":
    """Return the class of the simulator, whose fields may be named without it."""
    fields = dict(start)
    if "use" in fields:
        fields = merged(read_yaml(registry.offer("experiment", str(fields["use"])).value), fields)
    recipe = fields.get("simulator")
    name = recipe.get("use") if isinstance(recipe, Mapping) else recipe
    offered = registry.offers.get(("simulator", str(name)))
    return offered.value if offered else None


def model(
    registry: Registry, given: str | Mapping[str, Any] | EnsembleModel, fields: Mapping[str, Any]
) -> EnsembleModel:
    """Return a model, with these fields over those that it has."""
    return _built(registry, "model", given, fields, EnsembleModel, registry.model)


def scorer(registry: Registry, given: str | Mapping[str, Any] | Scorer) -> Scorer:
    """Return a scorer."""
    return _built(registry, "scorer", given, {}, Scorer, registry.scorer)


def _built(
    registry: Registry,
    kind: str,
    given: Any,
    fields: Mapping[str, Any],
    base: Any,
    build: "Callable[[object], _Own]",
) -> _Own:
    if isinstance(given, base) and not fields:
        return cast("_Own", given)
    if isinstance(given, type) and issubclass(given, base):
        given = given()
    if isinstance(given, base):
        keys = short_keys.tree(type(given))
        placed = short_keys.placed(fields, keys, given.name)
        kept = {key: getattr(given, key) for key in given.model_fields_set}
        return cast("_Own", type(given).configured(merged(kept, placed)))
    recipe = {"use": given} if isinstance(given, str) else given
    if not (isinstance(recipe, Mapping) and isinstance(recipe.get("use"), str)):
        raise GeobenchError(
            f"{given!r} is no {kind}. Give its name, {{'use': name, …}}, or a {base.__name__}."
        )
    keys = short_keys.tree(registry.offer(kind, str(recipe["use"])).value)
    return build(merged(recipe, short_keys.placed(fields, keys, str(recipe["use"]))))


def is_offered(registry: Registry, plugin: Plugin) -> bool:
    """Whether the registry offers this very class."""
    return any(offer.value is type(plugin) for offer in registry.offers.values())


def cases(fields: Mapping[str, Any]) -> Cases:
    """Return cases by their fields."""
    return validated(Cases, fields, "cases")
