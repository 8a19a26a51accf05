"""What a word of an expression means (a field, a key of configuration or a measure), as SQL."""

import difflib
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

from geobench_catalog.vocabulary import Vocabulary, quoted, tell_renamed

_QUANTITY = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)")
_DATE = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"|(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)(Z|[+-]\d\d:\d\d)?",
    re.ASCII,
)
# How long a date means, by how many characters of it are written.
_SPANS = {10: timedelta(days=1), 16: timedelta(minutes=1), 19: timedelta(seconds=1)}
_PLAIN = {"": 1}
_DURATIONS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_SIZES = {"": 1, "b": 1} | {
    f"{letter}{unit}": base**power
    for unit, base in (("b", 1000), ("ib", 1024))
    for power, letter in enumerate("kmgt", 1)
}
_TOLERANCE = 1e-6  # hours: times are sums of steps

# A condition is a set of entries, found by an index and free of NULL: `not` is its complement.
_CONFIGURED = (
    "e.entry IN (SELECT entry FROM lineage WHERE ancestor IN"
    " (SELECT entry FROM fields WHERE key = ? AND {}))"
)
_MEASURED = (
    "e.entry IN (SELECT ancestor FROM lineage WHERE entry IN"
    " (SELECT entry FROM measures WHERE %s AND {}))"
)
_SHOWN = (
    "(SELECT CASE WHEN count(*) < 2 THEN max(shown) ELSE group_concat(shown, ', ') END FROM"
    " (SELECT DISTINCT {0} AS shown FROM {1} AND {0} IS NOT NULL ORDER BY shown))"
)
_SPREAD = (
    "(SELECT CASE WHEN count(*) < 2 THEN max(shown)"
    " ELSE printf('%.4g … %.4g (%d)', min(shown), max(shown), count(*)) END FROM"
    " (SELECT DISTINCT {0} AS shown FROM {1} AND {0} IS NOT NULL))"
)
"""Of measures there may be hundreds: the least, the largest, and how many."""


class Sql(NamedTuple):
    """SQL of ours with a `?` for each parameter."""

    text: str
    parameters: tuple[object, ...] = ()


class Token(NamedTuple):
    """A piece of the expression: a word, quoted text, a symbol or keyword, or the end."""

    form: str
    text: str
    position: int


class UnclearError(Exception):
    """What is wrong within a token, and how many characters into it."""

    def __init__(self, what: str, offset: int = 0) -> None:
        super().__init__(what)
        self.offset = offset


# SQL that compares a column with a value: (column, operator, value) -> SQL.
_Comparison = Callable[[str, str, Token], Sql]


def _escaped(text: str) -> str:
    return re.sub(r"[%_\\]", r"\\\g<0>", text)


def _text(column: str, operator: str, value: Token) -> Sql:
    if operator == "~":
        pattern = _escaped(value.text).replace("*", "%").replace("?", "_")
        return Sql(f"{column} LIKE ? ESCAPE '\\'", (pattern,))
    return Sql(f"{column} {operator} ?", (value.text,))


def _kind(column: str, operator: str, value: Token, *, kinds: Collection[str]) -> Sql:
    if operator in ("=", "!=") and kinds and value.text not in kinds:
        close = difflib.get_close_matches(value.text, kinds, n=1)
        cure = f"did you mean '{close[0]}'?" if close else f"kinds are {', '.join(kinds)}"
        raise UnclearError(f"there is no kind '{value.text:.60}'; {cure}")
    return _text(column, operator, value)


def _identity(column: str, operator: str, value: Token) -> Sql:
    if operator not in ("=", "!="):
        return _text(column, operator, value)
    like = "LIKE" if operator == "=" else "NOT LIKE"
    return Sql(f"{column} {like} ? ESCAPE '\\'", (_escaped(value.text) + "%",))


def _entry(column: str, operator: str, value: Token) -> Sql:
    """Compare with the name of an entry, or with its reference."""
    if not re.search("[/@]", value.text):
        return _text(column, operator, value)
    reference = column.removesuffix('"') + '_reference"'
    test = _text(reference, operator, value)
    return Sql(f"({reference} IS NOT NULL AND {test.text})", test.parameters)


def _quantity(text: str, units: Mapping[str, int]) -> int | float | None:
    """Read a number and its unit; None if it is not one. Whole numbers stay exact."""
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2].lower() not in units:
        return None
    whole = re.fullmatch("[+-]?[0-9]{1,19}", match[1])
    number = (int(match[1]) if whole else float(match[1])) * units[match[2].lower()]
    return number if abs(number) < 2**63 else float(number)


def _number(
    column: str, operator: str, value: Token, *, units: Mapping[str, int], wanted: str
) -> Sql:
    if operator == "~":
        raise UnclearError("~ compares text, and this is a number; use =, < or >")
    number = _quantity(value.text, units)
    if number is None:
        raise UnclearError(f"'{value.text:.60}' is no {wanted}")
    return Sql(f"{column} {operator} ?", (number,))


def _setting(column: str, operator: str, value: Token) -> Sql:
    """Compare with a number or with text: to SQLite, any text is more than any number."""
    if operator == "~":
        return _text(column, operator, value)
    number = None
    if value.form == "word":
        booleans = {"true": 1, "false": 0}
        number = booleans.get(value.text.lower(), _quantity(value.text, _PLAIN))
    either = value.text if number is None else number
    if operator in ("=", "!="):  # labels and versions are text that looks like a number
        among = "IN" if operator == "=" else "NOT IN"
        return Sql(f"{column} {among} (?, ?)", (either, value.text))
    same = "=" if number is None else "!="
    return Sql(f"typeof({column}) {same} 'text' AND {column} {operator} ?", (either,))


def _moments(text: str, now: datetime) -> tuple[str, str]:
    """Return the first moment `text` means and the first after it, written as `created` is."""
    date = _DATE.fullmatch(text)
    ago = _quantity(text, _DURATIONS) if text.startswith("-") else None
    try:
        if date is not None:
            first = datetime.fromisoformat(text)
            first = first if first.tzinfo else first.replace(tzinfo=UTC)
            span = _SPANS.get(len(date["day"] or date["time"]), timedelta.resolution)
        elif ago is not None:
            first, span = now + timedelta(seconds=ago), timedelta.resolution
        else:
            raise ValueError(text)
        first = first.astimezone(UTC).replace(tzinfo=None)
        return first.isoformat(), (first + span).isoformat()
    except (ValueError, OverflowError):
        cure = "write 2026-11-24, 2026-11-24T16:00 or -7d"
        raise UnclearError(f"'{text:.60}' is no date; {cure}") from None


def _created(column: str, operator: str, value: Token, *, now: datetime) -> Sql:
    if operator == "~":
        return _text(column, operator, value)
    first, after = _moments(value.text, now)
    if operator in ("=", "!="):
        if value.text.startswith("-"):
            raise UnclearError(f"'{value.text:.60}' is a moment; compare it with <, <=, > or >=")
        negation = "NOT " if operator == "!=" else ""
        return Sql(f"{negation}({column} >= ? AND {column} < ?)", (first, after))
    sign = "<" if operator in ("<", "<=") else ">="
    return Sql(f"{column} {sign} ?", (after if operator in ("<=", ">") else first,))


class Field(NamedTuple):
    """What can be asked about: how it is compared, and which entries the answer is about."""

    column: str
    compare: _Comparison
    entries: str
    parameters: tuple[object, ...] = ()
    shown: tuple[str, tuple[object, ...]] | None = None

    def where(self, test: Sql) -> Sql:
        """Entries for which `test`, SQL over the column, holds."""
        return Sql(self.entries.format(test.text), (*self.parameters, *test.parameters))


_VERSION = partial(_number, units=_PLAIN, wanted="number; write for example 3")
_MEASURE_VALUE = partial(_number, units=_PLAIN, wanted="number; write for example 0.8 or 1e-3")
_SECONDS = partial(_number, units=_DURATIONS | _PLAIN, wanted="duration; write 90s, 5min, 2h or 1d")
_SIZE = partial(_number, units=_SIZES, wanted="size; write 300kB, 10MB or 1.5GiB")
_LISTS = {"tag": "tags", "alias": "aliases"}


_OWN: dict[str, _Comparison] = {
    "kind": _text, "name": _text, "version": _VERSION, "reference": _text, "id": _identity,
}  # fmt: skip
_OF_COLUMNS: Mapping[str, _Comparison] = {
    "text": _text, "integer": _VERSION, "reference": _entry,
}  # fmt: skip
_OWN_LAST: dict[str, _Comparison] = {
    "seconds": _SECONDS, "size": _SIZE, "origin": _text, "content": _text, "key": _text,
}  # fmt: skip


class Known(NamedTuple):
    """What can be asked for in one catalog: columns, keys of configuration, names of measures.

    `kinds`: those of its entries, beside the kinds of the vocabulary.
    """

    vocabulary: Vocabulary
    keys: Collection[str] = ()
    measures: Collection[str] = ()
    kinds: Collection[str] = ()


class Fields:
    """What a word can mean in one catalog: a field of entries, a key, or a measure."""

    def __init__(self, known: Known, now: datetime) -> None:
        self.keys = frozenset(known.keys)
        self.measures = frozenset(known.measures)
        self.derived, self.former = known.vocabulary.derived, known.vocabulary.former
        self._measure = _measure_pattern([*self.derived, *self.former])
        columns = {column.name: _OF_COLUMNS[column.type] for column in known.vocabulary.columns}
        named = known.vocabulary.names
        kinds = dict.fromkeys((*named, *known.kinds)) if named else ()
        self.own = (
            _OWN
            | {"kind": partial(_kind, kinds=kinds)}
            | columns
            | {"created": partial(_created, now=now)}
            | _OWN_LAST
        )

    def called(self, word: str) -> Field:
        """What `word` means; `UnclearError` if that is nothing, or more than one thing."""
        if word in self.own:
            column = f"e.{quoted(word)}"
            return Field(column, self.own[word], f"({column} IS NOT NULL AND {{}})")
        if word in _LISTS:
            return _listed(word)
        if word in self.keys:
            return _configured(word)
        measure = self._measure.fullmatch(word)
        if measure is not None and measure["name"] in self.measures:
            return self._measured(measure)
        keys = sorted(key for key in self.keys if key.endswith(f".{word}"))
        if not keys:
            raise self.unknown(word, measure["name"] if measure else word)
        if len(keys) > 1:
            more = f" and {len(keys) - 6} more" if len(keys) > 6 else ""
            raise UnclearError(f"'{word:.60}' can be {', '.join(keys[:6])}{more}; write more of it")
        return _configured(keys[0])

    def _measured(self, asked: re.Match[str]) -> Field:
        test, parameters = "name = ?", [asked["name"]]
        if asked["time"] is not None:
            hours = _hours(asked["time"], asked.start("time"))
            test += " AND hours BETWEEN ? AND ?"
            parameters += [hours - _TOLERANCE, hours + _TOLERANCE]
        if asked["part"] is not None:
            test += " AND part LIKE ? ESCAPE '\\'"
            parameters.append(f"%{_escaped(asked['part'])}%")
        derived = asked["derived"]
        if derived in self.former:
            tell_renamed(derived, self.former[derived])
            derived = self.former[derived]
        column = quoted(self.derived[derived] if derived else "value")
        # The limit keeps SQLite from looking for the measures again for each e.
        subquery = f"SELECT entry, {column} FROM measures WHERE {test} LIMIT -1"  # noqa: S608 -- ours
        joined = f"lineage CROSS JOIN ({subquery}) AS found USING (entry)"
        rows = f"{joined} WHERE lineage.ancestor = e.entry"
        shown = (_SPREAD.format(column, rows), tuple(parameters))
        return Field(column, _MEASURE_VALUE, _MEASURED % test, tuple(parameters), shown)

    def unknown(self, word: str, sought: str) -> UnclearError:
        """Say that nothing is called `word`, and what may have been meant."""
        names = defaultdict(list)
        for name in (*self.own, *_LISTS, *sorted(self.measures)):
            names[name.lower()].append(name)
        for key in sorted(self.keys):
            parts = key.lower().split(".")
            for start in range(len(parts)):
                names[".".join(parts[start:])].append(key)
        close = difflib.get_close_matches(sought.lower(), names, n=3)
        meant = list(dict.fromkeys(name for match in close for name in names[match]))[:3]
        cure = f"did you mean {' or '.join(meant)}?"
        available = f"an entry has {', '.join((*self.own, *_LISTS))}"
        return UnclearError(f"there is no field '{word:.60}'; {cure if meant else available}")


def _listed(word: str) -> Field:
    table = _LISTS[word]
    shown = _SHOWN.format(word, f"{table} WHERE {table}.entry = e.entry")
    where = f"e.entry IN (SELECT entry FROM {table} WHERE {{}})"  # noqa: S608 -- a name of ours
    return Field(word, _text, where, shown=(shown, ()))


def _configured(key: str) -> Field:
    # The plus keeps SQLite from going through all entries with this key for each e.
    rows = (
        "lineage CROSS JOIN fields ON fields.entry = lineage.ancestor"
        " WHERE lineage.entry = e.entry AND +fields.key = ?"
    )
    return Field("value", _setting, _CONFIGURED, (key,), (_SHOWN.format("value", rows), (key,)))


def _measure_pattern(derived: Collection[str]) -> re.Pattern[str]:
    """Words like `NAME[PART].DERIVED@TIME`."""
    words = "|".join(map(re.escape, derived)) or "(?!)"  # which nothing matches
    return re.compile(
        rf"(?P<name>[^][@]+?)(\[(?P<part>[^]]+)])?(\.(?P<derived>{words}))?(@(?P<time>.*))?"
    )


def _hours(text: str, offset: int) -> float:
    seconds = _quantity(text, _DURATIONS)
    if seconds is None or seconds < 0:
        raise UnclearError(f"'{text:.60}' is no time; write 5d or 120h", offset)
    return seconds / 3600
