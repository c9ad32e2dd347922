"""The one simulator: whole-share orders at given prices become fills, costs and cash.

Backtest, RL environment and paper broker all settle through `settle`, so the same orders at the same prices give
the same cents in each. Amounts are int64 cents and prices int64 ticks of 0.0001 USD, both rounded half-even, so
nothing depends on the order of additions. The rules of one session:

1. Sales first, each at most what is held; an order without a price stays undone.
2. Then buys, the largest notional first (ties: lowest index), while cash above the floor lasts; a buy that the
   cash does not cover is cut to the whole shares that it does.
3. Fill price = open * (1 +- (half spread + impact_bps * sqrt(shares / depth))), the depth being the average volume or
   what `CostModel.depth` makes of it.
"""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import numpy.typing as npt
from numba import njit

from quant.costs import CostModel

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
TICKS_A_DOLLAR = 10_000
CENTS_A_DOLLAR = 100
_TICKS_A_CENT = 100


@njit(cache=True, error_model="numpy")
def _cents(quantity: int, ticks: int) -> int:
    """quantity * ticks (0.0001 USD) in cents, rounded half-even in integers."""
    total = quantity * ticks
    cents = total // _TICKS_A_CENT
    rest = total - cents * _TICKS_A_CENT
    if rest > _TICKS_A_CENT // 2 or (rest == _TICKS_A_CENT // 2 and cents % 2 == 1):
        cents += 1
    return cents


@njit(cache=True, error_model="numpy")
def _commission_cents(quantity: int, per_share_usd: float, minimum_usd: float) -> int:
    if quantity == 0:
        return 0
    return int(np.rint(max(quantity * per_share_usd, minimum_usd) * CENTS_A_DOLLAR))


@njit(cache=True, error_model="numpy")
def _fill_ticks(side: int, quantity: int, price: float, volume: float, half_spread: float, impact: float) -> int:
    slip = half_spread + (impact * np.sqrt(quantity / volume) if volume > 0.0 else 0.0)
    return max(int(np.rint(price * (1.0 + side * slip) * TICKS_A_DOLLAR)), 1)


@njit(cache=True, error_model="numpy")
def _price_orders(
    n: int,
    shares: Ints,
    orders: Ints,
    prices: Floats,
    volumes: Floats,
    costs: tuple[float, float, float, float],
    executed: Ints,
    fill_ticks: Ints,
    commission_cents: Ints,
) -> None:
    """What account n's orders would come to if cash were no matter; zeros where there is no trade.

    Sales are cut to what is held. No order looks at another, so the compiler takes several at once.
    """
    for k in range(shares.shape[1]):
        order = max(orders[n, k], -shares[n, k])
        traded = order if prices[n, k] > 0.0 else 0
        ticks = _fill_ticks(np.sign(traded), abs(traded), prices[n, k], volumes[n, k], costs[0], costs[1])
        commission = _commission_cents(abs(traded), costs[2], costs[3])
        executed[n, k] = traded
        fill_ticks[n, k] = ticks if traded != 0 else 0
        commission_cents[n, k] = commission


@njit(cache=True, error_model="numpy")
def _cut(wanted: int, ticks: int, spendable: int, costs: tuple[float, float, float, float]) -> int:
    """The most shares at `ticks`, `wanted` at most, that `spendable` cents cover with their commission."""
    quantity = min(wanted, max(spendable, 0) * _TICKS_A_CENT // ticks)
    while quantity > 0:
        over = _cents(quantity, ticks) + _commission_cents(quantity, costs[2], costs[3]) - spendable
        if over <= 0:
            return quantity
        quantity -= max(over * _TICKS_A_CENT // ticks, 1)
    return 0


@njit(cache=True, error_model="numpy")
def settle(
    cash_cents: Ints,
    shares: Ints,
    orders: Ints,
    prices: Floats,
    volumes: Floats,
    floor_cents: Ints,
    costs: tuple[float, float, float, float],
    executed: Ints,
    fill_ticks: Ints,
    commission_cents: Ints,
) -> None:
    """Settle one session of n accounts with k assets each, in place.

    cash_cents (n), shares (n, k) are updated. orders (n, k): wanted change in whole shares, negative = sell.
    prices (n, k) USD at the open, NaN or <= 0 = no trade; volumes (n, k) depths, <= 0 = no impact.
    costs = (half spread, impact, commission a share, least commission) as fractions and USD, see `cost_terms`.
    executed, fill_ticks, commission_cents (n, k) receive what happened.
    """
    accounts, assets = shares.shape
    notional = np.empty(assets)
    buys = np.empty(assets, dtype=np.int64)
    for n in range(accounts):
        _price_orders(n, shares, orders, prices, volumes, costs, executed, fill_ticks, commission_cents)
        count = 0
        for k in range(assets):
            traded = executed[n, k]
            if traded < 0:
                cash_cents[n] += _cents(-traded, fill_ticks[n, k]) - commission_cents[n, k]
                shares[n, k] += traded
            elif traded > 0:
                # Sorted in as they come: most sessions have few buys, and many accounts have none.
                worth = traded * prices[n, k]
                place = count
                while place > 0 and notional[place - 1] < worth:
                    buys[place] = buys[place - 1]
                    notional[place] = notional[place - 1]
                    place -= 1
                buys[place] = k
                notional[place] = worth
                count += 1
        for place in range(count):
            k = buys[place]
            ticks, quantity = fill_ticks[n, k], executed[n, k]
            spendable = cash_cents[n] - floor_cents[n]
            # A cent of room covers any rounding; a closer call is decided exactly.
            if quantity * ticks + (commission_cents[n, k] + 1) * _TICKS_A_CENT > spendable * _TICKS_A_CENT:
                quantity = _cut(quantity, ticks, spendable, costs)
                executed[n, k] = quantity
                if quantity == 0:
                    fill_ticks[n, k] = 0
                commission_cents[n, k] = _commission_cents(quantity, costs[2], costs[3])
            cash_cents[n] -= _cents(quantity, ticks) + commission_cents[n, k]
            shares[n, k] += quantity


@njit(cache=True, error_model="numpy")
def target_orders(
    value_cents: Ints, shares: Ints, weights: Floats, prices: Floats, trade_cents_min: int, orders: Ints
) -> None:
    """Whole-share orders (n, k) that bring `shares` to `weights` of `value_cents` at `prices`, rounding down.

    An asset without a price gets no order; neither does a change worth less than `trade_cents_min`, unless it
    closes the position.
    """
    accounts, assets = shares.shape
    for n in range(accounts):
        for k in range(assets):
            orders[n, k] = 0
            price = prices[n, k]
            if not price > 0.0:
                continue
            wanted = int(weights[n, k] * value_cents[n] / (price * CENTS_A_DOLLAR))
            change = wanted - shares[n, k]
            if abs(change) * price * CENTS_A_DOLLAR >= trade_cents_min or (wanted == 0 and change != 0):
                orders[n, k] = change


@njit(cache=True, error_model="numpy")
def worth_cents(shares: Ints, ticks: Floats) -> int:
    """Cents that `shares` (k) are worth at `ticks` (k; whole numbers, zero = worthless), each rounded half-even.

    In floating point, which takes several assets at once; exact while a holding is worth less than 9e11 USD.
    """
    total = 0
    for k in range(len(shares)):
        total += int(np.rint(shares[k] * ticks[k] / _TICKS_A_CENT))
    return total


@njit(cache=True, error_model="numpy")
def market_value(cash_cents: Ints, shares: Ints, prices: Floats, value_cents: Ints) -> None:
    """Cash plus shares at `prices` (n, k), each holding rounded to the cent; no price counts as worthless."""
    accounts, assets = shares.shape
    ticks = np.empty(assets)
    for n in range(accounts):
        for k in range(assets):
            ticks[k] = np.rint(prices[n, k] * TICKS_A_DOLLAR) if prices[n, k] > 0.0 else 0.0
        value_cents[n] = cash_cents[n] + worth_cents(shares[n], ticks)


def cost_terms(costs: CostModel) -> tuple[float, float, float, float]:
    """The cost model as the kernel takes it."""
    return (
        costs.half_spread_bps / 10_000,
        costs.impact_bps / 10_000,
        costs.commission_usd_per_share,
        costs.commission_usd_min,
    )


@dataclass(frozen=True)
class Settlement:
    """One order's outcome in money: signed shares, price, commission, and what spread and impact cost."""

    executed: int
    price: Decimal
    notional_usd: Decimal
    commission_usd: Decimal
    spread_cost_usd: Decimal
    impact_cost_usd: Decimal


def settle_account(
    *,
    cash_usd: Decimal,
    shares: list[int],
    orders: list[int],
    prices: list[Decimal | None],
    volumes: list[float],
    floor_usd: Decimal,
    costs: CostModel,
    volatilities: list[float] | None = None,
) -> tuple[Decimal, list[Settlement]]:
    """Settle one account's session in Decimals; returns cash after it and one outcome per order, in order.

    The Decimal door to `settle`. `prices` are opens (None: no trade), `volumes` average daily shares, `volatilities`
    deviations of daily returns, for costs that take them.
    """
    cash = np.array([_to_cents(cash_usd)], dtype=np.int64)
    held = np.array([shares], dtype=np.int64).reshape(1, -1)
    wanted = np.array([orders], dtype=np.int64).reshape(1, -1)
    opens = np.array([[np.nan if p is None else float(p) for p in prices]], dtype=np.float64).reshape(1, -1)
    moves = None if volatilities is None else np.array(volatilities, dtype=np.float64)
    average = costs.depth(np.array(volumes, dtype=np.float64), moves).reshape(1, -1)
    executed, ticks, commission = (np.zeros_like(held) for _ in range(3))
    floor = np.array([_to_cents(floor_usd)], dtype=np.int64)
    settle(cash, held, wanted, opens, average, floor, cost_terms(costs), executed, ticks, commission)
    outcomes = [
        _settlement(int(executed[0, k]), int(ticks[0, k]), int(commission[0, k]), prices[k], costs)
        for k in range(held.shape[1])
    ]
    return _from_cents(int(cash[0])), outcomes


def _settlement(executed: int, ticks: int, commission: int, market: Decimal | None, costs: CostModel) -> Settlement:
    quantity = abs(executed)
    if quantity == 0 or market is None:
        zero = Decimal("0.00")
        return Settlement(0, Decimal(0), zero, zero, zero, zero)
    price = Decimal(ticks) / TICKS_A_DOLLAR
    slip = abs(price - market) * quantity
    spread = min(slip, market * quantity * Decimal(str(costs.half_spread_bps)) / 10_000)
    spread_usd = spread.quantize(Decimal("0.01"))
    return Settlement(
        executed=executed,
        price=price,
        notional_usd=_from_cents(_cents(quantity, ticks)),
        commission_usd=_from_cents(commission),
        spread_cost_usd=spread_usd,
        impact_cost_usd=max(slip.quantize(Decimal("0.01")) - spread_usd, Decimal("0.00")),
    )


def _to_cents(amount: Decimal) -> int:
    cents = amount * CENTS_A_DOLLAR
    assert cents == cents.to_integral_value(), f"{amount} USD is not a whole number of cents"
    return int(cents)


def _from_cents(cents: int) -> Decimal:
    return Decimal(cents) / CENTS_A_DOLLAR
