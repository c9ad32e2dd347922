"""The kinds of arrays that features are made of; all have one dimension."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
# Whole days since 1970-01-01.
Days = npt.NDArray[np.int64]
