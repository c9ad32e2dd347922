"""The pre-trade rules, in the order in which they are asked.

Rules that add up over the basket come after those that judge a proposal alone, and cash last: it counts only the
sales that every other rule lets pass.
"""

from trading.risk_rule import RiskRule
from trading.risk_rules import (
    cash_floor,
    halted,
    kill_switch,
    market_session,
    order_size,
    position_limit,
    restricted,
    sector_limit,
    stale_price,
    turnover,
)

RISK_RULES: dict[str, RiskRule] = {
    "kill_switch": kill_switch.judge,
    "halted": halted.judge,
    "market_session": market_session.judge,
    "stale_price": stale_price.judge,
    "restricted": restricted.judge,
    "order_size": order_size.judge,
    "position_limit": position_limit.judge,
    "sector_limit": sector_limit.judge,
    "turnover": turnover.judge,
    "cash_floor": cash_floor.judge,
}
