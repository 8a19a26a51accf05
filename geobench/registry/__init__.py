"""The registry: who offers which simulator, model, scorer, experiment or command.

Plugins are asked one at a time, so that an answer and a failure both have an owner. One that fails
to import or to validate, or that offers a name that is taken, is set aside with its reason; the
rest works.
"""

import difflib
import importlib.metadata
import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import pluggy

from geobench.contracts import hookspecs
from geobench.errors import GeobenchError
from geobench.registry import plugin_files
from geobench.registry.offers import NAME, SESSION, Offer, bases, checked, short
from geobench_catalog.plain_text import plain

if TYPE_CHECKING:
    import click

    from geobench.contracts.assimilation import Assimilation
    from geobench.contracts.experiment import Experiment
    from geobench.contracts.model import EnsembleModel
    from geobench.contracts.plugin import Plugin
    from geobench.contracts.scorer import Scorer
    from geobench.contracts.simulator import Simulator

GROUP = "geobench"
_BUILTIN = "geobench-twin"
_STAMP = re.compile(r"\+[0-9a-f]{12}$")
_MOST = 10_000  # things that one plugin may offer by one hook


class Registry:
    """All plugins that are installed, and those named by file."""

    def __init__(self, files: Iterable[Path] = ()) -> None:
        self._manager = pluggy.PluginManager("geobench")
        self._manager.add_hookspecs(hookspecs)
        self.set_aside: dict[str, str] = {}
        self.plugins: list[str] = []
        named = list(files)
        self.files = [file.absolute() for file in named]
        self._digests: dict[str, str] = {}
        self._of_session: dict[tuple[str, str, str], type[Plugin]] = {}
        for owner, load in _installed():
            self._register(owner, load)
        for file in named:
            self._register(str(file), partial(self._load, file))

    def __repr__(self) -> str:
        aside = f"; set aside: {', '.join(self.set_aside)}" if self.set_aside else ""
        return f"<Registry of {', '.join(self.plugins) or 'no plugin'}{aside}>"

    def _load(self, file: Path) -> ModuleType:
        module, self._digests[str(file)] = plugin_files.load(file)
        return module

    def _register(self, owner: str, load: Callable[[], object]) -> None:
        if owner in self.plugins:  # one distribution, several entry points
            owner = f"{owner} ({len(self.plugins)})"
        try:
            plugin = load()
            self._manager.register(plugin, owner)
            self._manager.check_pending()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # pluggy keeps a plugin that fails its checks.
            if self._manager.has_plugin(owner):
                self._manager.unregister(name=owner)
            self._abandon(owner, error)
        else:
            self.plugins.append(owner)

    def _abandon(self, owner: str, error: BaseException) -> None:
        try:
            reason = " ".join(str(error).split()) or type(error).__name__
        except Exception:  # a stranger's error
            reason = "its error cannot be shown"
        known = isinstance(error, (ImportError, GeobenchError, pluggy.PluginValidationError))
        message = reason if known else f"{type(error).__name__}: {reason}"
        self.set_aside[owner] = plain(message)

    def _ask(self, owner: str, hook: str) -> list[Any]:
        """Call one hook of one plugin; set the plugin aside if that fails."""
        others = [self._manager.get_plugin(name) for name in self.plugins if name != owner]
        try:
            answers = self._manager.subset_hook_caller(hook, others)()
            offers = list(
                itertools.islice((offer for answer in answers for offer in answer), _MOST + 1)
            )
            if len(offers) > _MOST:
                raise GeobenchError(f"offers more than {_MOST:,} things by {hook}")
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._abandon(owner, error)
            return []
        return offers

    @cached_property
    def offers(self) -> dict[tuple[str, str], Offer]:
        """Everything that is offered, by kind and name."""
        offers: dict[tuple[str, str], Offer] = {}
        for owner in self.plugins:
            mine: dict[tuple[str, str], Offer] = {}
            try:
                for offer in self._offered(owner):
                    key = offer.kind, offer.name
                    other = offers.get(key) or mine.get(key)
                    if other:
                        raise GeobenchError(
                            f"offers the {offer.kind} '{offer.name}', which {other.plugin} already "
                            f"offers; rename one or uninstall one"
                        )
                    mine[key] = offer
                    _ = offer.summary  # which a stranger may compute
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._abandon(owner, error)
            if owner not in self.set_aside:
                offers |= mine
                _stamp(self._digests.get(owner), mine.values())
        return offers

    def _offered(self, owner: str) -> Iterable[Offer]:
        from geobench.registry.plain_yaml import read_yaml

        for kind, base in bases().items():
            for value in self._ask(owner, f"geobench_{kind}s"):
                yield Offer(kind, checked(value, base, kind), owner, value)
        for path in self._ask(owner, "geobench_experiments"):
            if Path(path).exists() and not Path(path).is_file():
                raise GeobenchError(f"its experiment {path} is no file")
            read_yaml(Path(path))  # a file that cannot be read is the plugin's failure
            yield Offer("experiment", Path(path).stem, owner, Path(path))

    def register(self, plugin: "type[Plugin]", identity: str, source: str = "") -> Offer:
        """Offer a class of this session; one that has its name from this session gives way.

        Recipes that name the version of the older one still find it.

        `identity` becomes part of its version: whatever decides its numbers beside its fields.
        """
        kinds = [kind for kind, base in bases().items() if issubclass(plugin, base)]
        if not kinds:
            named = ", ".join(base.__name__ for base in bases().values())
            raise GeobenchError(f"{plugin.__name__} is no plugin. Make it a subclass of: {named}.")
        name = checked(plugin, bases()[kinds[0]], kinds[0])
        other = self.offers.get((kinds[0], name))
        if other and other.plugin != SESSION:
            raise GeobenchError(
                f"the {kinds[0]} '{name}' is offered by {other.plugin}. Choose another name."
            )
        if other and other.value.__name__ != plugin.__name__:
            raise GeobenchError(
                f"the {kinds[0]} '{name}' is registered in this session as {other.value.__name__}. "
                f"Choose another name or label."
            )
        plugin.version = f"{_STAMP.sub('', plugin.version)}+{short(identity)}"
        offer = Offer(kinds[0], name, SESSION, plugin, source)
        self.offers[offer.kind, name] = offer
        self._of_session[offer.kind, name, plugin.version] = plugin
        return offer

    @property
    def session(self) -> list[Offer]:
        """What this session has registered; other processes do not have it."""
        return [offer for offer in self.offers.values() if offer.plugin == SESSION]

    @cached_property
    def commands(self) -> dict[str, "click.Command"]:
        """Commands that plugins add; asks for nothing else, so it stays quick."""
        import click

        commands: dict[str, click.Command] = {}
        for owner in self.plugins:
            for command in self._ask(owner, "geobench_commands"):
                if not isinstance(command, click.Command) or not NAME.fullmatch(str(command.name)):
                    message = (
                        f"its command {command!r} is no click command, or has no name like ours"
                    )
                    self._abandon(owner, GeobenchError(message))
                elif str(command.name) not in commands:
                    command.help = plain(command.help or "")
                    commands[str(command.name)] = command
                else:
                    message = f"the name of its command {command.name} is taken"
                    self._abandon(owner, GeobenchError(message))
        return commands

    def offer(self, kind: str, name: str) -> Offer:
        """Look up an offer; an unknown name is told with the likely one and what is set aside."""
        if (kind, name) in self.offers:
            return self.offers[kind, name]
        known = [offered for k, offered in self.offers if k == kind]
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(known)}."
        aside = "; ".join(f"{owner} ({reason})" for owner, reason in self.set_aside.items())
        raise GeobenchError(
            f"no {kind} is called '{name}'. {hint}" + (f" Not loaded: {aside}." if aside else "")
        )

    def _build(self, kind: str, recipe: object) -> "Plugin":
        """Make a plugin from `name` or `{use: name, …}`."""
        fields = {"use": recipe} if isinstance(recipe, str) else recipe
        if not isinstance(fields, Mapping) or not isinstance(fields.get("use"), str):
            raise GeobenchError(
                f"a {kind} is named by its plugin, 'name' or {{use: name, …}}; got {recipe!r}."
            )
        offered: type[Plugin] = self.offer(kind, fields["use"]).value
        version = str(fields.get("version", offered.version))
        offered = self._of_session.get((kind, fields["use"], version), offered)
        if version != offered.version:
            raise GeobenchError(
                f"{kind} {fields['use']} is installed in version {offered.version}, and version "
                f"{version} is asked for. Install the plugin that has it, or leave the version out."
            )
        configuration = {
            key: value for key, value in fields.items() if key not in ("use", "version")
        }
        return offered.configured(configuration)

    def simulator(self, recipe: object) -> "Simulator":
        """Build a simulator from its recipe."""
        return cast("Simulator", self._build("simulator", recipe))

    def model(self, recipe: object) -> "EnsembleModel":
        """Build a model from its recipe."""
        return cast("EnsembleModel", self._build("model", recipe))

    def scorer(self, recipe: object) -> "Scorer":
        """Build a scorer from its recipe."""
        return cast("Scorer", self._build("scorer", recipe))

    def headline_scorers(self) -> "list[Scorer]":
        """Scorers that a study uses which names none: the built-in ones, then those of others."""
        offered = [offer for offer in self.offers.values() if offer.kind == "scorer"]
        offered.sort(key=lambda offer: offer.plugin != _BUILTIN)
        return [self.scorer(offer.name) for offer in offered if offer.value.headline]

    def assimilation(self, recipe: object) -> "Assimilation":
        """Build a data assimilation from its recipe."""
        return cast("Assimilation", self._build("assimilation", recipe))

    def experiment(self, fields: Mapping[str, Any], owner: str) -> "Experiment":
        """Build an experiment; `use: NAME` in `fields` starts from a named one.

        Its plugins come out with every field filled in, so that equal experiments are equal.
        """
        from geobench.contracts.experiment import Experiment
        from geobench.contracts.plugin import validated

        configuration = dict(fields)
        if "use" in configuration:
            from geobench.registry.plain_yaml import read_yaml

            start = read_yaml(self.offer("experiment", str(configuration.pop("use"))).value)
            configuration = merged(start, configuration)
        experiment = validated(Experiment, configuration, owner)
        simulator = self.simulator(experiment.simulator)
        filled = {**experiment.model_dump(), "simulator": simulator.recipe()}
        if experiment.assimilation:
            filled["assimilation"] = self.assimilation(experiment.assimilation).recipe()
        _check_names(experiment, simulator, owner)
        return validated(Experiment, filled, owner)


def _check_names(experiment: "Experiment", simulator: "Simulator", owner: str) -> None:
    """Raise unless the variables that are named are there."""
    try:
        simulator.spec.channels(experiment.shown)
    except GeobenchError as error:
        raise GeobenchError(f"{owner}: shown: {error}") from error


def merged(start: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `start` with `changes` laid over it, mapping by mapping."""
    result = dict(start)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = value
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            # Another plugin has other fields: nothing of the old one's can be kept.
            same = value.get("use", old.get("use")) == old.get("use")
            result[key] = merged(old, value) if same else value
    return result


def _stamp(digest: str | None, offers: Iterable[Offer]) -> None:
    """Make the text of a plugin file, and of what it imports, part of its plugins' versions.

    A file is edited and run again: the new plugin must not get the results of the old one.
    """
    for offer in offers if digest else ():
        if offer.kind != "experiment":
            offer.value.version = f"{offer.value.version}+{digest}"


def _installed() -> list[tuple[str, Callable[[], object]]]:
    """Entry points: the built-ins first, then by distribution and name."""
    points = importlib.metadata.entry_points(group=GROUP)

    def owner(point: importlib.metadata.EntryPoint) -> str:
        metadata = point.dist and point.dist.metadata
        return metadata["Name"] if metadata and "Name" in metadata else point.value

    ordered = sorted(points, key=lambda p: (owner(p) != _BUILTIN, owner(p), p.name))
    return [(plain(owner(point)), point.load) for point in ordered]
