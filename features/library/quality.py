"""How well and how safely the company earns. Novy-Marx (2013), JFE 108(1): gross profit to assets. Sloan (1996),
Accounting Review 71(3): accruals.
"""

from collections.abc import Callable

import numpy as np

from features.arrays import Floats
from features.facts import FACT_LAG_DAYS
from features.feature import StockFeature
from features.history import StockHistory


def _reported(
    name: str, inputs: tuple[str, ...], description: str, compute: Callable[[StockHistory], Floats]
) -> StockFeature:
    return StockFeature(
        name=name,
        group="quality",
        inputs=inputs,
        look_back=0,
        lag_days=FACT_LAG_DAYS,
        unit="fraction",
        description=description,
        compute=compute,
    )


def _share(name: str, part: str, whole: str, description: str) -> StockFeature:
    return _reported(name, (part, whole), description, lambda stock: stock.fact(part) / stock.fact(whole))


def _return_on_equity(stock: StockHistory) -> Floats:
    equity = stock.fact("total_equity")
    # On negative equity a loss would look like a profit.
    return stock.fact("net_income") / np.where(equity > 0.0, equity, np.nan)


def _accruals(stock: StockHistory) -> Floats:
    return (stock.fact("net_income") - stock.fact("net_cash_flow_operating")) / stock.fact("total_assets")


FEATURES = (
    _reported("return_on_equity", ("net_income", "total_equity"), "return on equity", _return_on_equity),
    _share("return_on_assets", "net_income", "total_assets", "return on assets"),
    _share("gross_margin", "gross_profit", "total_revenue", "gross margin"),
    _share("operating_margin", "operating_income", "total_revenue", "operating margin"),
    _share("gross_profitability", "gross_profit", "total_assets", "gross profit for the assets"),
    _share("leverage", "total_liabilities", "total_assets", "share of the assets that is owed"),
    _share("cash_to_assets", "cash_and_cash_equivalents", "total_assets", "cash for the assets"),
    _reported(
        "accruals",
        ("net_income", "net_cash_flow_operating", "total_assets"),
        "part of the earnings that is not cash, for the assets",
        _accruals,
    ),
)
