"""Hierarchical (multilevel, partially pooled) Bayesian models: exact posteriors in the time of a point estimate.

    import partialpool as pp
    fit = pp.fit("effect ~ 1 + (1 | school)", schools, standard_error="se")

Everything but ``fit``, ``describe`` and ``load`` is imported when first used, so that importing costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from partialpool.fit import describe, fit, load

if TYPE_CHECKING:
    from partialpool import datasets, errors
    from partialpool.inference.hyper.certificate import Engine
    from partialpool.inputs.roles.selection import ProbitSelection
    from partialpool.models import families, populations
    from partialpool.models.priors import (
        LKJ,
        AlphaBetaPower,
        Beta,
        Cauchy,
        Exponential,
        Fixed,
        Flat,
        Gamma,
        HalfCauchy,
        HalfNormal,
        HalfStudentT,
        InverseGamma,
        LogNormal,
        Normal,
        PCPrior,
        StudentT,
        Uniform,
        VariancePower,
    )
    from partialpool.posterior import Posterior

__version__ = "0.1.0"

_PRIORS = (
    "LKJ", "AlphaBetaPower", "Beta", "Cauchy", "Exponential", "Fixed", "Flat", "Gamma", "HalfCauchy", "HalfNormal",
    "HalfStudentT", "InverseGamma", "LogNormal", "Normal", "PCPrior", "StudentT", "Uniform", "VariancePower",
)  # fmt: skip
_HOMES = {
    **dict.fromkeys(_PRIORS, "partialpool.models.priors"),
    "Posterior": "partialpool.posterior",
    "Engine": "partialpool.inference.hyper.certificate",
    "ProbitSelection": "partialpool.inputs.roles.selection",
}
_MODULES = {
    "datasets": "partialpool.datasets",
    "errors": "partialpool.errors",
    "families": "partialpool.models.families",
    "populations": "partialpool.models.populations",
}

__all__ = [
    "LKJ",
    "AlphaBetaPower",
    "Beta",
    "Cauchy",
    "Engine",
    "Exponential",
    "Fixed",
    "Flat",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "HalfStudentT",
    "InverseGamma",
    "LogNormal",
    "Normal",
    "PCPrior",
    "Posterior",
    "ProbitSelection",
    "StudentT",
    "Uniform",
    "VariancePower",
    "__version__",
    "datasets",
    "describe",
    "errors",
    "families",
    "fit",
    "load",
    "populations",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'partialpool' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
