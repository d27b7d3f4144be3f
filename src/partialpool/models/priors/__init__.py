"""Priors: densities and tails, text, which parameter gets which, and whether the posterior is proper."""

from partialpool.models.priors.base import Prior, ScalarPrior
from partialpool.models.priors.caution import prior_caution
from partialpool.models.priors.correlation import LKJ
from partialpool.models.priors.fixed import Fixed
from partialpool.models.priors.flat import Flat, Uniform
from partialpool.models.priors.joint_tails import JointTail, find_correlated_tail, find_joint_tail, growth_along
from partialpool.models.priors.location import Cauchy, Normal, StudentT, is_at_means
from partialpool.models.priors.parse import parse_prior
from partialpool.models.priors.propriety import check_propriety, finite_moments, finite_residual_moments
from partialpool.models.priors.resolve import ParameterSlot, drop_given, find_given, resolve_priors
from partialpool.models.priors.scale import (
    Exponential,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
    PCPrior,
    VariancePower,
)
from partialpool.models.priors.shapes import AlphaBetaPower, Beta, LogNormal

__all__ = [
    "LKJ",
    "AlphaBetaPower",
    "Beta",
    "Cauchy",
    "Exponential",
    "Fixed",
    "Flat",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "HalfStudentT",
    "InverseGamma",
    "JointTail",
    "LogNormal",
    "Normal",
    "PCPrior",
    "ParameterSlot",
    "Prior",
    "ScalarPrior",
    "StudentT",
    "Uniform",
    "VariancePower",
    "check_propriety",
    "drop_given",
    "find_correlated_tail",
    "find_given",
    "find_joint_tail",
    "finite_moments",
    "finite_residual_moments",
    "growth_along",
    "is_at_means",
    "parse_prior",
    "prior_caution",
    "resolve_priors",
]
