"""What an array declares of its chunks is checked before any of them is read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from small_entries import publish

from geobench_catalog import Catalog, CatalogError, Reference, difference
from geobench_catalog.chunk_sizes import LARGEST, Chunks, check_chunks, declared

SHARDING = {
    "name": "sharding_indexed",
    "configuration": {
        "chunk_shape": [2, 2],
        "codecs": [{"name": "bytes"}],
        "index_codecs": [{"name": "bytes"}, {"name": "crc32c"}],
    },
}


def _array(*codecs: Any, shape: tuple[int, ...] = (4, 4)) -> dict[str, Any]:
    grid = {"name": "regular", "configuration": {"chunk_shape": list(shape)}}
    return {
        "node_type": "array",
        "chunk_grid": grid,
        "data_type": "float64",
        "codecs": list(codecs),
    }


def _within(chunk_shape: list[int], *codecs: Any) -> dict[str, Any]:
    how = SHARDING["configuration"] | {"chunk_shape": chunk_shape}  # type: ignore[operator]
    return {"name": "sharding_indexed", "configuration": how | {"codecs": list(codecs)}}


def test_a_shard_tells_how_many_chunks_it_holds_and_where_its_index_is() -> None:
    assert declared(_array(SHARDING), "x") == Chunks(32, (), 4, True, 16 * 4 + 4)
    assert declared({"node_type": "group"}, "x") is None


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (_array(SHARDING, {"name": "zstd"}), "x has shards that are packed as a whole"),
        (_array(_within([2, 2], SHARDING)), "x has shards inside shards"),
        (
            _array(_within([1, 1], {"name": "bytes"}), shape=(LARGEST // 8, 1)),
            f"x has {LARGEST // 8:,} chunks in a shard",
        ),
    ],
)
def test_shards_that_would_cost_too_much_are_refused(array: dict[str, Any], told: str) -> None:
    with pytest.raises(CatalogError, match=told):
        declared(array, "x")


def test_a_shard_that_is_cut_off_is_left_to_whoever_reads_it() -> None:
    chunks = Chunks(32, ("zstd",), 4, True, 16 * 4 + 4)
    assert check_chunks(chunks, b"\xff" * 67, "x") is None  # shorter than its index
    assert check_chunks(Chunks(32, ("zstd",), 4, False, 68), b"\xff" * 63, "x") is None


def test_a_difference_names_arrays_that_one_entry_lacks(catalog: Catalog) -> None:
    first = publish(catalog)
    with catalog.draft("dataset", "b", recipe={}) as draft:
        draft.write(xr.Dataset({"p": ("x", np.zeros(4)), "x": np.arange(4.0)}))
        second = draft.publish({"states": 1})
    changes = {change.array: change.state for change in difference.data(first, second)}
    assert changes["q"] == "only in the first"
    assert changes["p"] == "only in the second"
    assert changes["x"] == "equal"


def test_a_reference_without_a_number_is_none() -> None:
    assert Reference.parse("dataset/a@2") == Reference("dataset", "a", 2)
    with pytest.raises(CatalogError, match="dataset/a@first"):
        Reference.parse("dataset/a@first")


def test_a_file_is_no_catalog(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(CatalogError, match="file is not a folder"):
        Catalog(tmp_path / "file", create=True)
