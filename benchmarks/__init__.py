"""One file per claim; each measures its peer in the same run. `make bench`, or `make bench B=bars` for one of them."""

# Every benchmark, by file name, in the order of the flow through the house.
BENCHMARKS: tuple[str, ...] = (
    "bars_load",
    "features",
    "screener",
    "screener_scale",
    "minimum_variance",
    "allocator",
    "ppo",
    "inference",
    "gate",
    "drift",
    "api",
)
