"""Kernels that have the simulator compiled into them must be rebuilt with it."""

from hashlib import sha256
from pathlib import Path

import pytest

import quant.backtest
import rl_trading.dynamics


@pytest.mark.parametrize("builder", [quant.backtest.SIMULATOR_SHA256, rl_trading.dynamics.SIMULATOR_SHA256])
def test_builders_name_the_simulator_of_today(builder: str, repository: Path) -> None:
    """It happened: the simulator changed, and cached back-tests went on with the one before, cents apart."""
    today = sha256((repository / "quant" / "simulator.py").read_bytes()).hexdigest()
    assert builder == today[:16], (
        f'write SIMULATOR_SHA256 = "{today[:16]}" into quant/backtest.py and rl_trading/dynamics.py'
    )
