"""Facts about the software and the machine that made an entry."""

import functools
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from geobench_catalog.vocabulary import Vocabulary

_PACKAGES = ("numpy", "numcodecs", "xarray", "zarr")
_INSTRUCTIONS = (
    "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16",
    "amx_int8", "amx_fp16", "asimd", "sve", "sve2",
)  # fmt: skip
_SETTINGS = (
    "ATEN_CPU_CAPABILITY", "DNNL_MAX_CPU_ISA", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS",
    "NUMBA_CPU_FEATURES", "NUMBA_CPU_NAME", "ONEDNN_MAX_CPU_ISA", "OPENBLAS_CORETYPE",
)  # fmt: skip


@functools.cache
def versions(packages: tuple[str, ...] = (), plugins_of: str = "") -> dict[str, str]:
    """Return the installed versions of what makes numbers.

    Those are the libraries that the catalog writes with, `packages`, and each distribution that
    has an entry point in the group `plugins_of`.
    """
    plugins = importlib.metadata.entry_points(group=plugins_of) if plugins_of else ()
    installed = {}
    known = [plugin.dist.metadata for plugin in plugins if plugin.dist]
    named = {metadata["Name"] for metadata in known if "Name" in metadata}  # damaged ones lack it
    for package in sorted({*_PACKAGES, *packages, *named}):
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@functools.cache
def commit() -> dict[str, Any]:
    """Return git commit of the code and whether it was changed since; empty outside a checkout."""
    root = _git("rev-parse", "--show-toplevel")
    if root is None or not Path(__file__).is_relative_to(root) or _git("ls-files", __file__) == "":
        return {}
    dirty = _git("status", "--porcelain")
    return {"git_commit": _git("rev-parse", "HEAD"), "git_dirty": bool(dirty)}


@functools.cache
def _processor() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())


@functools.cache
def _instructions() -> list[str]:
    """Sets of instructions, of those that numerical libraries choose their kernels by."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return []
    named = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    there = set(next(named, "").split())
    return [instruction for instruction in _INSTRUCTIONS if instruction in there]


def _library_settings() -> dict[str, str]:
    """Variables by which somebody has told the libraries which instructions to use."""
    return {key: os.environ[key] for key in _SETTINGS if key in os.environ}


def describe(vocabulary: Vocabulary) -> dict[str, Any]:
    """Everything about the place an entry is made in that can matter to its numbers or cost.

    The vocabulary names further software. Of the code, its state when this process first asked:
    what it has loaded does not change.
    """
    settings = _library_settings()
    return {
        "python": platform.python_version(),
        "packages": versions(vocabulary.packages, vocabulary.plugins),
        **commit(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": _processor(),
        "instructions": _instructions(),
        **({"library_settings": settings} if settings else {}),
        "cpus": os.cpu_count(),
        "byte_order": sys.byteorder,
    }
