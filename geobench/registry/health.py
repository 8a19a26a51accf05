"""Quick checks of an installation: software, processors, plugins."""

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from geobench.registry import devices
from geobench_catalog.health import Check, examined

_OURS = "geobench-twin"
_TOLD = (
    _OURS, "torch", "numpy", "numba", "xarray", "zarr", "numcodecs", "pluggy", "pydantic", "click",
)  # fmt: skip
_OTHER = "geobench"  # another project, whose import package has our name
_NVIDIA = Path("/proc/driver/nvidia/version")


def examine(plugin_files: tuple[Path, ...], device: str) -> Iterator[Check]:
    """Look at software, processors and plugins; nothing is raised for what is found."""
    yield from examined("software", _software)
    yield from examined("device", lambda: _devices(device))
    yield from examined("threads", _threads)
    yield from examined("plugins", lambda: _plugins(plugin_files))


def _software() -> Iterator[Check]:
    detail = (
        f"{platform.python_implementation()} {platform.python_version()}, {platform.platform()}"
    )
    yield Check("python", "ok", detail)
    versions = {name: _version(name) for name in _TOLD}
    installed = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    unmet = [*_unmet()]
    if versions[_OURS] is None:
        cure = "install it: python -m pip install -e ."
        yield Check("packages", "fail", f"{_OURS} is not installed; {installed}", cure)
    elif unmet:
        cure = f"python -m pip install {' '.join(repr(requirement) for requirement, _ in unmet)}"
        detail = "; ".join(f"{requirement} is asked for, and {has}" for requirement, has in unmet)
        yield Check("packages", "fail", detail, cure)
    else:
        yield Check("packages", "ok", installed)
    if _version(_OTHER) is not None:
        detail = f"{_OTHER} {_version(_OTHER)} is another project whose import package has our name"
        yield Check("packages", "fail", detail, f"python -m pip uninstall {_OTHER}")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _unmet() -> Iterator[tuple[str, str]]:
    """What the distribution asks for and does not have: (requirement, what is there)."""
    from packaging.requirements import Requirement

    for text in importlib.metadata.requires(_OURS) or () if _version(_OURS) else ():
        wanted = Requirement(text)
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        version = _version(wanted.name)
        if version is None or not wanted.specifier.contains(version, prereleases=True):
            has = f"{version} is installed" if version else "it is not installed"
            yield f"{wanted.name}{wanted.specifier}", has


def _devices(device: str) -> Iterator[Check]:
    import torch

    if torch.version.cuda is None and _NVIDIA.exists():
        detail = f"there is an NVIDIA driver, and torch {torch.__version__} has no CUDA"
        yield Check("device", "warn", detail, "to use the GPU, install a build of torch with CUDA")
    if problem := devices.refusal(device):
        yield Check("device", "fail", problem, "--device takes one of them")
    else:
        found = ", ".join(devices.usable())
        yield Check("device", "ok", f"torch can use {found}; networks run on {device}")


def _threads() -> Iterator[Check]:
    import numba
    import torch

    cpus = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    counts = {"torch": torch.get_num_threads(), "numba": int(numba.get_num_threads())}
    detail = ", ".join(f"{name} {count}" for name, count in counts.items())
    detail = f"{detail}, for {cpus} processors"
    if max(counts.values()) > cpus:
        cure = f"set OMP_NUM_THREADS and NUMBA_NUM_THREADS to {cpus} or fewer"
        yield Check("threads", "warn", f"{detail}: they wait for one another", cure)
    else:
        yield Check("threads", "ok", detail)


def _plugins(files: tuple[Path, ...]) -> Iterator[Check]:
    from geobench.registry import Registry

    registry = Registry(files)
    offers = list(registry.offers.values())
    _ = registry.commands  # a plugin that fails to give them is set aside as well
    for owner in registry.plugins:
        if owner not in registry.set_aside:
            kinds = [offer.kind for offer in offers if offer.plugin == owner]
            counts = {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}
            offered = ", ".join(f"{n} {kind}{'s' * (n > 1)}" for kind, n in counts.items())
            yield Check("plugin", "ok", f"{owner}: {offered or 'no simulator, model or scorer'}")
    for owner, reason in registry.set_aside.items():
        is_file = Path(owner).suffix == ".py"
        cure = "mend the file" if is_file else f"mend, upgrade or uninstall {owner}"
        yield Check("plugin", "fail", f"{owner} is set aside: {reason}", cure)
