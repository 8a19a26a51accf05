"""A plugin is its configuration: a frozen, closed pydantic model."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
)

from pydantic import (
    BaseModel,
    ConfigDict,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from geobench.contracts import files, mistakes
from geobench.errors import GeobenchError


class Fields(BaseModel):
    """A group of configuration fields: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _of_their_kinds(cls, given: Any) -> Any:
        """Refuse true for 1, 1 for true, and text for either: pydantic would take them."""
        for key, value in given.items() if isinstance(given, Mapping) else ():
            field = cls.model_fields.get(key) if isinstance(key, str) else None
            annotation: Any = field.annotation if field else Any
            kinds = _kinds(annotation)
            for scalar in _scalars(value):
                if wrong := _misfit(scalar, kinds):
                    raise ValueError(f"{key} = {mistakes.shortened(value)}: {wrong}")
        return given

    @model_validator(mode="before")
    @classmethod
    def _find_files(cls, given: Any) -> Any:
        """Put the path in place of the `{file: …, sha256: …}` of a recipe."""
        if not isinstance(given, Mapping):
            return given
        fields = {key: cls.model_fields.get(key) for key in given if isinstance(key, str)}
        return {
            key: files.found(value, field.annotation) if (field := fields.get(key)) else value
            for key, value in given.items()
        }


class Plugin(Fields):
    """What simulators, models and scorers have in common.

    `Lorenz95(forcing=8)` in Python is `{use: lorenz95, forcing: 8}` in YAML. Equal fields (and
    an equal `version`) mean equal numbers, so raise `version` when the numbers change. Of a group
    of fields what is not named keeps the plugin's default, unless another kind of group is named.
    """

    name: ClassVar[str] = ""
    version: ClassVar[str] = "1"

    _digests: dict[Path, str] = PrivateAttr(default_factory=dict)
    """Of the files that its fields name, when it was made."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse fields that hide what every plugin has."""
        super().__pydantic_init_subclass__(**kwargs)
        for taken in ("name", "version", "use"):
            if taken in cls.model_fields:
                raise TypeError(
                    f"{cls.__name__}.{taken} is annotated as a field; write {taken} = …"
                )

    @model_validator(mode="before")
    @classmethod
    def _keep_defaults_of_groups(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        defaults = {key: field.default for key, field in cls.model_fields.items()}
        groups: dict[str, Any] = {
            k: {} for k, group in defaults.items() if isinstance(group, Fields)
        }
        whole = {**groups, **given}
        return {key: _completed(value, defaults.get(key)) for key, value in whole.items()}

    @model_validator(mode="after")
    def _files_are_there(self) -> Self:
        """Refuse a path to nothing: its content is part of the recipe."""
        for key in type(self).model_fields:
            for path in files.paths(getattr(self, key)):
                try:
                    self._digests[path] = files.digest(path)
                except GeobenchError as error:
                    raise ValueError(f"{key}: {error}") from error
        return self

    def check_files(self) -> None:
        """Raise `GeobenchError` if a file that a field names has changed since this was made."""
        for path, was in self._digests.items():
            if not path.exists() or files.digest(path) != was:
                raise GeobenchError(
                    f"the file '{path}' changed while it was used, so the result would not be "
                    f"that of either version. Nothing was published; run it again."
                )

    def recipe(self) -> dict[str, Any]:
        """Everything that decides this plugin's numbers, as JSON values."""
        fields = files.referenced(self, self.model_dump(mode="json"), self._digests)
        return {"use": self.name, "version": self.version, **fields}

    @classmethod
    def configured(cls, fields: Mapping[str, Any]) -> Self:
        """Build from untrusted fields; `GeobenchError` names each field that is wrong."""
        return validated(cls, fields, cls.name)

    @classmethod
    def summary(cls) -> str:
        """First line of the docstring."""
        return (inspect.getdoc(cls) or "").partition("\n")[0]


@cache
def _kinds(annotation: Any) -> frozenset[Any]:
    """Types of the plain values that a field takes, also inside lists."""
    if get_origin(annotation) is Literal:
        return frozenset(type(value) for value in get_args(annotation))
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType, tuple, list, Sequence):
        parts = (_kinds(part) for part in get_args(annotation) if part is not Ellipsis)
        return frozenset().union(*parts)
    return frozenset([annotation])


def _scalars(given: Any) -> Iterator[Any]:
    """Every plain value in it; groups of fields look after their own."""
    if isinstance(given, list | tuple):
        for part in given:
            yield from _scalars(part)
    elif isinstance(given, bool | int | str):
        yield given


def _misfit(given: bool | int | str, kinds: frozenset[Any]) -> str:
    """Say what is wrong with a value for a field of these types; '' if nothing is."""
    known = kinds - {type(None)}
    if not known or not known <= {int, float, bool} or type(given) in known:
        return ""
    if known == {bool}:
        return "write true or false"
    if isinstance(given, str):
        return f"write a number{mistakes.number_meant(given)}"
    return "write a number" if isinstance(given, bool) else ""


def _completed(given: Any, default: Any) -> Any:
    """Return the keys of a group over those of its default, if both are of one kind.

    `Group(key=value)` means what `{"key": value}` does. Every key of what comes out counts as
    given, so that a group taken from one plugin means the same in another.
    """
    if isinstance(given, Fields) and type(given) is type(default):
        given = {key: getattr(given, key) for key in given.model_fields_set}
    if not isinstance(given, Mapping) or not isinstance(default, Fields):
        return given
    kept = {k: _completed({}, v) if isinstance(v, Fields) else v for k, v in default}
    for key, field in type(default).model_fields.items():
        is_tag = get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1
        if is_tag and given.get(key, kept[key]) != kept[key]:
            return given
    return kept | {key: _completed(value, kept.get(key)) for key, value in given.items()}


_Model = TypeVar("_Model", bound=BaseModel)


def validated(cls: type[_Model], fields: Mapping[str, Any], owner: str) -> _Model:
    """Build `cls` from untrusted `fields`, telling every mistake on one line."""
    try:
        return cls.model_validate(dict(fields))
    except ValidationError as error:
        raise GeobenchError(f"{owner}: {mistakes.message(error, cls)}") from error
