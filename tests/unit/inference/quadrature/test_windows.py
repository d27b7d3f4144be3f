"""Windows of integrands: what is found is right, and nodes that are done are left alone."""

import numpy as np
from scipy import stats

from partialpool.inference.quadrature.windows import place_windows


def test_only_nodes_that_need_it_are_looked_at_again() -> None:
    means, calls = np.array([0.0, 0.3, 300.0, -0.2]), np.zeros(4)
    sds = np.array([1.0, 1.0, 1e-6, 1.0])

    def integrand(t, nodes):
        calls[nodes] += t.shape[-1]
        return stats.norm.logpdf(t, means[nodes, None], sds[nodes, None])

    full = np.zeros((1, 4))
    window = place_windows(integrand, full, full + 1.0, full + 9.0, 20)
    assert calls[[0, 1, 3]].max() < 2 * 41 + 4 * 9
    assert calls[2] > calls[0] + 3 * 41
    assert np.all(np.abs(window.centre[0] - means) < sds)
    w = np.arange(-20.0, 21.0)
    t = window.values(w)
    mass = np.exp(stats.norm.logpdf(t, means[:, None], sds[:, None]) + window.log_spacing(w)).sum(axis=-1)
    np.testing.assert_allclose(mass, 1.0, rtol=1e-8)
