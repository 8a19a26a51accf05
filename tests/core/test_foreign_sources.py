"""Where forecasts of strangers come from: several files, zip files, buckets, web servers."""

import asyncio
import contextlib
import functools
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import xarray as xr
import zarr

from geobench.foreign import zarr_stores
from geobench.foreign.conforming import conform
from geobench.foreign.sources import absent_chunks, open_foreign
from geobench_catalog import CatalogError, manifest

INITS = np.datetime64("2000-01-01", "ns") + np.arange(6) * np.timedelta64(1, "D")
LEADS = np.arange(1, 5) * np.timedelta64(6, "h").astype("m8[ns]")
X = np.arange(3) * 120.0
DIMS = ("init_time", "lead_time", "member", "x")
NUMBERS = np.arange(6 * 4 * 2 * 3, dtype=np.float32).reshape(6, 4, 2, 3)


def _ours() -> xr.Dataset:
    coords = {"init_time": INITS, "lead_time": LEADS, "member": [0, 1], "x": X}
    return xr.Dataset({"u": (DIMS, NUMBERS.copy(), {"units": "m/s"})}, coords)


def _wanted() -> xr.Dataset:
    empty = np.broadcast_to(np.float32(0), (6, 4, 3))
    fields = {"u": (("init_time", "lead_time", "x"), empty, {"units": "m/s"})}
    return xr.Dataset(fields, {"init_time": INITS, "lead_time": LEADS, "x": X})


def _right(opened: xr.Dataset) -> None:
    result, _ = conform(opened, _wanted())
    np.testing.assert_array_equal(result["u"].values, NUMBERS)
    np.testing.assert_array_equal(
        result["u"].isel(init_time=[4, 1], lead_time=2), NUMBERS[[4, 1], 2]
    )
    opened.close()


def _fails(given: Any, told: str) -> None:
    with pytest.raises(CatalogError, match=told) as error:
        conform(open_foreign(given), _wanted())[0].load()
    assert "\n" not in str(error.value)


# -- several files

CUTS: dict[str, Callable[[xr.Dataset], list[xr.Dataset]]] = {
    "inits": lambda d: [d.isel(init_time=slice(a, b)) for a, b in ((4, 6), (0, 1), (1, 4))],
    "an init each, as a single time": lambda d: [d.isel(init_time=i) for i in range(6)],
    "members": lambda d: [d.isel(member=[m]) for m in (1, 0)],
    "a member each, as a number": lambda d: [d.isel(member=m) for m in (0, 1)],
    "leads": lambda d: [d.isel(lead_time=slice(a, a + 2)) for a in (0, 2)],
    "inits and members": lambda d: [
        d.isel(init_time=slice(a, a + 3), member=[m]) for a in (0, 3) for m in (0, 1)
    ],
    "inits that take turns": lambda d: [d.isel(init_time=slice(a, None, 2)) for a in (0, 1)],
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("ending", ["nc", "nc4", "zarr"])
def test_a_forecast_may_lie_in_several_files(tmp_path: Path, cut: str, ending: str) -> None:
    paths = []
    for index, part in enumerate(CUTS[cut](_ours())):
        paths.append(tmp_path / f"part{index}.{ending}")
        if ending == "zarr":
            part.to_zarr(paths[-1], consolidated=False)
        else:
            part.to_netcdf(paths[-1], engine="scipy" if ending == "nc" else "h5netcdf")
    _right(open_foreign(paths))
    _right(open_foreign(str(tmp_path / f"part*.{ending}")))


def test_a_block_reads_only_the_files_that_hold_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / f"{i}.zarr" for i in range(6)]
    for i, path in enumerate(paths):
        _ours().isel(init_time=[i]).to_zarr(path, consolidated=False)
    result, _ = conform(open_foreign(paths), _wanted())
    read = []
    get = zarr.storage.LocalStore.get

    async def counted(self: Any, key: str, *args: Any, **kwargs: Any) -> Any:
        read.extend([self.root.name] if "/c/" in key else [])
        return await get(self, key, *args, **kwargs)

    monkeypatch.setattr(zarr.storage.LocalStore, "get", counted)
    np.testing.assert_array_equal(result["u"].isel(init_time=slice(2, 4)), NUMBERS[2:4])
    assert set(read) == {"2.zarr", "3.zarr"}


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (lambda d: [d, d], "the 2 files have equal coordinates"),
        (
            lambda d: [d.isel(init_time=[0]), d.isel(init_time=[1]), d.isel(init_time=[0])],
            r"2\.nc and .*0\.nc hold the same init_time\. Leave one out",
        ),
        (
            lambda d: [
                d.isel(init_time=[0], member=[0]),
                d.isel(init_time=[1], member=[0]),
                d.isel(init_time=[1], member=[1]),
            ],
            "no file holds init_time from 2000-01-01.*, member from 1",
        ),
        (
            lambda d: [d.isel(init_time=slice(3)), d.isel(init_time=slice(3, 5))],
            "1 of 6 init times is missing: 2000-01-06T00:00",
        ),
        (
            lambda d: [
                d.isel(init_time=slice(3)),
                d.isel(init_time=slice(3, 6)).assign(u=lambda e: e["u"].assign_attrs(units="K")),
            ],
            "u has the units m/s in .*0.nc and K in .*1.nc",
        ),
        (
            lambda d: [d.isel(init_time=slice(3)), d.isel(init_time=slice(3, 6)).rename(u="v")],
            "do not hold the same variables: u",
        ),
        (
            lambda d: [
                d.isel(init_time=slice(3)),
                d.isel(init_time=slice(3, 6)).assign_coords(x=X + 1),
            ],
            "no file holds",
        ),
        (
            lambda d: [d.isel(init_time=slice(4)), d.isel(init_time=slice(3, 6))],
            "more than once",
        ),
        (
            lambda d: [
                d.isel(init_time=slice(3)).drop_vars("x"),
                d.isel(init_time=slice(3, 6), x=[0, 1]).drop_vars("x"),
            ],
            r"u has the lengths .*'x': 3.* in .*0\.nc and .*'x': 2.* in .*1\.nc",
        ),
    ],
)
def test_files_that_do_not_belong_together_are_named(
    tmp_path: Path, parts: Callable[[xr.Dataset], list[xr.Dataset]], told: str
) -> None:
    paths = []
    for index, part in enumerate(parts(_ours())):
        paths.append(tmp_path / f"{index}.nc")
        part.to_netcdf(paths[-1], engine="h5netcdf")
    _fails(paths, told)


def test_a_pattern_without_files_is_named(tmp_path: Path) -> None:
    _fails(str(tmp_path / "*.nc"), r"no file matches '.*\*\.nc'")


# -- zip files


def _zipped(folder: Path, path: Path, inside: str = "", how: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", how) as packed:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                packed.write(file, f"{inside}{file.relative_to(folder).as_posix()}")
    return path


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("inside", ["", "theirs.zarr/"])
@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zipped_store_is_read(tmp_path: Path, version: int, inside: str, how: int) -> None:
    _ours().to_zarr(tmp_path / "a.zarr", zarr_format=version, consolidated=False)
    path = _zipped(tmp_path / "a.zarr", tmp_path / "b.zarr.zip", inside, how)
    _right(open_foreign(path))
    assert absent_chunks(path) == []


def test_chunks_that_are_not_in_a_zip_file_are_noted(tmp_path: Path) -> None:
    how = {"u": {"chunks": (1, 4, 2, 3)}}
    _ours().to_zarr(tmp_path / "a.zarr", consolidated=False, encoding=how)
    (tmp_path / "a.zarr" / "u" / "c" / "3" / "0" / "0" / "0").unlink()
    path = _zipped(tmp_path / "a.zarr", tmp_path / "b.zarr.zip")
    assert absent_chunks(path) == ["1 of 6 chunks of u are not stored and read as nan"]
    values = open_foreign(path)["u"].values
    assert np.isnan(values[3]).all()
    assert np.array_equal(np.delete(values, 3, 0), np.delete(NUMBERS, 3, 0))


def test_a_foreign_store_says_what_it_holds() -> None:
    """Chunks are known by name where a store lists them, and metadata is what was checked."""
    node = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}}).encode()

    async def fetch(key: str, start: int | None, end: int | None) -> bytes:
        if key != "u/c/0":
            raise FileNotFoundError(key)
        return b"chunk"[start:end]

    metadata = {"zarr.json": node, "u/.zattrs": b"{}"}
    store = zarr_stores.ForeignZarr(metadata, ["u/c/0", "u/c/1", "zarr.json"], fetch)

    async def listed(prefix: str | None) -> list[str]:
        found = store.list() if prefix is None else store.list_prefix(prefix)
        return sorted([name async for name in found])

    async def below(folder: str) -> list[str]:
        return sorted([name async for name in store.list_dir(folder)])

    async def ask() -> list[Any]:
        keys = ("zarr.json", "v/zarr.json", "u/c/0", "u/c/1")
        there = [await store.exists(key) for key in keys]
        return [there, await listed(None), await listed("u/"), await below(""), await below("u/")]

    assert asyncio.run(ask()) == [
        [True, False, True, False],
        ["u/.zattrs", "u/c/0", "u/c/1", "zarr.json"],
        ["u/.zattrs", "u/c/0", "u/c/1"],
        ["u", "zarr.json"],
        [".zattrs"],
    ]


def test_an_encrypted_zip_file_is_named(tmp_path: Path) -> None:
    _ours().to_zarr(tmp_path / "a.zarr", consolidated=False)
    path = _zipped(tmp_path / "a.zarr", tmp_path / "b.zarr.zip")
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flags of the first file
    path.write_bytes(content)
    _fails(path, r"b\.zarr\.zip: .* is encrypted\. Zip it without a password")


def test_the_web_without_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> None:
        raise ImportError("No module named 'aiohttp'")

    monkeypatch.setattr(fsspec, "filesystem", absent)
    _fails("https://example.org/a.zarr", r"a\.zarr needs a package .*: No module named 'aiohttp'")


def test_a_zip_file_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _ours().to_zarr(tmp_path / "a.zarr", consolidated=False)
    path = _zipped(tmp_path / "a.zarr", tmp_path / "b.zarr.zip")
    whole = path.read_bytes()
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr("../out", b"")
    _fails(path, r"holds '\.\./out', which leads out of it")
    path.write_bytes(whole)
    with zipfile.ZipFile(path, "a") as packed, pytest.warns(UserWarning, match="Duplicate"):
        packed.writestr("zarr.json", b"{}")
    _fails(path, "holds a name twice")
    path.write_bytes(whole[: len(whole) // 2])
    _fails(path, "is a file and no zip")
    path.write_bytes(whole)
    node = json.loads((tmp_path / "a.zarr" / "u" / "zarr.json").read_text())
    node["codecs"].append({"name": "numcodecs.pickle"})
    (tmp_path / "a.zarr" / "u" / "zarr.json").write_text(json.dumps(node))
    _fails(_zipped(tmp_path / "a.zarr", path), r"u/zarr\.json uses the codec 'numcodecs\.pickle'")
    path.write_bytes(whole)
    monkeypatch.setattr(zarr_stores, "_LARGEST_CHUNK", 10)
    _fails(path, "bytes, and 10 are the most that is read of one file")


# -- the web


@contextlib.contextmanager
def _served(handler: Any) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def list_directory(self, _path: Any) -> None:
        """List nothing, as most servers."""
        self.send_error(404)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    pytest.importorskip("aiohttp")
    with _served(functools.partial(_Quiet, directory=str(tmp_path))) as url:
        yield url


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_a_store_on_a_web_server_is_read(tmp_path: Path, web: str, version: int) -> None:
    _ours().to_zarr(tmp_path / "a.zarr", zarr_format=version, consolidated=True)
    _right(open_foreign(f"{web}/a.zarr"))
    _right(open_foreign(f"{web}/a.zarr/"))
    assert absent_chunks(f"{web}/a.zarr") == []


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
def test_a_web_server_is_not_trusted(
    tmp_path: Path, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "a.zarr"
    _fails(f"{web}/gone.zarr", "gone.zarr has neither zarr.json nor .zmetadata")
    _ours().to_zarr(store, consolidated=False)
    _fails(f"{web}/a.zarr", "are not consolidated, and a web server lists nothing")
    how = {"u": {"chunks": (1, 4, 2, 3)}}
    _ours().to_zarr(store, consolidated=True, mode="w", encoding=how)
    (store / "u" / "c" / "3" / "0" / "0" / "0").unlink()
    _fails(f"{web}/a.zarr", "u/c/3/0/0/0 is not there, and the server cannot say")
    root = json.loads((store / "zarr.json").read_text())
    nodes = root["consolidated_metadata"]["metadata"]
    whole = json.dumps(root)
    nodes["u"]["codecs"].append({"name": "numcodecs.pickle"})
    (store / "zarr.json").write_text(json.dumps(root))
    _fails(f"{web}/a.zarr", "uses the codec 'numcodecs.pickle'")
    root = json.loads(whole)
    root["consolidated_metadata"]["metadata"]["../../u"] = {}
    (store / "zarr.json").write_text(json.dumps(root))
    _fails(f"{web}/a.zarr", r"name the file '\.\./\.\./u/zarr\.json'")
    (store / "zarr.json").write_text("{")
    _fails(f"{web}/a.zarr", "cannot be opened .*JSONDecodeError")
    (store / "zarr.json").write_text(whole)
    monkeypatch.setattr(zarr_stores, "_LARGEST_METADATA", 100)
    _fails(f"{web}/a.zarr", "and 100 are the most that is read of one file")


class _Endless(BaseHTTPRequestHandler):
    """Sends bytes for as long as somebody reads them."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(bytes(2**16))


def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(zarr_stores, "_LARGEST_METADATA", 2**20)
    with _served(_Endless) as url:
        _fails(f"{url}/a.zarr", "and 1,048,576 are the most that is read of one file")


def test_a_server_that_is_not_there_is_named() -> None:
    pytest.importorskip("aiohttp")
    _fails("http://127.0.0.1:9/a.zarr", "127.0.0.1:9/a.zarr cannot be opened")


# -- lists of chunks that are somewhere else

LIST = {
    "version": 1,
    "refs": {
        ".zgroup": '{"zarr_format": 2}',
        "q/.zarray": '{"chunks": [1], "compressor": null, "dtype": "<f4", "fill_value": 0, '
        '"filters": null, "order": "C", "shape": [1], "zarr_format": 2}',
        "q/0": ["http://127.0.0.1:9/secret", 0, 4],
    },
}


@pytest.mark.parametrize(
    "address",
    [
        "list.json",
        "reference://?fo=list.json",
        "reference::list.json",
        "simplecache::http://127.0.0.1:9/a.zarr",
        "http://127.0.0.1:9/a.zarr::reference://",
        "s3://bucket/a.zarr::http://127.0.0.1:9/b",
        "file://list.json",
        "memory://a.zarr",
        "github://owner:name@/a.zarr",
    ],
)
def test_a_list_of_addresses_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.json").write_text(json.dumps(LIST))
    _connects_to_nothing(monkeypatch)
    _fails(address, "not read|is not there|no file matches|several addresses in one")


def test_a_list_of_addresses_in_a_store_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "a.zarr"
    store.mkdir()
    _connects_to_nothing(monkeypatch)
    for form in (LIST, LIST["refs"], {"zarr_consolidated_format": 1, "metadata": LIST["refs"]}):
        (store / ".zmetadata").write_text(json.dumps(form))
        _fails(store, "a.zarr")


def _connects_to_nothing(patch: pytest.MonkeyPatch) -> None:
    def connect(*_: Any) -> None:
        raise AssertionError("it asks for an address")

    patch.setattr("socket.socket.connect", connect)
    patch.setattr("socket.getaddrinfo", connect)


@pytest.mark.parametrize(
    "name", ["http://127.0.0.1:9/x", "s3://bucket/x", "file:///etc/passwd", "//host/x", "/etc/x"]
)
def test_a_manifest_names_no_address(name: str) -> None:
    text = json.dumps({name: [4, "0" * 64]}).encode()
    with pytest.raises(ValueError, match="which no entry can hold"):
        manifest.decode(text)
