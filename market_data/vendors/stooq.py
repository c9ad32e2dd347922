"""Stooq: the site's download, and the bulk archives of text files whose column names stand in angle brackets.

Prices are adjusted at the source; there is no second close. Any plain file of date, prices and volume reads as this.
"""

from market_data.vendor import Capabilities, Vendor

STOOQ = Vendor(
    name="stooq",
    title="Stooq",
    capabilities=Capabilities(split_adjusted=True, dividend_adjusted_close=False, symbol_column=True),
    columns={
        "symbol": ("ticker", "symbol"),
        "session_on": ("date",),
        "open": ("open",),
        "high": ("high",),
        "low": ("low",),
        "close": ("close",),
        "volume": ("vol", "volume"),
    },
    optional=frozenset({"symbol"}),
    symbol_suffix=".US",
)
