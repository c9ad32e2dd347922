"""The optimisers that may weigh a portfolio."""

from quant.optimiser import Optimiser
from quant.optimisers.equal_weight import EQUAL_WEIGHT
from quant.optimisers.inverse_volatility import INVERSE_VOLATILITY
from quant.optimisers.minimum_variance import MINIMUM_VARIANCE

OPTIMISERS: dict[str, Optimiser] = {
    optimiser.name: optimiser for optimiser in (EQUAL_WEIGHT, INVERSE_VOLATILITY, MINIMUM_VARIANCE)
}
