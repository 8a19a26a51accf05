"""YAML as people mean it: the scalars of YAML 1.2, no key twice, and bounded work.

YAML 1.1, which PyYAML reads, takes `1:30` for 90, `010` for 8, `1_6` for 16, `yes` for true and
`1e3` for text. Here a number is decimal digits, perhaps with a sign, a point or an exponent; a
truth value is `true` or `false`; nothing is a date. A number that begins with 0, or is too large,
is refused, because either reading would surprise someone.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from geobench.errors import GeobenchError

LONGEST = 2**20
"""Characters of the longest text that is read."""
_DEEPEST = 50  # mappings and lists inside one another
_MOST = 100_000  # values, those counted again that an alias repeats
_TAG = "tag:yaml.org,2002:"
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_ODD = re.compile(r"[-+]?0[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which makes plain values only, with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 # none of its parent's

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse what would end in a RecursionError."""
        self.depth += 1
        if self.depth > _DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(
                None, None, f"more than {_DEEPEST} lists or mappings are inside one another", mark
            )
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def mapping(self, node: yaml.MappingNode) -> dict[Any, Any]:
        """Build a mapping; its safe parent lets the second of two equal keys win in silence."""
        known = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in known:
                    message = f"the key '{key.value}' stands there twice. Leave one out"
                    raise yaml.constructor.ConstructorError(None, None, message, key.start_mark)
                known.add(key.value)
        return self.construct_mapping(node, deep=True)

    def number(self, node: yaml.ScalarNode) -> int | float:
        """Build a number; one with an exponent that is whole is an integer, too."""
        text = node.value
        if re.fullmatch(r"[-+]?[0-9]+", text):
            if len(text) <= 20 and abs(int(text)) < 2**63:
                return int(text)
        else:
            value = float(text)
            if abs(value) < 2**53 and value.is_integer() and "." not in text:
                return int(value)
            if abs(value) != float("inf"):
                return value
        message = f"the number {_short(text)} is too large"
        raise yaml.constructor.ConstructorError(None, None, message, node.start_mark)

    def odd(self, node: yaml.ScalarNode) -> Any:
        """Refuse what some read as octal or hexadecimal, and others as decimal or text."""
        message = (
            f"{_short(node.value)} may be read as a decimal, an octal or a hexadecimal number. "
            f"Write a decimal number without 0 in front, or put it in quotation marks"
        )
        raise yaml.constructor.ConstructorError(None, None, message, node.start_mark)


_Loader.add_implicit_resolver(_TAG + "null", re.compile(r"(~|null|Null|NULL|)$"), [*"~nN", ""])
_Loader.add_implicit_resolver(_TAG + "bool", re.compile(r"(true|True|TRUE)$"), ["t", "T"])
_Loader.add_implicit_resolver(_TAG + "bool", re.compile(r"(false|False|FALSE)$"), ["f", "F"])
_Loader.add_implicit_resolver("!odd", re.compile(f"({_ODD.pattern})$"), [*"-+0"])
_Loader.add_implicit_resolver(
    _TAG + "float", re.compile(f"({_NUMBER.pattern})$"), [*"-+.0123456789"]
)
_Loader.add_implicit_resolver(_TAG + "merge", re.compile(r"<<$"), ["<"])
_Loader.add_constructor("!odd", _Loader.odd)
_Loader.add_constructor(_TAG + "float", _Loader.number)
_Loader.add_constructor(_TAG + "int", _Loader.number)
_Loader.add_constructor(_TAG + "map", _Loader.mapping)


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper; text that any reader could take for something else is quoted."""

    yaml_implicit_resolvers: dict[str, Any] = {  # noqa: RUF012 # both readers' rules
        first: [*rules, *_Loader.yaml_implicit_resolvers.get(first, ())]
        for first, rules in {
            **dict.fromkeys(_Loader.yaml_implicit_resolvers, ()),
            **yaml.SafeDumper.yaml_implicit_resolvers,
        }.items()
    }

    def ignore_aliases(self, data: Any) -> bool:
        """Write equal values out."""
        return True


def dump(value: Any) -> str:
    """Write plain values so that `load` gives them back; short lists and mappings on one line."""
    return yaml.dump(
        value,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=100,
    )


def load(text: str, owner: str) -> Any:
    """Read a YAML text; every way in which it can fail is one line, after the owner's name."""
    if len(text) > LONGEST:
        raise GeobenchError(
            f"{owner} has {len(text):,} characters, and {LONGEST:,} are the most that is read. "
            f"Check that it is the right file."
        )
    try:
        value = yaml.load(text, _Loader)  # noqa: S506 # a SafeLoader
    except (yaml.YAMLError, ValueError, KeyError) as error:  # the last two: `!!int x`, `!!bool x`
        raise GeobenchError(f"{owner} is not YAML: {_told(error, text)}.") from error
    if (size := _size(value, {})) > _MOST:
        raise GeobenchError(
            f"{owner} holds {size:,} values, and {_MOST:,} are the most that is read. Aliases "
            f"(*name) count as often as they are used."
        )
    return value


def _size(value: Any, known: dict[int, int]) -> int:
    """Count the values in it; one that is there twice counts twice."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in known:
        inside = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(part, known) for part in inside)
    return known[id(value)]


def _told(error: Exception, text: str) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"a character that text cannot hold (line {line})"
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem is None:
        return " ".join(str(error).split())
    mark = error.problem_mark or error.context_mark
    where = f" (line {mark.line + 1})" if mark else ""
    context = f"{error.context}: " if error.context else ""
    return f"{context}{error.problem}{where}"


def _short(text: str) -> str:
    return text if len(text) <= 30 else f"{text[:12]}… ({len(text):,} characters)"


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; every way in which it can fail is one line."""
    try:
        with path.open("rb") as file:  # a pipe has no size
            text = file.read(LONGEST + 1)
        if len(text) > LONGEST:
            raise GeobenchError(
                f"{path} has more than {LONGEST:,} bytes, the most that is read. Check "
                f"that it is the right file."
            )
        content = load(text.decode("utf-8"), str(path))
    except FileNotFoundError:
        raise GeobenchError(f"there is no file {path}. Check the path.") from None
    except IsADirectoryError:
        raise GeobenchError(f"'{path}' is a folder. {_files_in(path)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise GeobenchError(f"{path} cannot be read ({error}).") from error
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise GeobenchError(f"{path} holds no mapping of keys to values.")
    return content


def _files_in(folder: Path) -> str:
    """Say which YAML files a folder holds."""
    files = sorted(file for file in folder.iterdir() if file.suffix in (".yaml", ".yml"))
    if not files:
        return "Name a YAML file; this folder holds none."
    more = f" and {len(files) - 5} more" if len(files) > 5 else ""
    return f"Name a YAML file in it: {', '.join(map(str, files[:5]))}{more}."
