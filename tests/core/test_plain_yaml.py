"""YAML as people mean it, and texts that would cost a minute or a traceback."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from geobench import GeobenchError
from geobench.cli import main
from geobench.cli.settings import assignments
from geobench.contracts.plugin import Fields, validated
from geobench.registry import plain_yaml

ROOT = Path(__file__).parents[2]
STUDIES = [*ROOT.glob("studies/*.yaml"), *ROOT.glob("plugins/geobench_plugins/experiments/*.yaml")]


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_files_here_read_as_another_library_reads_them(path: Path) -> None:
    text = path.read_text("utf-8")
    assert plain_yaml.load(text, "it") == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("16", 16),
        ("-3", -3),
        ("0", 0),
        ("2.5", 2.5),
        (".5", 0.5),
        ("1e-3", 0.001),  # text in YAML 1.1
        ("1e5", 100_000),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("1:30", "1:30"),  # 90 in YAML 1.1
        ("1_6", "1_6"),  # 16
        ("yes", "yes"),  # true
        ("no", "no"),
        ("on", "on"),
        ("2000-01-01", "2000-01-01"),  # a date
        ("'010'", "010"),
        (".inf", ".inf"),
        ("{a: [1, b]}", {"a": [1, "b"]}),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = plain_yaml.load(f"key: {text}\n", "it")["key"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 010", "010 may be read as a decimal, an octal or a hexadecimal number"),
        ("a: 0o17", "0o17 may be read"),
        ("a: 0x1F", "0x1F may be read"),
        ("a: " + "9" * 5000, r"the number 999999999999… \(5,000 characters\) is too large"),
        ("a: 1e400", "the number 1e400 is too large"),
        ("a: " + "[" * 5000 + "]" * 5000, "more than 50 lists or mappings are inside one another"),
        ("a: 1\nb: 2\na: 3", r"the key 'a' stands there twice. Leave one out \(line 3\)"),
        ("a: {b: 1, 'b': 2}", "the key 'b' stands there twice"),
        ("a: !!int x", "is not YAML"),
        ("a: !!bool x", "is not YAML"),
        ("a: !!python/name:os.system", "is not YAML"),
        ("a: 'x" + "x" * 2**20 + "'", "has 1,048,5.. characters, and 1,048,576 are the most"),
        (
            "a: &a ["
            + "1, " * 60
            + "1]\nb: &b ["
            + "*a, " * 60
            + "*a]\nc: ["
            + "*b, " * 60
            + "*b]",
            "values, and 100,000 are the most that is read. Aliases",
        ),
    ],
)
def test_what_is_odd_or_too_much_is_told_on_one_line(text: str, told: str) -> None:
    with pytest.raises(GeobenchError, match=told) as error:
        plain_yaml.load(text, "study.yaml")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300


def test_a_mapping_of_20000_keys_is_read() -> None:
    assert len(plain_yaml.load("\n".join(f"k{i}: {i}" for i in range(20_000)), "it")) == 20_000


class _Group(Fields):
    count: int = 1
    rate: float = 1.0
    whether: bool = False
    counts: tuple[int, ...] = ()
    either: int | str = 0
    inner: "_Inner | None" = None


class _Inner(Fields):
    count: int | None = None


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"count": "1:30"}, "count = '1:30': write a number"),
        ({"count": "16"}, "count = '16': write a number"),
        ({"count": True}, "count = True: write a number"),
        ({"rate": "1e3"}, "rate = '1e3': write a number"),
        ({"whether": "yes"}, "whether = 'yes': write true or false"),
        ({"whether": 1}, "whether = 1: write true or false"),
        ({"counts": [1, True]}, "counts = .1, True.: write a number"),
        ({"inner": {"count": "3"}}, "inner.count = '3': write a number: 3"),
    ],
)
def test_no_field_takes_one_kind_for_another(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(GeobenchError, match=told):
        validated(_Group, fields, "it")


def test_a_field_takes_its_own_kind() -> None:
    given = {"count": 3, "rate": 2, "whether": True, "counts": [1, 2], "either": "x", "inner": {}}
    found = validated(_Group, given, "it")
    assert (found.rate, found.counts, found.either) == (2.0, (1, 2), "x")


def test_many_mistakes_make_a_short_message() -> None:
    with pytest.raises(GeobenchError, match=r"; and 19,990 more$") as error:
        validated(_Group, {f"k{i}": 1 for i in range(20_000)}, "it")
    assert len(str(error.value)) < 2000


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (("leads=3", "leads=4"), "--set leads is given twice"),
        (("a.b=1", "a.b=2"), "--set a.b is given twice"),
        (("a.b=1", "a=2"), "--set a is given twice"),
        (("train={steps: 4, steps: 5}",), "the key 'steps' stands there twice"),
        (("leads=010",), "010 may be read as a decimal"),
    ],
)
def test_nothing_is_set_twice(texts: tuple[str, ...], told: str) -> None:
    with pytest.raises(GeobenchError, match=told):
        assignments(texts)


@pytest.mark.parametrize(
    "words",
    [
        ["--catalog", "a", "--catalog", "b", "doctor"],
        ["forecast", "forecaster/x@1", "--members", "3", "--members", "4"],
        ["catalog", "list", "--kind", "score", "--kind", "dataset"],
    ],
)
def test_no_option_is_given_twice(words: list[str]) -> None:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "is given twice. Leave one out." in result.stderr
    assert len(result.stderr.splitlines()) == 1
