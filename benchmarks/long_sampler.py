"""A long sampler of ordinary models that shares nothing with the package but the model and its printed priors.

Many chains side by side, each sweep in five steps: coefficients and all effects together, given their standard
deviations (a normal draw where the likelihood is Gaussian; Metropolis steps about the conditional mode elsewhere);
sigma, shape or nu by slices; each factor's covariance by slices given the effects; and again given the *standardised*
effects, which mixes where a standard deviation is near 0. Student-t rows are normal with weights of their own.

Source: Neal (2003), Annals of Statistics 31:705-767 (slices); Yu and Meng (2011), J. Computational and Graphical
Statistics 20:531-570 (both sets of effects in turn); Cotter et al. (2013), Statistical Science 28:424-446 (Metropolis
steps that leave a normal law unchanged).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from long_sampler_model import Block, SampledModel, row_log_density, row_slopes
from slice_steps import slice_step

FloatArray = NDArray[np.float64]

_CHAINS = 128
_BURN_IN = 200
_BATCH = 200
# Metropolis steps of each sweep keep this much of the distance from the mode.
_KEPT = (0.0, 0.6, 0.9, 0.0, 0.6, 0.97)
# Random walks after them, in sds over the root of the dimension: where a tail is wider than the normal law's, a chain
# that is there would not leave it by the steps above.
_WALKS = (2.0, 1.0, 0.3)


class Chains(NamedTuple):
    """Draws (sweep, chain, parameter) of the parameters named, in the formula's units."""

    names: tuple[str, ...]
    draws: FloatArray


class _State:
    """Where all chains are; every array has the chain as an axis."""

    def __init__(self, model: SampledModel, rng: np.random.Generator) -> None:
        self.coordinates = [
            np.concatenate(
                [rng.uniform(-3.0, 1.0, (block.order, _CHAINS)), rng.uniform(-1.0, 1.0, (block.n_pairs, _CHAINS))]
            )
            for block in model.blocks
        ]
        self.dispersion = {name: rng.uniform(-1.0, 1.0, _CHAINS) + start for name, start in model.dispersion_starts}
        self.white = np.zeros((_CHAINS, model.n_columns))
        self.white[:, model.n_fixed :] = 0.1 * rng.standard_normal((_CHAINS, model.n_columns - model.n_fixed))
        self.mode = np.zeros((_CHAINS, model.n_columns))
        self.weights: FloatArray | None = None


def sample_model(
    model: SampledModel, seed: int, seconds: float, is_enough: Callable[[Chains], bool] = lambda chains: False
) -> Chains:
    """Sample until ``is_enough`` of the chains or ``seconds`` of processor time are used."""
    rng = np.random.default_rng([seed, 5])
    state = _State(model, rng)
    start = time.process_time()
    for _ in range(_BURN_IN):
        _sweep(model, state, rng)
    kept: list[FloatArray] = []
    while True:
        for _ in range(_BATCH):
            kept.append(_sweep(model, state, rng))
        chains = Chains(model.names, np.array(kept))
        if time.process_time() - start > seconds or (len(kept) >= 2 * _BATCH and is_enough(chains)):
            return chains


def _sweep(model: SampledModel, state: _State, rng: np.random.Generator) -> FloatArray:
    """Move every chain once; return its parameters (chain, parameter)."""
    roots = [block.root(at) for block, at in zip(model.blocks, state.coordinates, strict=True)]
    if model.is_normal:
        _draw_columns(model, state, roots, rng)
    else:
        _move_columns(model, state, roots, rng)
    natural = _colour(model, state.white, roots)
    linear = natural @ model.columns.T
    _move_dispersion(model, state, linear, rng)
    for k, block in enumerate(model.blocks):
        effects = natural[:, block.place].reshape(_CHAINS, block.order, block.n_levels)
        _move_given_effects(block, state.coordinates[k], effects, rng)
        state.white[:, block.place] = np.linalg.solve(block.root(state.coordinates[k]), effects).reshape(_CHAINS, -1)
    found = model.report(natural, state.coordinates, state.dispersion)
    if model.is_normal:
        _move_given_white_normal(model, state, rng)
    else:
        _move_given_white(model, state, linear, rng)
    return found


def _colour(model: SampledModel, white: FloatArray, roots: list[FloatArray]) -> FloatArray:
    """Return coefficients and effects (chain, column) from standardised effects."""
    natural = white.copy()
    for block, root in zip(model.blocks, roots, strict=True):
        natural[:, block.place] = (root @ white[:, block.place].reshape(_CHAINS, block.order, -1)).reshape(_CHAINS, -1)
    return natural


def _whiten_rows(model: SampledModel, sides: FloatArray, roots: list[FloatArray]) -> FloatArray:
    """Return root' times what belongs to natural columns, (chain, column, ...)."""
    out = sides.copy()
    for block, root in zip(model.blocks, roots, strict=True):
        part = sides[:, block.place].reshape(_CHAINS, block.order, -1)
        out[:, block.place] = (root.transpose(0, 2, 1) @ part).reshape(out[:, block.place].shape)
    return out


def _precision(model: SampledModel, gram: FloatArray, roots: list[FloatArray]) -> FloatArray:
    """Return the precision (chain, column, column) of coefficients and standardised effects."""
    gram = np.broadcast_to(gram, (_CHAINS, *gram.shape[-2:]))
    half = _whiten_rows(model, gram, roots)
    precision = _whiten_rows(model, np.ascontiguousarray(half.transpose(0, 2, 1)), roots)
    return precision + model.prior_precision


def _gram(model: SampledModel, weights: FloatArray) -> FloatArray:
    return (model.columns.T * weights[:, None, :]) @ model.columns


def _draw_columns(model: SampledModel, state: _State, roots: list[FloatArray], rng: np.random.Generator) -> None:
    """Draw all coefficients and effects from their normal law: data and prior are perturbed, then solved for."""
    weight = np.exp(-2.0 * state.dispersion["sigma"])[:, None]
    rows = weight * (state.weights if state.weights is not None else np.ones((1, len(model.response))))
    gram = model.gram * weight[:, :, None] if state.weights is None else _gram(model, rows)
    noisy = rows * model.response + np.sqrt(rows) * rng.standard_normal((_CHAINS, len(model.response)))
    side = _whiten_rows(model, noisy @ model.columns, roots) + model.prior_side
    side += rng.standard_normal((_CHAINS, model.n_columns)) @ model.prior_root.T
    state.white = np.linalg.solve(_precision(model, gram, roots), side[:, :, None])[:, :, 0]


def _move_columns(model: SampledModel, state: _State, roots: list[FloatArray], rng: np.random.Generator) -> None:
    """Metropolis steps about the conditional mode, each leaving the normal law of its curvature unchanged."""
    mode, precision = _find_mode(model, state, roots)
    noise = rng.standard_normal((_CHAINS, model.n_columns, len(_KEPT) + len(_WALKS)))
    noise = np.linalg.solve(np.linalg.cholesky(precision).transpose(0, 2, 1), noise)

    def log_weight(white: FloatArray) -> FloatArray:
        off = white - mode
        return _log_joint(model, state, white, roots) + 0.5 * np.einsum("ci,cij,cj->c", off, precision, off)

    now = log_weight(state.white)
    for k, kept in enumerate(_KEPT):
        proposed = mode + kept * (state.white - mode) + np.sqrt(1.0 - kept**2) * noise[:, :, k]
        _accept(state.white, now, proposed, log_weight(proposed), rng)
    now = _log_joint(model, state, state.white, roots)
    for k, scale in enumerate(_WALKS, start=len(_KEPT)):
        proposed = state.white + scale / np.sqrt(model.n_columns) * noise[:, :, k]
        _accept(state.white, now, proposed, _log_joint(model, state, proposed, roots), rng)


def _accept(
    white: FloatArray, now: FloatArray, proposed: FloatArray, new: FloatArray, rng: np.random.Generator
) -> None:
    moved = np.log(rng.random(_CHAINS)) < new - now
    white[moved], now[moved] = proposed[moved], new[moved]


def _log_joint(model: SampledModel, state: _State, white: FloatArray, roots: list[FloatArray]) -> FloatArray:
    """Return the log density (chain,) of rows, coefficients and standardised effects."""
    rows = row_log_density(model, _colour(model, white, roots) @ model.columns.T, state.dispersion).sum(axis=1)
    return np.asarray(rows + (white * (model.prior_side - 0.5 * (white @ model.prior_precision))).sum(axis=1))


def _find_mode(model: SampledModel, state: _State, roots: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Return the conditional mode (chain, column) of standardised columns and the precision there, by Newton steps that
    are halved until they climb; they start where the last mode's linear predictor was, and end where any start ends."""
    mode = state.mode.copy()
    for block, root in zip(model.blocks, roots, strict=True):
        effects = state.mode[:, block.place].reshape(_CHAINS, block.order, -1)
        mode[:, block.place] = np.linalg.solve(root, effects).reshape(_CHAINS, -1)
    height = _log_joint(model, state, mode, roots)
    for _ in range(50):
        slope, curvature = row_slopes(model, _colour(model, mode, roots) @ model.columns.T, state.dispersion)
        precision = _precision(model, _gram(model, curvature), roots)
        side = _whiten_rows(model, slope @ model.columns, roots) + model.prior_side - mode @ model.prior_precision
        step = np.linalg.solve(precision, side[:, :, None])[:, :, 0]
        if np.abs(step).max() < 1e-6:
            break
        for _ in range(10):
            with np.errstate(over="ignore", invalid="ignore"):
                reached = _log_joint(model, state, mode + step, roots)
            short = ~(reached >= height - 1e-9)
            if not short.any():
                break
            step[short] *= 0.5
        mode, height = mode + step, reached
    state.mode = _colour(model, mode, roots)
    return mode, precision


def _move_dispersion(model: SampledModel, state: _State, linear: FloatArray, rng: np.random.Generator) -> None:
    """Slices of log sigma, log shape, log nu given the linear predictor; then the weights of Student-t rows."""
    for name in state.dispersion:

        def log_density(at: FloatArray, name: str = name) -> FloatArray:
            rows = row_log_density(model, linear, {**state.dispersion, name: at})
            return rows.sum(axis=1) + model.log_dispersion_prior(name, at)

        state.dispersion[name] = slice_step(log_density, state.dispersion[name], 1.0, rng)
    if "nu" in state.dispersion:
        nu = np.exp(state.dispersion["nu"])[:, None]
        square = (model.response - linear) ** 2 * np.exp(-2.0 * state.dispersion["sigma"])[:, None]
        state.weights = rng.gamma(0.5 * (nu + 1.0), 2.0 / (nu + square))


def _move_given_effects(block: Block, at: FloatArray, effects: FloatArray, rng: np.random.Generator) -> None:
    """Slices of a factor's covariance given its effects (chain, effect, level), through their scatter alone."""
    scatter = effects @ effects.transpose(0, 2, 1)

    def log_density(coordinates: FloatArray) -> FloatArray:
        inverse = np.linalg.inv(block.root(coordinates))
        square = ((inverse @ scatter) * inverse).sum(axis=(1, 2))
        return block.log_prior(coordinates) - block.n_levels * coordinates[: block.order].sum(axis=0) - 0.5 * square

    _slice_all(log_density, at, rng)


def _slice_all(log_density: Any, at: FloatArray, rng: np.random.Generator) -> None:
    for k in rng.permutation(len(at)):

        def along(value: FloatArray, k: int = k) -> FloatArray:
            moved = at.copy()
            moved[k] = value
            return np.asarray(log_density(moved))

        at[k] = slice_step(along, at[k], 2.0, rng)


def _move_given_white_normal(model: SampledModel, state: _State, rng: np.random.Generator) -> None:
    """Slices of every covariance given standardised effects, coefficients integrated out: rows are linear in roots."""
    weight = np.exp(-2.0 * state.dispersion["sigma"])[:, None]
    rows = weight * (state.weights if state.weights is not None else np.ones((1, len(model.response))))
    parts = [np.broadcast_to(model.columns[:, : model.n_fixed].T, (_CHAINS, model.n_fixed, len(model.response)))]
    for block in model.blocks:
        white = state.white[:, block.place].reshape(_CHAINS, block.order, block.n_levels)[:, :, block.codes]
        parts += [(block.values[i] * white[:, j])[:, None] for i, j in block.entries]
    both = np.concatenate(parts, axis=1)
    weighted = both * rows[:, None, :]
    gram, side = weighted @ both.transpose(0, 2, 1), weighted @ model.response
    p = model.n_fixed
    fixed = gram[:, :p, :p] + model.prior_precision[:p, :p]
    carried = np.linalg.solve(fixed, gram[:, :p, p:]).transpose(0, 2, 1)
    square = gram[:, p:, p:] - carried @ gram[:, :p, p:]
    slope = side[:, p:] - (carried @ (side[:, :p] + model.prior_side[:p])[:, :, None])[:, :, 0]
    for k in range(len(model.blocks)):

        def log_density(coordinates: FloatArray, k: int = k) -> FloatArray:
            every = [*state.coordinates[:k], coordinates, *state.coordinates[k + 1 :]]
            entries = np.concatenate([b.root_entries(at) for b, at in zip(model.blocks, every, strict=True)]).T
            bent = (square @ entries[:, :, None])[:, :, 0]
            return ((slope - 0.5 * bent) * entries).sum(axis=1) + model.blocks[k].log_prior(coordinates)

        _slice_all(log_density, state.coordinates[k], rng)


def _move_given_white(model: SampledModel, state: _State, linear: FloatArray, rng: np.random.Generator) -> None:
    """The same by the rows' own densities, coefficients held."""
    for k, block in enumerate(model.blocks):
        white = state.white[:, block.place].reshape(_CHAINS, block.order, block.n_levels)

        def predict(coordinates: FloatArray, block: Block = block, white: FloatArray = white) -> FloatArray:
            effects = block.root(coordinates) @ white
            return np.asarray(np.einsum("in,cin->cn", block.values, effects[:, :, block.codes]))

        rest = linear - predict(state.coordinates[k])

        def log_density(coordinates: FloatArray, k: int = k, rest: FloatArray = rest, predict: Any = predict) -> Any:
            rows = row_log_density(model, rest + predict(coordinates), state.dispersion)
            return rows.sum(axis=1) + model.blocks[k].log_prior(coordinates)

        _slice_all(log_density, state.coordinates[k], rng)
        linear = rest + predict(state.coordinates[k])


def split_rhat(draws: FloatArray) -> float:
    """Return the larger R-hat of ranks and of ranks of distances from the median, chains (sweep, chain) in halves.

    Source: Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021), Bayesian Analysis 16:667-718.
    """
    half = len(draws) // 2
    halves = np.concatenate([draws[:half], draws[half : 2 * half]], axis=1)
    found = []
    for values in (halves, np.abs(halves - np.median(halves))):
        ranks = np.argsort(np.argsort(values.ravel())).reshape(values.shape) + 1.0
        z = special.ndtri((ranks - 0.375) / (ranks.size + 0.25))
        within = z.var(axis=0, ddof=1).mean()
        found.append(np.sqrt((half - 1.0) / half + z.mean(axis=0).var(ddof=1) / within))
    return float(max(found))


def quantile_with_error(draws: FloatArray, probability: float) -> tuple[float, float, float]:
    """Return a quantile of chains (sweep, chain), its standard error, and the effective size.

    Chains are independent, so that the spread of their shares below the quantile is the share's standard error, which
    the distance of neighbouring quantiles turns into the quantile's.
    """
    value = np.quantile(draws, probability)
    shares = (draws <= value).mean(axis=0)
    error = shares.std(ddof=1) / np.sqrt(draws.shape[1])
    around = np.quantile(draws, np.clip([probability - 2 * error, probability + 2 * error], 0.0, 1.0))
    return float(value), float((around[1] - around[0]) / 4.0), float(probability * (1 - probability) / error**2)
