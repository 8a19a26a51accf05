"""The catalog behind URLs: moto's S3 server, fsspec's memory, and servers that misbehave."""

import functools
import itertools
import logging
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner, Result

from geobench.cli import main
from geobench_catalog import Catalog, CatalogError, Entry, Reference
from geobench_catalog.reference_files import Names
from geobench_catalog.remote_store import RemoteStore
from geobench_catalog.removal import collect, remove
from geobench_catalog.transfer import copy
from geobench_catalog.verification import verify

CHUNK = "data.zarr/q/c/0/0"

# -- servers


def _set_up_s3(patch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Let clients find this server, and nothing of the machine they run on."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        patch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        patch.delenv(name, raising=False)


@contextmanager
def _s3() -> Iterator[str]:
    """moto's S3 server; its address."""
    pytest.importorskip("s3fs")
    werkzeug_app = pytest.importorskip("moto.moto_server.werkzeug_app")
    from werkzeug.serving import make_server

    app = werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app)
    one = threading.Lock()

    def one_at_a_time(environ: Any, start_response: Any) -> list[bytes]:
        # moto looks whether a key is there, and then writes; S3 does both in one step.
        with one:
            return [b"".join(app(environ, start_response))]

    server = make_server("127.0.0.1", 0, one_at_a_time, threaded=True)
    with _running(server):
        yield f"http://127.0.0.1:{server.port}"


@contextmanager
def _running(server: Any) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _read_once(patch: pytest.MonkeyPatch) -> None:
    """Let clients and the server keep what they would read from their files again and again."""
    import moto.backends
    from botocore.loaders import JSONFileLoader, Loader

    # Every client reads the description of S3 anew, for a quarter of a second, ...
    read = functools.cache(partial(JSONFileLoader.load_file, JSONFileLoader()))
    patch.setattr(JSONFileLoader, "load_file", lambda _, path: read(path))
    # ... and lists the services; moto lists its own for every request.
    listed = functools.cache(partial(Loader.list_available_services, Loader()))
    patch.setattr(Loader, "list_available_services", lambda _, type_name: listed(type_name))
    modules = tuple(moto.backends.list_of_moto_modules())
    patch.setattr(moto.backends, "list_of_moto_modules", lambda: modules)


def _one_authority(folder: Path) -> Path:
    """A file with one certificate: each client reads all it is given, a hundred by default."""
    end = "-----END CERTIFICATE-----"
    every = Path(pytest.importorskip("certifi").where()).read_text("ascii")
    (folder / "one.pem").write_text(every.partition(end)[0] + end + "\n", "ascii")
    return folder / "one.pem"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a bucket on a server of our own."""
    with pytest.MonkeyPatch.context() as patch, _s3() as endpoint:
        patch.setattr(logging.getLogger("werkzeug"), "disabled", True)
        _set_up_s3(patch, endpoint)
        import boto3

        _read_once(patch)
        patch.setenv("AWS_CA_BUNDLE", str(_one_authority(tmp_path_factory.mktemp("authority"))))
        client = boto3.client("s3")
        client.create_bucket(Bucket="bucket")
        client.close()
        yield "s3://bucket"
        fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(params=[pytest.param("s3", marks=pytest.mark.slow), "memory"])
def url(request: pytest.FixtureRequest) -> str:
    """Where nothing is yet."""
    place = uuid.uuid4().hex
    if request.param == "memory":
        return f"memory://{place}"
    return f"{request.getfixturevalue('bucket')}/{place}"


@pytest.fixture
def s3_url(bucket: str) -> str:
    return f"{bucket}/{uuid.uuid4().hex}"


@pytest.fixture
def catalog(url: str) -> Catalog:
    return Catalog(url, create=True)


Answer = tuple[int, str]
"""HTTP status, and S3's code for it."""


class _Misbehaving(ThreadingHTTPServer):
    """Answers each method's requests one after the other as it was told; the last one stays."""

    def __init__(self, answers: dict[str, list[Answer]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self.seen: list[tuple[str, str | None]] = []

    @property
    def methods(self) -> list[str]:
        return [method for method, _ in self.seen]


class _Handler(BaseHTTPRequestHandler):
    server: _Misbehaving
    protocol_version = "HTTP/1.1"  # clients ask whether to go on before they send a body

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.headers.get("If-None-Match")))
        answers = self.server.answers.get(self.command, [(404, "NoSuchKey")])
        status, code = answers.pop(0) if len(answers) > 1 else answers[0]
        body = f"<Error><Code>{code}</Code><Message>told {code}</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if code else 0))
        self.send_header("Connection", "close")
        self.end_headers()
        if code and self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _answer  # noqa: N815 # http.server's names

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def misbehaving(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[dict[str, list[Answer]]], _Misbehaving]]:
    pytest.importorskip("s3fs")
    running = []

    def start(answers: dict[str, list[Answer]]) -> _Misbehaving:
        server = _Misbehaving(answers)
        context = _running(server)
        context.__enter__()
        running.append(context)
        _set_up_s3(monkeypatch, f"http://127.0.0.1:{server.server_port}")
        return server

    yield start
    for context in running:
        context.__exit__(None, None, None)


# -- entries


def _data(value: float = 0.0) -> xr.Dataset:
    values = value + np.arange(12, dtype=np.float32).reshape(3, 4)
    return xr.Dataset({"q": (("init_time", "x"), values)}, {"x": np.arange(4.0)})


def _publish(catalog: Catalog, name: str = "a", value: float = 0.0, **more: Any) -> Entry:
    with catalog.draft(more.pop("kind", "dataset"), name, recipe={"value": value}, **more) as draft:
        draft.write(_data(value))
        return draft.publish({"states": 12})


def _weights(catalog: Catalog, name: str = "w", content: bytes = b"weights", **more: Any) -> Entry:
    """An entry without Zarr: quick."""
    recipe = {"length": len(content)}
    with catalog.draft("forecaster", name, recipe=recipe, **more) as draft:
        draft.write_file("model.safetensors", content)
        return draft.publish()


def _family(catalog: Catalog) -> list[Entry]:
    """A dataset, a forecaster trained on it, and its forecast."""
    dataset = _publish(catalog, "twin")
    fitted = _weights(catalog, "fgn", parents={"dataset": dataset})
    drawn = _publish(catalog, "fgn", kind="forecast", parents={"forecaster": fitted})
    return [dataset, fitted, drawn]


def _file_system(url: str) -> tuple[Any, str]:
    fs, root = fsspec.url_to_fs(url, use_listings_cache=False)
    return fs, root


def _stored(url: str) -> list[str]:
    """Keys of all files, as another client sees them."""
    fs, root = _file_system(url)
    return sorted(path.removeprefix(f"{root}/") for path in fs.find(root))


def _flip(content: bytes) -> bytes:
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


def _damage(entry: Entry, name: str, change: Callable[[bytes], bytes] | None) -> None:
    """Change a stored file behind the catalog's back, or remove it."""
    fs, path = _file_system(f"{entry.location}/{name}")
    if change is None:
        fs.rm_file(path)
    else:
        fs.pipe_file(path, change(fs.cat_file(path)))


def _problems(catalog: Catalog, *references: str) -> list[str]:
    return [each for finding in verify(catalog, references) for each in finding.problems]


# -- what every catalog does


def test_where_no_catalog_is_none_is_opened(url: str) -> None:
    with pytest.raises(CatalogError, match=f"{url} is not a catalog"):
        Catalog(url)
    assert _stored(url) == []


def test_a_prefix_with_other_files_is_refused_and_left_alone(url: str) -> None:
    fs, root = _file_system(url)
    fs.pipe_file(f"{root}/thesis.txt", b"precious")
    for create in (False, True):
        with pytest.raises(CatalogError, match="not a catalog"):
            Catalog(url, create=create)
    assert _stored(url) == ["thesis.txt"]


def test_a_catalog_can_be_opened_again_also_with_a_slash(url: str) -> None:
    entry = _weights(Catalog(f"{url}/", create=True))
    again = Catalog(url, create=True)
    assert again.url == url
    assert [each.id for each in again.entries()] == [entry.id]
    assert entry.location == f"{url}/entries/{entry.id}"


def test_a_bucket_alone_can_be_a_catalog(bucket: str) -> None:
    import boto3

    client = boto3.client("s3")
    client.create_bucket(Bucket="whole")
    client.close()
    catalog = Catalog("s3://whole/", create=True)
    entry = _publish(catalog)
    assert catalog.get("dataset/a@latest").id == entry.id
    assert _problems(catalog) == []


def test_empty_files_that_mark_folders_are_nothing(s3_url: str) -> None:
    import boto3

    client = boto3.client("s3")
    prefix = s3_url.removeprefix("s3://bucket/")
    client.put_object(Bucket="bucket", Key=f"{prefix}/")
    catalog = Catalog(s3_url, create=True)
    entry = _publish(catalog)
    for folder in ("refs", "refs/dataset", "entries", f"entries/{entry.id}", "tags/dataset"):
        client.put_object(Bucket="bucket", Key=f"{prefix}/{folder}/")
    client.put_object(Bucket="bucket", Key=f"{prefix}/entries/{entry.id}/data.zarr/")
    client.close()
    assert catalog.store.names("refs/dataset") == ["a@1"]
    assert catalog.store.folders("entries") == [entry.id]
    assert catalog.names.references() == {Reference("dataset", "a", 1)}
    assert _problems(catalog) == []
    remove(catalog, ["dataset/a@1"])
    assert catalog.store.folders("entries") == []


def test_what_is_not_there_is_empty_or_not_found(url: str) -> None:
    store = RemoteStore(url)
    assert (store.names(""), store.folders(""), store.names("refs/dataset")) == ([], [], [])
    assert (store.files("entries/x"), store.size("a"), store.size("entries")) == ({}, None, None)
    for act in (store.read, store.open, store.remove):
        with pytest.raises(FileNotFoundError):
            act("entries/x")


def test_a_file_is_read_in_pieces(url: str) -> None:
    store = RemoteStore(url)
    content = np.random.default_rng(0).bytes(10_000_019)  # more than is asked for at once
    store.replace("a/large", content)
    store.replace("a/empty", b"")
    with store.open("a/large") as file:
        assert b"".join(iter(lambda: file.read(2**20), b"")) == content
    with store.open("a/large") as one, store.open("a/large") as other:
        assert one.read(5) + other.read(5) == 2 * content[:5]
    with store.open("a/empty") as file:
        assert file.read() == b""
    assert store.files("a") == {"large": len(content), "empty": 0}


def test_what_is_published_can_be_read(catalog: Catalog) -> None:
    with catalog.draft("dataset", "a", recipe={"value": 1}) as draft:
        draft.write(_data(1.0), group="train", chunks={"init_time": 2})
        draft.write(_data(2.0), group="test", chunks={"init_time": 1}, shards={"init_time": 3})
        draft.write_file("model.safetensors", b"weights")
        made = draft.publish()
    entry = Catalog(catalog.url).get("dataset/a@latest")
    assert (entry.id, entry.record.summary) == (made.id, {})
    xr.testing.assert_identical(entry.load("train").drop_attrs(), _data(1.0))
    lazy = entry.open("test")
    np.testing.assert_array_equal(lazy["q"][1], _data(2.0)["q"][1])
    xr.testing.assert_identical(lazy.load().drop_attrs(), _data(2.0))
    assert entry.content("model.safetensors") == b"weights"
    assert _problems(catalog) == []


def test_xarray_alone_reads_what_is_published(catalog: Catalog, tmp_path: Path) -> None:
    entry = _publish(catalog, value=3.0)
    fs, place = _file_system(f"{entry.location}/data.zarr")
    fs.get(place, str(tmp_path / "plain.zarr"), recursive=True)
    with xr.open_zarr(tmp_path / "plain.zarr", consolidated=False, chunks=None) as plain:
        xr.testing.assert_equal(plain.load(), _data(3.0))


def test_versions_count_up_and_latest_is_the_last(catalog: Catalog) -> None:
    entries = [_weights(catalog, content=bytes(length)) for length in (1, 2, 3)]
    assert [each.reference.version for each in entries] == [1, 2, 3]
    assert Catalog(catalog.url).get("forecaster/w@latest").id == entries[2].id
    remove(catalog, ["forecaster/w@3"])
    assert _weights(catalog).reference.version == 4


def test_entries_are_found_by_recipe_by_query_and_by_lineage(catalog: Catalog) -> None:
    dataset, fitted, drawn = _family(catalog)
    found = catalog.find("forecast", {"value": 0.0}, {"forecaster": fitted})
    assert found is not None
    assert found.id == drawn.id
    assert catalog.find("forecast", {"value": 1.0}, {"forecaster": fitted}) is None
    assert [each.id for each in catalog.lineage(drawn)] == [dataset.id, fitted.id, drawn.id]
    assert list(catalog.query("kind = forecast")["id"]) == [drawn.id]
    _weights(Catalog(catalog.url), "other")  # by somebody else
    assert list(catalog.query("kind = forecaster")["name"]) == ["fgn", "other"]


def test_tags_and_aliases_can_be_set_moved_and_removed(catalog: Catalog) -> None:
    first, second = _weights(catalog, content=b"1"), _weights(catalog, content=b"12")
    catalog.names.tag(first.reference, "good")
    catalog.names.tag(first.reference, "good")
    assert catalog.names.tags() == {first.reference: ["good"]}
    assert list(catalog.query("tag = good")["id"]) == [first.id]
    catalog.names.untag(first.reference, "good")
    assert catalog.names.tags() == {}
    with pytest.raises(CatalogError, match="has no tag 'good'"):
        catalog.names.untag(first.reference, "good")

    alias = catalog.alias("forecaster/w@1", "paper")
    assert catalog.get("forecaster/w@paper").id == first.id
    with pytest.raises(CatalogError, match=r"stands for forecaster/w@1\. Use --move"):
        catalog.alias("forecaster/w@2", "paper")
    catalog.alias("forecaster/w@2", "paper", move=True)
    assert Catalog(catalog.url).get("forecaster/w@paper").id == second.id
    catalog.names.forget(alias)
    with pytest.raises(CatalogError, match="there is no alias forecaster/w@paper"):
        catalog.names.forget(alias)


def test_an_index_of_another_catalog_at_the_same_url_is_not_believed(url: str) -> None:
    _publish(Catalog(url, create=True), value=1.0)
    assert len(Catalog(url).query()) == 1
    fs, root = _file_system(url)
    fs.rm(root, recursive=True)
    entry = _publish(Catalog(url, create=True), value=2.0)
    found = Catalog(url).find("dataset", {"value": 2.0}, {})
    assert found is not None
    assert found.id == entry.id
    assert Catalog(url).find("dataset", {"value": 1.0}, {}) is None


# -- damage


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_flip, "its checksum differs"),
        (lambda content: content[:-1], r"has \d+ bytes, not \d+"),
        (None, "is missing"),
    ],
    ids=["flipped", "truncated", "missing"],
)
def test_a_damaged_chunk_is_an_error_and_verify_names_it(
    catalog: Catalog, change: Callable[[bytes], bytes] | None, told: str
) -> None:
    entry = _publish(catalog, value=1.0)
    sound = _publish(catalog, "sound")
    lazy = entry.open()  # before the damage
    _damage(entry, CHUNK, change)
    with pytest.raises(CatalogError, match=f"dataset/a@1: .*{told}.*The entry is damaged"):
        _ = lazy["q"].to_numpy()
    with pytest.raises(CatalogError, match=told):
        Catalog(catalog.url).get("dataset/a@1").load()
    (problem,) = _problems(catalog)
    assert problem.startswith(f"dataset/a@1: {CHUNK} ")
    assert _problems(catalog, str(sound.reference)) == []


@pytest.mark.parametrize("change", [_flip, lambda content: content[: len(content) // 2]])
def test_damage_inside_a_shard_is_an_error(
    catalog: Catalog, change: Callable[[bytes], bytes]
) -> None:
    with catalog.draft("dataset", "a", recipe={}) as draft:
        draft.write(_data(), chunks={"init_time": 1}, shards={"init_time": 3})
        entry = draft.publish()
    _damage(entry, CHUNK, change)
    with pytest.raises(CatalogError, match="The entry is damaged"):
        entry.load()
    assert [problem.split()[1] for problem in _problems(catalog)] == [CHUNK]


def test_an_entry_without_its_folder_is_told_and_can_be_removed(catalog: Catalog) -> None:
    entry, other = _weights(catalog), _weights(catalog, "other")
    for name in list(entry.stored()):
        _damage(entry, name, None)
    with pytest.raises(CatalogError, match="forecaster/w@1 points at an entry that is not there"):
        Catalog(catalog.url).get("forecaster/w@1")
    assert [each.id for each in Catalog(catalog.url).entries()] == [other.id]
    assert "points at an entry that is not there" in _problems(catalog)[0]


# -- two at the same time


def test_a_file_that_is_there_is_not_created_again(url: str) -> None:
    RemoteStore(url).create("refs/a", b"first")
    with pytest.raises(FileExistsError):
        RemoteStore(url).create("refs/a", b"second")
    assert RemoteStore(url).read("refs/a") == b"first"
    RemoteStore(url).create("refs/a", b"first")  # its own, as after an answer that was lost
    RemoteStore(url).replace("refs/a", b"second")
    assert RemoteStore(url).read("refs/a") == b"second"


def test_writers_of_one_name_get_different_versions(catalog: Catalog) -> None:
    start = threading.Barrier(3)

    def write(writer: int) -> list[str]:
        own = Catalog(catalog.url)
        start.wait()
        return [_weights(own, content=bytes(1 + 2 * writer + turn)).id for turn in range(2)]

    with ThreadPoolExecutor(3) as pool:
        written = list(itertools.chain.from_iterable(pool.map(write, range(3))))
    entries = list(catalog.entries())
    assert [each.reference.version for each in entries] == list(range(1, 7))
    assert {each.id for each in entries} == set(written)
    assert len(set(written)) == 6
    assert _problems(catalog) == []
    assert list(collect(catalog, older_than=0)) == []


def test_two_who_make_a_catalog_at_once_make_one(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: Catalog(url, create=True), range(4)))
    assert {catalog.url for catalog in opened} == {url}
    assert _stored(url) == ["geobench-catalog.json"]


def test_the_server_is_told_to_write_only_if_there_is_none(
    misbehaving: Callable[[dict[str, list[Answer]]], _Misbehaving],
) -> None:
    server = misbehaving({"PUT": [(200, ""), (412, "PreconditionFailed")]})
    RemoteStore("s3://bucket/a").create("refs/a", b"content")
    assert server.seen == [("PUT", "*"), ("PUT", "*")]  # the second proves that it heeds it


def test_when_two_writers_meet_one_tries_again(
    misbehaving: Callable[[dict[str, list[Answer]]], _Misbehaving],
) -> None:
    conflict = (409, "ConditionalRequestConflict")
    server = misbehaving({"PUT": [conflict, conflict, (200, ""), (412, "PreconditionFailed")]})
    RemoteStore("s3://bucket/a").create("refs/a", b"content")
    assert server.methods == ["PUT"] * 4


def test_a_conflict_that_does_not_end_is_told(
    misbehaving: Callable[[dict[str, list[Answer]]], _Misbehaving], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geobench_catalog.remote_store._PAUSES", (0.01, 0.01))
    server = misbehaving({"PUT": [(409, "ConditionalRequestConflict")]})
    with pytest.raises(CatalogError, match="s3://bucket/a does not answer as it should"):
        RemoteStore("s3://bucket/a").create("refs/a", b"content")
    assert server.methods == ["PUT"] * 3


def test_a_server_that_overwrites_is_refused(
    misbehaving: Callable[[dict[str, list[Answer]]], _Misbehaving],
) -> None:
    server = misbehaving({"PUT": [(200, "")], "DELETE": [(204, "")]})
    with pytest.raises(CatalogError, match=r"s3://bucket/a: the server overwrites .* Use a folder"):
        RemoteStore("s3://bucket/a").create("refs/a", b"content")
    assert server.methods == ["PUT", "PUT", "DELETE"]


# -- removal


def test_what_others_depend_on_is_removed_with_them_only(catalog: Catalog) -> None:
    dataset, _, drawn = _family(catalog)
    catalog.alias(str(drawn.reference), "paper")
    with pytest.raises(CatalogError, match=r"forecast/fgn@1.* depend on it"):
        remove(catalog, ["dataset/twin@1"])
    assert len(list(catalog.entries())) == 3
    gone = remove(catalog, ["dataset/twin@1"], cascade=True)
    assert [each.kind for each in gone] == ["forecast", "forecaster", "dataset"]
    left = _stored(catalog.url)
    assert [key for key in left if key.startswith(("refs", "entries", "aliases"))] == []
    assert catalog.store.folders("entries") == []
    with pytest.raises(CatalogError, match="there is no dataset/twin@1"):
        Catalog(catalog.url).get(str(dataset.reference))
    assert _problems(catalog) == []


@pytest.mark.slow
def test_more_files_than_one_request_removes_are_removed(s3_url: str) -> None:
    from moto.s3.models import s3_backends

    catalog = Catalog(s3_url, create=True)
    folder = f"entries/{64 * 'a'}"
    prefix = f"{s3_url.removeprefix('s3://bucket/')}/{folder}"
    names = ["MANIFEST.json", "a[1]", *(f"data.zarr/q/c/{number}" for number in range(1001))]
    for name in names:
        s3_backends["123456789012"]["aws"].put_object("bucket", f"{prefix}/{name}", b"0")
    assert list(collect(catalog, older_than=0)) == [(f"{s3_url}/{folder}", len(names))]
    assert _stored(s3_url) == ["geobench-catalog.json"]


def test_what_the_server_does_not_remove_is_told(
    misbehaving: Callable[[dict[str, list[Answer]]], _Misbehaving],
) -> None:
    server = misbehaving({"HEAD": [(200, "")], "DELETE": [(403, "AccessDenied")]})
    with pytest.raises(CatalogError, match="PermissionError: told AccessDenied"):
        RemoteStore("s3://bucket/a").remove("refs/a")
    assert server.methods == ["HEAD", "DELETE"]


def test_a_prefix_that_looks_like_a_pattern_is_none(url: str) -> None:
    catalogs = [Catalog(f"{url}/{name}", create=True) for name in ("a[b]", "ab")]
    for catalog in catalogs:
        _weights(catalog)
    entry = catalogs[1].get("forecaster/w@1")
    assert [each.new for each in copy(catalogs[1], catalogs[0], ["forecaster/w@1"])] == [True]
    remove(catalogs[0], ["forecaster/w@2"])
    assert catalogs[1].get("forecaster/w@1").id == entry.id
    assert [_problems(catalog) for catalog in catalogs] == [[], []]


def test_what_was_never_named_is_collected_when_it_is_old(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = _publish(catalog, "kept")
    with monkeypatch.context() as patch:
        patch.setattr(Names, "give", _die)
        with pytest.raises(KeyboardInterrupt):
            _publish(catalog)
    fs, root = _file_system(f"{catalog.url}/entries/{64 * 'a'}")
    fs.pipe_file(f"{root}/data.zarr/zarr.json", b"{}")  # without a manifest
    assert [each.id for each in catalog.entries()] == [kept.id]
    assert _problems(catalog) == []
    assert list(collect(catalog)) == []  # it may be somebody's who is about to name it
    found = dict(collect(catalog, older_than=0, dry_run=True))
    assert len(found) == 2
    assert len(catalog.store.folders("entries")) == 3
    assert dict(collect(catalog, older_than=0)) == found
    assert catalog.store.folders("entries") == [kept.id]
    assert kept.load().sizes == {"init_time": 3, "x": 4}


def _die(*_: object, **__: object) -> Any:
    raise KeyboardInterrupt


def test_what_is_about_to_be_named_is_young_again(s3_url: str, tmp_path: Path) -> None:
    (tmp_path / "MANIFEST.json").write_bytes(b"{}")
    (tmp_path / "record.json").write_bytes(b"{}")
    store = RemoteStore(s3_url)
    store.adopt(tmp_path, "entries/a")
    before = store.age("entries/a")
    threading.Event().wait(1.1)  # S3 tells whole seconds
    with pytest.raises(FileExistsError):
        RemoteStore(s3_url).adopt(tmp_path, "entries/a")
    assert store.age("entries/a") < before + 1


# -- crashes


@pytest.mark.parametrize("error", [OSError("the line is cut"), KeyboardInterrupt()])
def test_a_crash_during_upload_leaves_nothing_visible(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    client: Any = catalog.store._fs  # type: ignore[attr-defined] # the only way to break it
    put = client.put

    def put_half(sources: list[str], targets: list[str]) -> None:
        half = len(sources) // 2
        put(sources[:half], targets[:half])
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(client, "put", put_half)
        with pytest.raises((CatalogError, KeyboardInterrupt)) as caught:
            _weights(catalog)
    if isinstance(error, OSError):
        assert f"{catalog.url} does not answer as it should (OSError: the line is cut)" in str(
            caught.value
        )
    assert len(catalog.store.folders("entries")) == 1
    assert list(catalog.entries()) == []
    assert catalog.query().empty
    assert _problems(catalog) == []
    [(_, size)] = collect(catalog, older_than=0)
    assert size > 0
    assert catalog.store.folders("entries") == []
    assert str(_weights(catalog).reference) == "forecaster/w@1"
    assert _problems(catalog) == []


def test_an_upload_that_was_cut_off_is_finished_by_the_next(url: str, tmp_path: Path) -> None:
    source = Catalog(tmp_path / "source", create=True)
    entry = _publish(source)
    target = Catalog(url, create=True)
    fs, root = _file_system(f"{url}/entries/{entry.id}")
    fs.pipe_file(f"{root}/{CHUNK}", b"half")
    assert [each.new for each in copy(source, target, ["dataset/a@1"])] == [True]
    assert _problems(target) == []


def test_a_file_that_does_not_arrive_is_told(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    client: Any = catalog.store._fs  # type: ignore[attr-defined] # the only way to break it
    put = client.put
    monkeypatch.setattr(client, "put", lambda sources, targets: put(sources[1:], targets[1:]))
    with pytest.raises(CatalogError, match=r"did not arrive .*Nothing was published; try again"):
        _publish(catalog)
    assert list(catalog.entries()) == []


# -- from one to another


def test_entries_are_pushed_and_pulled_with_their_lineage(catalog: Catalog, tmp_path: Path) -> None:
    local = Catalog(tmp_path / "local", create=True)
    family = _family(local)
    pushed = list(copy(local, catalog, ["forecast/fgn@1"]))
    assert [(each.here, each.new) for each in pushed] == [(e.reference, True) for e in family]
    assert [each.new for each in copy(local, catalog, ["forecast/fgn@1"])] == [False] * 3

    other = Catalog(tmp_path / "other", create=True)
    _publish(other, "twin", 7.0)  # takes the name
    pulled = list(copy(catalog, other, ["forecast/fgn@latest"]))
    assert [str(each.here) for each in pulled] == [
        "dataset/twin@2",
        "forecaster/fgn@1",
        "forecast/fgn@1",
    ]
    assert [other.get(str(each.here)).id for each in pulled] == [each.id for each in family]
    assert [each.new for each in copy(catalog, other, ["forecast/fgn@1"])] == [False] * 3
    xr.testing.assert_equal(other.get("forecast/fgn@1").load(), _data())
    assert _problems(catalog) == _problems(other) == []


def test_a_taken_version_there_gives_the_next(catalog: Catalog, tmp_path: Path) -> None:
    local = Catalog(tmp_path / "local", create=True)
    entry = _publish(local, value=1.0)
    _publish(catalog, value=2.0)
    [arrival] = copy(local, catalog, ["dataset/a@1"])
    assert str(arrival.here) == "dataset/a@2"
    assert catalog.get("dataset/a@latest").id == entry.id


def test_damage_is_not_pulled(catalog: Catalog, tmp_path: Path) -> None:
    entry = _publish(catalog)
    _damage(entry, CHUNK, _flip)
    local = Catalog(tmp_path / "local", create=True)
    with pytest.raises(CatalogError, match="dataset/a@1 is refused"):
        list(copy(catalog, local, ["dataset/a@1"]))
    assert list(local.entries()) == []


# -- servers that cannot be used


def _told(url: str, *, create: bool = False) -> str:
    with pytest.raises(CatalogError) as caught:
        Catalog(url, create=create)
    told = str(caught.value)
    assert url.rstrip("/") in told
    assert len(told.splitlines()) == 1
    return told


def test_a_bucket_that_is_not_there_is_told(bucket: str) -> None:
    for create in (False, True):
        told = _told("s3://nowhere/prefix", create=create)
        assert "there is no bucket 'nowhere'. Make it first" in told


def test_a_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs")
    with _deaf() as port:
        _set_up_s3(monkeypatch, f"http://127.0.0.1:{port}")
        told = _told("s3://bucket/prefix")
    assert "Could not connect" in told
    assert "Check the network, the endpoint and the credentials (AWS_ENDPOINT_URL" in told


@contextmanager
def _deaf(port: int = 0) -> Iterator[int]:
    """A port at which nobody listens, and that nobody else is given meanwhile."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", port))
        yield held.getsockname()[1]


def test_a_server_that_goes_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with _s3() as endpoint:
        _set_up_s3(monkeypatch, endpoint)
        import boto3

        client = boto3.client("s3")
        client.create_bucket(Bucket="gone")
        client.close()
        catalog = Catalog("s3://gone/prefix", create=True)
        lazy = _publish(catalog).open()
    with _deaf(int(endpoint.rpartition(":")[2])):
        for act in (
            lambda: lazy["q"].to_numpy(),
            lambda: catalog.get("dataset/a@1"),
            lambda: _publish(catalog),
            lambda: remove(catalog, ["dataset/a@1"]),
            lambda: list(collect(catalog)),
            lambda: catalog.query(),
        ):
            with pytest.raises(CatalogError, match="s3://gone/prefix does not answer as it should"):
                act()


@pytest.mark.parametrize("answer", [(403, "AccessDenied"), (403, "InvalidAccessKeyId")])
def test_what_is_not_permitted_is_told(
    misbehaving: Callable[[dict[str, list[Answer]]], _Misbehaving], answer: Answer
) -> None:
    misbehaving({"GET": [answer]})
    told = _told("s3://bucket/prefix", create=True)
    assert f"PermissionError: told {answer[1]}" in told
    assert "AWS_ACCESS_KEY_ID" in told


def test_missing_credentials_are_told(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    told = _told("s3://bucket/prefix")
    assert "NoCredentialsError: Unable to locate credentials" in told
    assert "AWS_ACCESS_KEY_ID" in told


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nonsense://a", "Name a folder or a URL of s3://, gs://, memory://"),
        ("http://127.0.0.1/a", "cannot create a file exclusively"),
        ("local:///nowhere/a", "cannot create a file exclusively"),
        ("simplecache::memory://a", "cannot create a file exclusively"),
        ("s3://", "names no bucket. Write s3://BUCKET/PREFIX"),
    ],
)
def test_urls_that_cannot_keep_a_catalog_are_refused(url: str, told: str) -> None:
    if url.startswith(("s3", "http")):
        pytest.importorskip("s3fs")  # which brings aiohttp
    assert told in _told(url, create=True)


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = sys.modules["fsspec.registry"]._registry
    monkeypatch.delitem(imported, "s3", raising=False)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    assert "pip install 'geobench-twin[s3]'" in _told("s3://bucket/prefix")


# -- the command line

SMALL = (
    "spin_up=2",
    "train={trajectories: 6, steps: 8}",
    "validation={trajectories: 2, steps: 8}",
    "test={trajectories: 4, inits: 2, every: 3}",
    "leads=2",
)


def _geobench(url: str, *arguments: object) -> Result:
    words = ["--quiet", "--catalog", url, *map(str, arguments)]
    return CliRunner().invoke(main, words)


def test_the_steps_run_on_a_url() -> None:
    url = f"memory://{uuid.uuid4().hex}"
    options = [word for change in SMALL for word in ("--set", change)]
    steps = [
        _geobench(url, "simulate", "lorenz95", "--name", "small", *options),
        _geobench(url, "train", "persistence", "--dataset", "dataset/small@latest"),
        _geobench(url, "forecast", "forecaster/small.persistence.s0@1", "--members", 3),
        _geobench(url, "score", "forecast/small.persistence.s0@1", "--scorer", "crps"),
    ]
    for step in steps:
        assert step.exit_code == 0, step.output
    assert [step.stdout.splitlines()[0] for step in steps] == [
        "dataset/small@1",
        "forecaster/small.persistence.s0@1",
        "forecast/small.persistence.s0@1",
        "score/small.persistence.s0.crps@1",
    ]
    again = _geobench(url, "simulate", "lorenz95", "--name", "small", *options)
    assert again.stdout.strip() == "dataset/small@1"  # found, not made again
    assert _problems(Catalog(url)) == []


def test_the_commands_of_the_catalog(url: str) -> None:
    made = [str(entry.reference) for entry in _family(Catalog(url, create=True))]
    listed = _geobench(url, "catalog", "list")
    assert [word for word in listed.stdout.split() if "/" in word] == made
    shown = _geobench(url, "catalog", "show", "dataset/twin@1")
    assert f"at: {url}/entries/" in shown.stdout
    assert "q (init_time: 3, x: 4) float32" in shown.stdout
    queried = _geobench(url, "catalog", "query", "kind = forecast", "--columns", "reference")
    assert made[2] in queried.stdout.split()
    for command in (["verify"], ["gc"], ["du"], ["rm", "--yes", made[2]]):
        result = _geobench(url, "catalog", *command)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
    left = _geobench(url, "catalog", "list").stdout
    assert [word for word in left.split() if "/" in word] == made[:2]


def test_damage_and_mistakes_are_told_on_one_line(s3_url: str) -> None:
    refused = _geobench(s3_url, "catalog", "list")
    assert (refused.exit_code, len(refused.stderr.splitlines())) == (2, 1)
    entry = _publish(Catalog(s3_url, create=True))
    _damage(entry, CHUNK, None)
    result = _geobench(s3_url, "catalog", "verify")
    assert result.exit_code != 0
    assert f"{CHUNK} is missing" in result.output
    assert "Traceback" not in result.output


@pytest.mark.slow
def test_a_process_ends_quietly_and_soon(s3_url: str) -> None:
    _publish(Catalog(s3_url, create=True))
    code = (
        "from geobench_catalog import Catalog\n"
        f"catalog = Catalog({s3_url!r})\n"
        "print(float(catalog.get('dataset/a@1').open()['q'][0, 1]), len(catalog.query()))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", code],
        capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("1.0 1\n", "")


# -- forecasts of strangers


@pytest.mark.parametrize("version", [2, 3])
def test_a_forecast_in_a_bucket_is_read_and_not_trusted(
    bucket: str, tmp_path: Path, version: int
) -> None:
    from geobench.foreign.sources import absent_chunks, open_foreign

    values = np.arange(24, dtype=np.float32).reshape(4, 6)
    data = xr.Dataset({"q": (("init_time", "x"), values)})
    how = {"q": {"chunks": (1, 6)}}
    data.to_zarr(tmp_path / "a.zarr", zarr_format=version, consolidated=False, encoding=how)
    fs = fsspec.filesystem("s3", skip_instance_cache=True)
    place = f"{bucket.removeprefix('s3://')}/{uuid.uuid4().hex}.zarr"
    for file in (tmp_path / "a.zarr").rglob("*"):
        if file.is_file():
            fs.pipe_file(f"{place}/{file.relative_to(tmp_path / 'a.zarr')}", file.read_bytes())
    url = f"s3://{place}"
    np.testing.assert_array_equal(open_foreign(url)["q"], values)
    assert absent_chunks(url) == []
    chunk = "q/2.0" if version == 2 else "q/c/2/0"
    fs.rm_file(f"{place}/{chunk}")
    (note,) = absent_chunks(url)
    assert note.startswith("1 of 4 chunks of q are not stored and read as ")
    metadata = "q/.zarray" if version == 2 else "q/zarr.json"
    text = (
        fs.cat_file(f"{place}/{metadata}").replace(b"zstd", b"pickle").replace(b"blosc", b"pickle")
    )
    fs.pipe_file(f"{place}/{metadata}", text)
    with pytest.raises(CatalogError, match="which may run code or is not known"):
        open_foreign(url)
    with pytest.raises(CatalogError, match=r"holds no Zarr store\. Check the URL"):
        open_foreign(f"{url}.gone")
