"""The sample that ships with the project, and files written in the platform's own column names."""

from market_data.vendor import Capabilities, Vendor

SAMPLE = Vendor(
    name="sample",
    title="the platform's own layout",
    capabilities=Capabilities(split_adjusted=True, dividend_adjusted_close=True, symbol_column=True),
    columns={
        "symbol": ("symbol",),
        "session_on": ("session_on",),
        "open": ("open",),
        "high": ("high",),
        "low": ("low",),
        "close": ("close",),
        "adj_close": ("adj_close",),
        "volume": ("volume",),
    },
)
