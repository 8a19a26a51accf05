"""The same settings in DAPPER (Raanes et al., 2024, doi:10.21105/joss.05150)."""

import time
from typing import TYPE_CHECKING, Any

import dapper.da_methods as da
import dapper.mods as modelling
import dapper.tools.progressbar
import numpy as np
from dapper.mods import Lorenz96
from dapper.tools.localization import nd_Id_localization
from dapper.tools.seeding import set_seed

if TYPE_CHECKING:
    from assimilation import Setting

dapper.tools.progressbar.disable_progbar = True


def run(setting: "Setting") -> dict[str, Any]:
    """Analysis RMSE over time of one experiment, and the time per cycle (forecast and analysis)."""
    method = _method(setting.recipe)
    if method is None or setting.start != "near":
        return {"skipped": "DAPPER has no such setting"}
    Lorenz96.Force = setting.forcing
    twin = _model(setting)
    set_seed(setting.seed + 1)
    truth, observations = twin.simulate()
    began = time.perf_counter()
    try:
        method.assimilate(twin, truth, observations)
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}
    seconds = time.perf_counter() - began
    count = len(observations)
    rmse = float(np.mean(method.stats.err.rms.a[setting.burn_in :]))
    return {"rmse": rmse, "ms_per_cycle": 1e3 * seconds / count, "cycles": count}


def _method(recipe: dict[str, Any]) -> Any:
    own = {"N": recipe["members"], "infl": recipe.get("inflation")}
    rotation = {"rot": recipe.get("rotation", False)}
    match recipe["use"]:
        case "etkf":
            return da.EnKF("Sqrt", **own, **rotation)
        case "enkf":
            return da.EnKF("PertObs", **own)
        case "letkf" if recipe["step"] == 1 and not recipe["relaxation"] and recipe["radius"]:
            return da.LETKF(**own, **rotation, loc_rad=recipe["radius"])
        case "3dvar" if recipe["members"] == 1 and recipe["radius"] is None:
            return da.Var3D(xB=recipe["scale"])
        case "optimal-interpolation" if recipe["members"] == 1 and recipe["radius"] is None:
            return da.OptInterp()
    return None


def _model(setting: "Setting") -> Any:
    sites = setting.sites
    count = setting.burn_in + setting.cycles
    seen = np.arange(0, sites, setting.stride)
    dynamics = {"M": sites, "model": Lorenz96.step, "linear": Lorenz96.dstep_dx, "noise": 0}
    observation = modelling.partial_Id_Obs(sites, seen)
    observation["noise"] = setting.error**2
    observation["localizer"] = nd_Id_localization((sites,), (1,), obs_inds=seen)
    times = modelling.Chronology(0.05, dko=setting.every, Ko=count - 1, BurnIn=0)
    start = modelling.GaussRV(mu=Lorenz96.x0(sites), C=0.001)
    return modelling.HiddenMarkovModel(dynamics, observation, times, start)
