"""The optimisers that may weigh a portfolio."""

from quant.optimiser import Optimiser
from quant.optimisers.equal_weight import EQUAL_WEIGHT
from quant.optimisers.hrp import HRP
from quant.optimisers.inverse_volatility import INVERSE_VOLATILITY
from quant.optimisers.maximum_sharpe import MAXIMUM_SHARPE
from quant.optimisers.minimum_variance import MINIMUM_VARIANCE
from quant.optimisers.risk_parity import RISK_PARITY

OPTIMISERS: dict[str, Optimiser] = {
    optimiser.name: optimiser
    for optimiser in (EQUAL_WEIGHT, INVERSE_VOLATILITY, MINIMUM_VARIANCE, MAXIMUM_SHARPE, RISK_PARITY, HRP)
}
