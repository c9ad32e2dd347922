"""Yahoo Finance: the site's download and files written with yfinance.

Prices are split-adjusted. `history()` of yfinance with its default auto_adjust has no `Adj Close`: its close is
already adjusted for dividends, and stands in.
"""

from market_data.vendor import Capabilities, Vendor

YAHOO = Vendor(
    name="yahoo",
    title="Yahoo Finance",
    capabilities=Capabilities(split_adjusted=True, dividend_adjusted_close=True, symbol_column=False),
    columns={
        "symbol": ("symbol", "ticker"),
        "session_on": ("date", "datetime"),
        "open": ("open",),
        "high": ("high",),
        "low": ("low",),
        "close": ("close",),
        "adj_close": ("adj_close", "adjclose", "adjusted_close"),
        "volume": ("volume",),
    },
    optional=frozenset({"symbol", "adj_close"}),
    marks=("adj_close", "adjclose", "adjusted_close", "stock_splits"),
)
