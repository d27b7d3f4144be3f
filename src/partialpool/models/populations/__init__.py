"""Distributions of groups' parameters on the linear predictor's scale."""

from partialpool.models.populations.base import Population
from partialpool.models.populations.beta import BetaPopulation
from partialpool.models.populations.estimated import EstimatedPopulation, Nonparametric, NormalMixture
from partialpool.models.populations.gamma import ExponentialPopulation, GammaPopulation
from partialpool.models.populations.lognormal import LognormalPopulation
from partialpool.models.populations.normal import NormalPopulation
from partialpool.models.populations.parse import read_population
from partialpool.models.populations.skew_normal import SkewNormalPopulation
from partialpool.models.populations.student_t import StudentTPopulation

__all__ = [
    "BetaPopulation",
    "EstimatedPopulation",
    "ExponentialPopulation",
    "GammaPopulation",
    "LognormalPopulation",
    "Nonparametric",
    "NormalMixture",
    "NormalPopulation",
    "Population",
    "SkewNormalPopulation",
    "StudentTPopulation",
    "read_population",
]
