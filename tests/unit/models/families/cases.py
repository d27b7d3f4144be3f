"""Families with every link, each with rows of data, predictors in the link's range and dispersions."""

from dataclasses import dataclass, replace

import numpy as np

from partialpool.models.families import (
    Bernoulli,
    BetaBinomial,
    BetaFamily,
    Binomial,
    ExponentialFamily,
    Family,
    GammaFamily,
    Gaussian,
    LogNormal,
    NegativeBinomial,
    Poisson,
    ResponseColumns,
    StudentTFamily,
    ZeroInflatedNegativeBinomial,
    ZeroInflatedPoisson,
)

INF = np.inf


@dataclass(frozen=True)
class Case:
    """A family with rows (row,), predictors (row, point) and dispersions."""

    family: Family
    response: ResponseColumns
    eta: np.ndarray
    dispersion: tuple[float, ...] = ()

    def at(self, eta=None, dispersion=None):
        """Return eta (row, point), the response (row, 1) and the dispersions as arrays, as families take them."""
        dispersion = self.dispersion if dispersion is None else dispersion
        return (
            self.eta if eta is None else eta,
            self.response.expand(1),
            tuple(np.full((1, 1), value) for value in dispersion),
        )

    def density(self, eta=None, dispersion=None):
        return self.family.log_density(*self.at(eta, dispersion))

    def derivatives(self, eta=None, dispersion=None):
        return self.family.derivatives(*self.at(eta, dispersion))


def columns(values, sizes=1.0, **others):
    values = np.asarray(values, dtype=float)
    sizes = np.broadcast_to(np.asarray(sizes, dtype=float), values.shape).copy()
    others = {name: np.asarray(value) for name, value in others.items()}
    return ResponseColumns(values, sizes, **others)


def grid(low, high, n_rows, n=9):
    return np.broadcast_to(np.linspace(low, high, n), (n_rows, n)).copy()


SUCCESSES = columns([0, 3, 10, 1, 0, 40], [10, 10, 10, 1, 1, 50])
COUNTS = columns([0, 1, 7, 300, 0], [1, 2.5, 0.3, 100, 40])
POSITIVE = columns([0.01, 0.6, 1.0, 7.5, 120.0])
SHARES = columns([1e-6, 0.02, 0.5, 0.71, 0.9999])
REAL = columns([-3.0, 0.0, 0.4, 12.0])
KNOWN = columns([-3.0, 0.0, 0.4, 12.0], standard_errors=[0.5, 2.0, 1.0, 3.0])
LIMITED = columns(
    [-3.0, 0.2, 0.4, 2.0, 1.0, 1.5, 0.9],
    censoring=[0, -1, 1, 2, 0, 2, 1],
    upper=[-3.0, 0.2, 0.4, 2.001, 1.0, 4.0, 0.9],
    lower_limit=[-5.0, -INF, -1.0, 0.0, -INF, -INF, -INF],
    upper_limit=[INF, 3.0, 7.0, 8.0, 1.2, INF, INF],
)
LIMITED_POSITIVE = replace(
    LIMITED,
    values=np.array([0.3, 0.2, 0.4, 2.0, 1.0, 1.5, 0.9]),
    upper=np.array([0.3, 0.2, 0.4, 2.001, 1.0, 4.0, 0.9]),
    lower_limit=np.array([0.1, -INF, 0.0, 0.5, -1.0, 0.7, -INF]),
)
CENSORED = replace(LIMITED, lower_limit=None, upper_limit=None)
CENSORED_POSITIVE = replace(LIMITED_POSITIVE, lower_limit=None, upper_limit=None)

CASES = {
    **{f"binomial {link}": Case(Binomial(link), SUCCESSES, grid(-4, 2.5, 6)) for link in Binomial.links},
    **{f"bernoulli {link}": Case(Bernoulli(link), columns([0, 1]), grid(-6, 2, 2)) for link in Binomial.links},
    **{
        f"beta_binomial {link} {c:g}": Case(BetaBinomial(link), SUCCESSES, grid(-4, 2, 6), (c,))
        for link in BetaBinomial.links
        for c in (0.05, 3.0, 400.0)
    },
    **{
        f"beta {link} {phi:g}": Case(BetaFamily(link), SHARES, grid(-6, 2, 5), (phi,))
        for link in BetaFamily.links
        for phi in (0.3, 6.0, 400.0)
    },
    "poisson log": Case(Poisson(), COUNTS, grid(-5, 4, 5)),
    "poisson sqrt": Case(Poisson("sqrt"), COUNTS, grid(0.1, 9, 5)),
    "poisson identity": Case(Poisson("identity"), COUNTS, grid(0.1, 9, 5)),
    **{f"negative_binomial {s:g}": Case(NegativeBinomial(), COUNTS, grid(-5, 4, 5), (s,)) for s in (0.01, 2.0, 500.0)},
    "zero_inflated_poisson": Case(ZeroInflatedPoisson(), COUNTS, grid(-5, 4, 5), (0.3,)),
    "zero_inflated_poisson few": Case(ZeroInflatedPoisson(), COUNTS, grid(-5, 4, 5), (1e-6,)),
    "zero_inflated_poisson given": Case(ZeroInflatedPoisson(zero=0.2), COUNTS, grid(-5, 4, 5)),
    **{
        f"zero_inflated_negative_binomial {s:g}": Case(ZeroInflatedNegativeBinomial(), COUNTS, grid(-5, 4, 5), (s, 0.4))
        for s in (0.01, 2.0, 500.0)
    },
    **{
        f"gamma {link} {s:g}": Case(GammaFamily(link), POSITIVE, grid(0.2, 4, 5), (s,))
        for link in GammaFamily.links
        for s in (0.3, 9.0, 200.0)
    },
    "exponential": Case(ExponentialFamily(), columns([0.0, 0.5, 30.0, 8.0], [1, 1, 12, 0]), grid(-3, 4, 4)),
    "exponential censored": Case(ExponentialFamily(), CENSORED_POSITIVE, grid(-3, 4, 7)),
    "exponential limited": Case(ExponentialFamily(), LIMITED_POSITIVE, grid(-3, 4, 7)),
    "lognormal": Case(LogNormal(), POSITIVE, grid(-3, 5, 5), (0.7,)),
    "lognormal censored": Case(LogNormal(), CENSORED_POSITIVE, grid(-3, 4, 7), (0.7,)),
    "lognormal limited": Case(LogNormal(), LIMITED_POSITIVE, grid(-3, 4, 7), (0.7,)),
    "gaussian": Case(Gaussian(), REAL, grid(-8, 9, 4), (1.3,)),
    "gaussian known": Case(Gaussian(known_noise=True), KNOWN, grid(-8, 9, 4)),
    "gaussian log": Case(Gaussian("log"), REAL, grid(-3, 2.5, 4), (1.3,)),
    "gaussian censored": Case(Gaussian(), CENSORED, grid(-8, 9, 7), (1.3,)),
    "gaussian limited": Case(Gaussian(), LIMITED, grid(-8, 9, 7), (1.3,)),
    "gaussian log limited": Case(Gaussian("log"), LIMITED, grid(-3, 2.5, 7), (1.3,)),
    "gaussian known limited": Case(
        Gaussian(known_noise=True), replace(LIMITED, standard_errors=np.linspace(0.5, 2, 7)), grid(-8, 9, 7)
    ),
    "student_t": Case(StudentTFamily(), REAL, grid(-8, 9, 4), (1.3, 4.5)),
    "student_t near normal": Case(StudentTFamily(), REAL, grid(-8, 9, 4), (1.3, 800.0)),
    "student_t log": Case(StudentTFamily("log"), REAL, grid(-3, 2.5, 4), (1.3, 2.5)),
    "student_t nu": Case(StudentTFamily(nu=4.0), REAL, grid(-8, 9, 4), (1.3,)),
    "student_t known": Case(StudentTFamily(known_noise=True), KNOWN, grid(-8, 9, 4), (6.0,)),
    "student_t known nu": Case(StudentTFamily(known_noise=True, nu=3.0), KNOWN, grid(-8, 9, 4)),
}
