"""Names that stand in paths and queries, with what they may be made of."""

from typing import Annotated

from fastapi import Path, Query

ModelName = Annotated[str, Path(max_length=64, pattern=r"^[a-z0-9_-]+$", examples=["screener-momentum_largecap"])]
StrategyName = Annotated[str, Path(max_length=32, pattern=r"^[a-z0-9_]+$", examples=["momentum_largecap"])]
StrategyFilter = Annotated[str | None, Query(max_length=32, pattern=r"^[a-z0-9_]+$", description="Of one strategy.")]
Symbol = Annotated[str, Path(max_length=16, pattern=r"^[A-Za-z0-9.^=-]+$", examples=["AAPL"])]
