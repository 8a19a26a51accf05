"""Expressions that pick entries of a catalog: `kind = table and width > 64`.

    expression = conditions joined by `not`, `and`, `or` (in this order) and parentheses
    condition  = FIELD                              it has one
               | FIELD = VALUE                      also != < <= > >=; `!=`: it has another one
               | FIELD ~ PATTERN                    * any text, ? one character; case is ignored
               | FIELD in (VALUE, VALUE, ...)       `=` to one of them

Keywords may be written in any case. `not` is the complement: `width != 64` picks what has another
width, `not width = 64` also what has none.

Fields of an entry:

    kind name version reference id created seconds size origin content key tag alias

    id = 3f2a            the id begins so
    created              2026-11-24, 2026-11-24T16:00 (UTC), or how long ago: -7d, -12h. A date is
                         the whole day: `<=` includes it, `>` begins after it
    size                 in bytes, or 300kB, 10MB, 2GB, 1.5GiB
    seconds              in seconds, or 90s, 5min, 2h, 1d
    name ~ a*            the name begins with a
    size > 1.5GiB and created <= 2026-11-24 and not tag = draft

Configuration of the entry or of anything it was made from:

    KIND.sizes.width > 64        entries of a kind, and all that was made from them
    sizes.width > 64, width > 64   leading parts may be left out where that leaves one key

true and false are 1 and 0. null is no value: `not width` picks it.

Measures of the entry or of anything that was made from it:

    NAME@5d < 2                  a measure at a time: 5d, 120h, 1.5d
    NAME < 2                     at any time
    NAME[PART]@5d < 2            with PART in the name of its part; case is ignored

Values are numbers (64, 1e-3), words (letters, digits and . _ - / @ : + %) and 'quoted' or "quoted"
text, which may hold all but that quote. Quote a keyword that is meant as a value.

An expression becomes SQL over the table `entries` of the index; each value in it is a parameter.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from geobench_catalog.errors import CatalogError
from geobench_catalog.fields import Field, Fields, Known, Sql, Token, UnclearError

# Every SQLite takes 100 symbols on its parser's stack, trees 1000 deep and patterns of 50 kB.
_DEEPEST = 10
_MOST_TOKENS = 1_500
_MOST_CHARACTERS = 12_000

_COMPARISONS = ("=", "!=", "<", "<=", ">", ">=", "~")
_KEYWORDS = ("and", "or", "not", "in")
_TOKEN = re.compile(
    r"""(?P<symbol> [(),~] | [<>!]?= | [<>] )
    | (?P<quoted> '[^'\ud800-\udfff]*' | "[^"\ud800-\udfff]*" )  # surrogates have no UTF-8
    | (?P<word> [\w./@:+%*?-] (?: [\w./@:+%*?-] | \[[^]\ud800-\udfff]*] )* )
    | (?P<odd> \S )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Compiled:
    """What an expression asks, as SQL over the table `entries`, called e.

    `where` is a boolean expression that is never NULL. `columns` maps each configuration field,
    measure, tag and alias that was asked for, as written, to a scalar subquery with its value for
    e, and the parameters of that. Several distinct values are joined with ', '; of several measures
    it shows the least, the largest, and how many.
    """

    where: str
    parameters: tuple[object, ...]
    columns: dict[str, tuple[str, tuple[object, ...]]]


def compiled(text: str, known: Known, now: datetime | None = None) -> Compiled:
    """Read an expression; `CatalogError` says what is wrong with it, where, and the cure.

    Relative dates count back from `now`, which has a time zone.
    """
    reader = _Reader(text, Fields(known, now or datetime.now(UTC)))
    where = reader.everything()
    return Compiled(where.text, where.parameters, reader.columns)


def _error(text: str, position: int, what: str) -> CatalogError:
    start, end = max(0, position - 40), position + 40
    shown = f"{'…' * (start > 0)}{text[start:end]}{'…' * (end < len(text))}"
    message = f"'{shown}': {what} (at character {position + 1})"
    return CatalogError("".join(letter if letter.isprintable() else " " for letter in message))


def _tokens(text: str) -> list[Token]:
    most = f"it is too long; write at most {_MOST_TOKENS:,} words, {_MOST_CHARACTERS:,} characters"
    if len(text) > _MOST_CHARACTERS:
        raise _error(text, _MOST_CHARACTERS, most)
    tokens = []
    for match in _TOKEN.finditer(text):
        form, piece, position = str(match.lastgroup), match[0], match.start()
        if form == "odd":
            unclosed = f"this quote is not closed; write another {piece} after the text"
            other = f"'{piece}' means nothing here; quote a value that holds it"
            raise _error(text, position, unclosed if piece in "'\"" else other)
        if form == "word" and piece.lower() in _KEYWORDS:
            form, piece = "symbol", piece.lower()
        tokens.append(Token(form, piece[1:-1] if form == "quoted" else piece, position))
    if len(tokens) > _MOST_TOKENS:
        raise _error(text, tokens[_MOST_TOKENS].position, most)
    return [*tokens, Token("end", "", len(text))]


def _joined(parts: list[Sql], by: str) -> Sql:
    if len(parts) == 1:
        return parts[0]
    parameters = tuple(parameter for part in parts for parameter in part.parameters)
    return Sql(f"({by.join(part.text for part in parts)})", parameters)


class _Reader:
    """Recursive descent through an expression: a method for each rule of the grammar."""

    def __init__(self, text: str, fields: "Fields") -> None:
        self.text = text
        self.fields = fields
        self.columns: dict[str, tuple[str, tuple[object, ...]]] = {}
        self.tokens = _tokens(text)
        self.at = 0

    def everything(self) -> Sql:
        if self.token.form == "end":
            return Sql("1")
        where = self.expression(0)
        if self.token.form != "end":
            raise self.wrong("this is left over; join conditions with 'and' or 'or'")
        return where

    def expression(self, depth: int) -> Sql:
        terms = [self.term(depth)]
        while self.accept("or"):
            terms.append(self.term(depth))
        return _joined(terms, " OR ")

    def term(self, depth: int) -> Sql:
        factors = [self.factor(depth)]
        while self.accept("and"):
            factors.append(self.factor(depth))
        return _joined(factors, " AND ")

    def factor(self, depth: int) -> Sql:
        if depth > _DEEPEST:
            raise self.wrong(f"it is nested more than {_DEEPEST} deep; use fewer parentheses")
        if self.accept("not"):
            what = self.factor(depth + 1)
            return Sql(f"NOT {what.text}", what.parameters)
        if self.accept("("):
            inner = self.expression(depth + 1)
            self.expect(")")
            return inner
        return self.condition()

    def condition(self) -> Sql:
        word = self.take("word", "a field is missing; write for example size > 10MB")
        try:
            field = self.fields.called(word.text)
        except UnclearError as error:
            raise _error(self.text, word.position + error.offset, str(error)) from None
        if field.shown is not None:
            self.columns[word.text] = field.shown
        if self.accept("in"):
            return field.where(self.one_of(field))
        if operator := self.accept(*_COMPARISONS):
            return field.where(self.compared(field, operator))
        return field.where(Sql(f"{field.column} IS NOT NULL"))

    def one_of(self, field: "Field") -> Sql:
        self.expect("(")
        tests = [self.compared(field, "=")]
        while self.accept(","):
            tests.append(self.compared(field, "="))
        self.expect(")")
        return _joined(tests, " OR ")

    def compared(self, field: "Field", operator: str) -> Sql:
        if operator == "=" and self.token.form == "symbol" and self.token.text == "=":
            raise self.wrong("write '=' once: it compares")
        form = "quoted" if self.token.form == "quoted" else "word"
        value = self.take(form, "a value is missing; quote one that is a keyword or a symbol")
        try:
            if form == "word" and operator != "~" and re.search("[*?]", value.text):
                raise UnclearError(
                    f"'{value.text:.60}' is a pattern; compare it with ~ or quote it"
                )
            return field.compare(field.column, operator, value)
        except UnclearError as error:
            raise _error(self.text, value.position, str(error)) from None

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def wrong(self, what: str) -> CatalogError:
        return _error(self.text, self.token.position, what)

    def accept(self, *symbols: str) -> str:
        """Step over one of these symbols and return it; '' if the next token is none of them."""
        if self.token.form != "symbol" or self.token.text not in symbols:
            return ""
        self.at += 1
        return self.tokens[self.at - 1].text

    def expect(self, symbol: str) -> None:
        if not self.accept(symbol):
            raise self.wrong(f"'{symbol}' is missing")

    def take(self, form: str, missing: str) -> Token:
        token = self.token
        if token.form != form:
            raise self.wrong(missing)
        self.at += 1
        return token
