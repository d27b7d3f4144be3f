"""What the two scales of a latent fit are called, in the data's own words: "logit p", "p (purchases / visits)"."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from partialpool.inputs.levels import print_number
from partialpool.models.latent_model import LatentModel

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


def describe_arguments(named: Any) -> str:
    """Return a family's or population's name with what is fixed of it: 'student-t (nu = 4)', 'beta'."""
    values = {field.name: getattr(named, field.name) for field in fields(named)}
    fixed = [
        f"{name} = {print_number(float(value))}"
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    plain = str(named.name).replace("_", "-")
    return f"{plain} ({', '.join(fixed)})" if fixed else plain


def _name_sizes(model: LatentModel, role: str) -> str:
    """Return the column of trials or exposure, their number where it is the same in all rows, or the role's name."""
    column, sizes = model.design.roles.get(role), model.design.measurements.sizes
    if column:
        return column
    if sizes is not None and sizes.min() == sizes.max():
        return print_number(float(sizes[0]))
    return role
