"""Which codecs a stranger's Zarr metadata may name: those that do no more than decompress.

numcodecs' `pickle` runs code when it decodes, and so does an array of Python objects.
"""

import re
from typing import Any

from geobench_catalog.chunk_sizes import declared
from geobench_catalog.errors import CatalogError

_CODECS = (
    "blosc zstd gzip zlib bz2 lzma lz4 pcodec shuffle delta fixedscaleoffset quantize bitround "
    "astype packbits crc32 crc32c adler32 fletcher32 bytes endian transpose vlen-utf8 vlen-bytes "
    "sharding_indexed"
)


def check_node(node: dict[str, Any], where: str) -> None:
    """Refuse what may do more than decompress, in a group or array and in what it consolidates."""
    inner = node.get("consolidated_metadata") or node
    for name, child in (inner.get("metadata") or {}).items():
        if name.rpartition("/")[2] != ".zattrs":
            check_node(child, f"{where} ({name})")
    declared(node, where)
    filters = _listed(node.get("filters"))
    for codec in [*filters, *_listed(node.get("compressor")), *_listed(node.get("codecs"))]:
        _check_codec(codec, where)
    if node.get("storage_transformers"):
        raise _unsafe(where, "a storage transformer")
    data_type = node.get("data_type")
    named = data_type.get("name") if isinstance(data_type, dict) else data_type
    if named is not None and (not isinstance(named, str) or named.startswith("struct")):
        raise _unsafe(where, f"the data type {str(named)[:60]!r}, which is not one of numbers,")
    if isinstance(node.get("dtype"), list):
        raise _unsafe(where, "a structured dtype, which is not one of numbers,")
    strings = {"id": "vlen-utf8"} in filters and isinstance(node["dtype"], str)
    if _holds_objects(node.get("dtype")) and not strings:
        raise _unsafe(where, f"the dtype {node['dtype']}")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _check_codec(codec: Any, where: str) -> None:
    if not isinstance(codec, dict):
        codec = {"name": codec}
    for name in [codec[key] for key in ("id", "name") if key in codec] or ["no name"]:
        if not isinstance(name, str) or name.removeprefix("numcodecs.") not in _CODECS.split():
            raise _unsafe(where, f"the codec {name!r}")
    settings = codec | (codec.get("configuration") or {})
    for inner in [*_listed(settings.get("codecs")), *_listed(settings.get("index_codecs"))]:
        _check_codec(inner, where)
    if any(_holds_objects(value) for key, value in settings.items() if key.endswith("type")):
        raise _unsafe(where, "a codec that makes Python objects")


def _holds_objects(dtype: Any) -> bool:
    if isinstance(dtype, list):
        return any(map(_holds_objects, dtype))
    return isinstance(dtype, str) and bool(re.match(r"\W*(O\d*$|object)", dtype))


def _unsafe(where: str, what: str) -> CatalogError:
    return CatalogError(
        f"{where} uses {what}, which may run code or is not known. Write it again with "
        f"numbers and a plain compressor such as zstd."
    )
