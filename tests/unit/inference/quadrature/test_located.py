"""Roots of conditional covariances where rounding leaves no positive definite curvature."""

from __future__ import annotations

import numpy as np
import pytest

from partialpool.inference.quadrature.located import _covariance_root


@pytest.mark.parametrize("concave", [True, False])
def test_curvatures_that_rounding_spoils_have_a_root(concave: bool) -> None:
    """A Poisson fit of weak data with slopes ended in numpy's own error: one far node has rates of 1e20."""
    curvatures = np.array(
        [
            [[1e20, 1e20 * (1 + 1e-16)], [1e20 * (1 + 1e-16), 1e20]],
            [[np.inf, 0.0], [0.0, 1.0]],
            [[np.nan, 0.0], [0.0, 1.0]],
            [[4.0, 1.0], [1.0, 2.0]],
        ]
    )
    roots = _covariance_root(curvatures, concave)
    assert np.isfinite(roots).all()
    assert np.all(roots[:, 0, 1] == 0.0)
    np.testing.assert_allclose(roots[3] @ roots[3].T, np.linalg.inv(curvatures[3]), rtol=1e-12)
    np.testing.assert_allclose(roots[1], np.eye(2))
