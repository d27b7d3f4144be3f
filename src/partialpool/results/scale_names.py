"""What a latent fit's scales, family and population are called: "logit p", "p (purchases / visits)"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import numpy as np

from partialpool.inputs.columns.levels import print_number
from partialpool.models.families.base import Family
from partialpool.models.latent_model import LatentModel
from partialpool.models.populations.base import Population
from partialpool.models.populations.estimated import EstimatedPopulation
from partialpool.models.populations.fitted import FittedPopulation

_ROLES = {"p": "trials", "rate": "exposure"}


def name_response_scale(model: LatentModel) -> str:
    """Return what a group is on the response's scale and of what: 'p (bought = yes)', 'rate (accidents / km)'."""
    quantity, response = name_quantity(model), name_response(model)
    measured = model.design.measurements
    if quantity == "p" and measured.sizes is None:
        return f"p ({response} = {measured.classes[1] if measured.classes else 1})"
    if measured.sizes is None or quantity not in _ROLES or (quantity == "rate" and np.all(measured.sizes == 1.0)):
        return f"{quantity} ({response})"
    return f"{quantity} ({response} / {_name_sizes(model, _ROLES[quantity])})"


def name_linear_scale(model: LatentModel) -> str:
    """Return what the linear predictor is: 'logit p', 'log rate'; the mean itself under the identity link."""
    link, quantity = model.family.link, name_quantity(model)
    return quantity if link == "identity" else f"{link} {quantity}"


def name_quantity(model: LatentModel) -> str:
    """Return 'p', 'rate', 'mean', or 'median' of a lognormal response, whose mean the noise moves."""
    return "median" if model.family.name == "lognormal" else model.family.response_name


def name_response(model: LatentModel) -> str:
    """Return the response as the formula writes it, without backticks."""
    return model.design.formula.response.replace("`", "")


def describe_named(named: Family | Population | EstimatedPopulation) -> str:
    """Return a family's or population's name with what is fixed of it: 'student-t (nu = 4)'."""
    return _describe(named.name, _fixed(named))


def describe_population(model: LatentModel) -> str:
    """Return the population's name with what is fixed of it: 'beta', 'mixture (components = 2)'."""
    return _describe(model.population.name, _population_arguments(model))


def write_population(model: LatentModel) -> str:
    """Return the text that ``read_population`` takes: 'beta', 'student_t(nu=4.0)', 'mixture(components=2)'."""
    said = [f"{name}={value!r}" for name, value in _population_arguments(model).items()]
    return f"{model.population.name}({', '.join(said)})" if said else model.population.name


def _population_arguments(model: LatentModel) -> dict[str, float]:
    if not isinstance(model.population, FittedPopulation):
        return _fixed(model.population)
    components = sum(name.startswith("weight(") for name in model.space.names)
    return {"components": components} if components else {}


def _fixed(named: Family | Population | EstimatedPopulation) -> dict[str, float]:
    """Return the arguments that are numbers."""
    values = {field.name: getattr(named, field.name) for field in fields(named)}
    return {
        name: value for name, value in values.items() if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _describe(name: str, fixed: Mapping[str, float]) -> str:
    said = [f"{argument} = {print_number(float(value))}" for argument, value in fixed.items()]
    plain = name.replace("_", "-")
    return f"{plain} ({', '.join(said)})" if said else plain


def _name_sizes(model: LatentModel, role: str) -> str:
    """Return the column of trials or exposure, their number where it is the same in all rows, or the role's name."""
    column, sizes = model.design.roles.get(role), model.design.measurements.sizes
    if column:
        return column
    if sizes is not None and sizes.min() == sizes.max():
        return print_number(float(sizes[0]))
    return role
