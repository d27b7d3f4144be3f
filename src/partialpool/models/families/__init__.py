"""Likelihood families."""

from partialpool.models.families.base import Derivatives, Family, ResponseColumns
from partialpool.models.families.beta import BetaFamily
from partialpool.models.families.beta_binomial import BetaBinomial
from partialpool.models.families.binomial import Bernoulli, Binomial
from partialpool.models.families.exponential import ExponentialFamily
from partialpool.models.families.gamma import GammaFamily
from partialpool.models.families.gaussian import Gaussian
from partialpool.models.families.lognormal import LogNormal
from partialpool.models.families.negative_binomial import NegativeBinomial
from partialpool.models.families.parse import FAMILIES, read_family
from partialpool.models.families.poisson import Poisson
from partialpool.models.families.student_t import StudentTFamily
from partialpool.models.families.zero_inflated import ZeroInflatedNegativeBinomial, ZeroInflatedPoisson

__all__ = [
    "FAMILIES",
    "Bernoulli",
    "BetaBinomial",
    "BetaFamily",
    "Binomial",
    "Derivatives",
    "ExponentialFamily",
    "Family",
    "GammaFamily",
    "Gaussian",
    "LogNormal",
    "NegativeBinomial",
    "Poisson",
    "ResponseColumns",
    "StudentTFamily",
    "ZeroInflatedNegativeBinomial",
    "ZeroInflatedPoisson",
    "read_family",
]
