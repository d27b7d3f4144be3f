"""Array types and the glossary of axes.

``row``: a line of data; ``group``: a level of a grouping factor; ``design_class``: groups that share one
design; ``coefficient``: a column of the population part; ``effect``: a coefficient that varies by group;
``node``: a point of hyperparameter space that carries a weight; ``draw``: a posterior draw.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

#: A log density over a batch of points: (node, dimension) -> (node,).
BatchLogDensity = Callable[[FloatArray], FloatArray]
