"""Market regimes."""

from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class RegimeOut(BaseModel):
    """What one detector said of one session."""

    model_config = ConfigDict(from_attributes=True)

    session_on: date
    detector: str
    label: str
    probabilities: dict[str, float] = Field(description="Smoothed; they sum to one.")
    drivers: Any
    detector_version: str
