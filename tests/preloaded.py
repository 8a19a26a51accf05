"""What processes of tests need: the server that forks them imports it once, in seconds."""

import email.message  # noqa: F401
import importlib
import pkgutil

import dask.array  # noqa: F401 # xarray looks for it when it writes
import importlib_metadata  # noqa: F401 # which zarr asks for codecs
import matplotlib.figure  # noqa: F401
import pytest  # noqa: F401
import scipy.stats  # noqa: F401
import torch  # noqa: F401
import xarray  # noqa: F401
import zarr  # noqa: F401

import geobench
import geobench_catalog
import geobench_plugins

for package in (geobench, geobench_catalog, geobench_plugins):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
