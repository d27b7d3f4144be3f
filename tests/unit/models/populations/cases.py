"""Populations with parameter values, typical and extreme."""

import numpy as np

from partialpool.models.populations.beta import BetaPopulation
from partialpool.models.populations.gamma import ExponentialPopulation, GammaPopulation
from partialpool.models.populations.lognormal import LognormalPopulation
from partialpool.models.populations.normal import NormalPopulation
from partialpool.models.populations.skew_normal import SkewNormalPopulation
from partialpool.models.populations.student_t import StudentTPopulation

SHAPES = [
    (2.0, 3.0),
    (0.5, 0.5),
    (1.0, 1.0),
    (1e-3, 1e-3),
    (1e-3, 2.0),
    (3.0, 1e-3),
    (40.0, 3e5),
    (1e-3, 1e12),
    (1e12, 1e-3),
    (1e12, 1.0),
    (4e11, 6e11),
    (15.9, 16.1),
]
CASES = [
    *[(NormalPopulation(), (sd,)) for sd in (1e-6, 0.7, 1e6)],
    *[(StudentTPopulation(), (sd, nu)) for sd in (1e-6, 1.3) for nu in (0.3, 1.0, 2.5, 7.0, 31.9, 1e3, 1e8, 1e13)],
    *[(StudentTPopulation(nu), (0.4,)) for nu in (1.0, 4.0)],
    *[(SkewNormalPopulation(), (sd, a)) for sd in (1e-5, 2.0) for a in (0.0, 0.3, 1.0, -5.0, 60.0, -1e4, 1e9)],
    *[(LognormalPopulation(), values) for values in ((0.03, 0.5), (5.0, 1e-5), (1.0, 4.0))],
    *[(ExponentialPopulation(), (mean,)) for mean in (1e-5, 1.0, 300.0)],
    *[(GammaPopulation(), shapes) for shapes in SHAPES],
    *[(BetaPopulation(), shapes) for shapes in SHAPES],
]


def name_case(case):
    population, values = case
    return f"{population.name}({', '.join(f'{value:g}' for value in values)})"


NAMES = [name_case(case) for case in CASES]


def arrays(values):
    return tuple(np.array(value, dtype=float) for value in values)


def grid(population, values, log_drop=40.0, step=0.1):
    """Return points of the population's own grid over its window, with their trapezoid weights."""
    values = arrays(values)
    centre, scale = population.location_scale(values)
    bend = population.stretch(values)
    ends = [(end - centre) / scale for end in population.window(values, log_drop)]
    if bend > 0:
        ends = [np.arcsinh(bend * end) / bend for end in ends]
    z = np.arange(np.floor(ends[0] / step), np.ceil(ends[1] / step) + 1) * step
    t = centre + scale * (np.sinh(bend * z) / bend if bend > 0 else z)
    return t, step * scale * np.cosh(bend * z)
