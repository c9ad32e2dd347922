"""From targets to trades: hand-worked cases, and what holds for any book."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.money import money
from trading.generate import CUSHION, Book, Trade, generate_trades

COSTS = Decimal("0.001")
D = Decimal


def make_book(**options: Any) -> Book:
    """100,000 USD, two stocks at 100 USD, 5 % cash floor, 0.5 % drift, 500 USD least trade."""
    return Book(
        **{
            "cash_usd": D(100_000),
            "holdings": {},
            "prices": {1: D(100), 2: D(100)},
            "targets": {},
            "cash_weight_min": D("0.05"),
            "drift_threshold": D("0.005"),
            "trade_usd_min": D(500),
            **options,
        }
    )


def sides(trades: list[Trade]) -> dict[int, tuple[str, int]]:
    return {trade.instrument_id: (trade.side, int(trade.quantity)) for trade in trades}


class TestGenerateTrades:
    def test_buys_whole_shares_rounded_down(self) -> None:
        trades = generate_trades(make_book(targets={1: D("0.3"), 2: D("0.2")}, prices={1: D("99"), 2: D("7")}))
        assert sides(trades) == {1: ("buy", 303), 2: ("buy", 2857)}

    def test_no_trade_inside_the_drift_threshold(self) -> None:
        book = make_book(cash_usd=D(70_000), holdings={1: D(300)}, targets={1: D("0.3049")})
        assert generate_trades(book) == []

    def test_trades_outside_it_go_to_the_target(self) -> None:
        book = make_book(cash_usd=D(70_000), holdings={1: D(300)}, targets={1: D("0.32")})
        assert sides(generate_trades(book)) == {1: ("buy", 20)}

    def test_target_that_fell_a_little_is_kept(self) -> None:
        book = make_book(cash_usd=D(70_000), holdings={1: D(300)}, targets={1: D("0.296")})
        assert generate_trades(book) == []

    def test_a_fraction_stays_when_the_rest_is_sold(self) -> None:
        book = make_book(cash_usd=D(98_950), holdings={1: D("10.5")}, restricted={1: "ticker X"})
        (trade,) = generate_trades(book)
        assert (trade.side, trade.quantity) == ("sell", D(10))
        assert generate_trades(make_book(cash_usd=D(99_950), holdings={1: D("0.5")})) == []

    def test_what_left_the_target_is_sold_whole_however_small(self) -> None:
        book = make_book(cash_usd=D(99_900), holdings={1: D(1)}, targets={})
        (trade,) = generate_trades(book)
        assert (trade.side, trade.quantity, trade.weight_after) == ("sell", D(1), D(0))
        assert "no longer in the target" in trade.reason

    def test_restricted_stock_is_sold_whole_and_not_bought(self) -> None:
        book = make_book(
            cash_usd=D(50_000),
            holdings={1: D(500)},
            targets={1: D("0.5"), 2: D("0.3")},
            restricted={1: "ticker AAA", 2: "sector Energy"},
        )
        assert sides(generate_trades(book)) == {1: ("sell", 500)}

    def test_least_trade_is_kept_for_changes(self) -> None:
        book = make_book(targets={1: D("0.0049"), 2: D("0.0051")}, drift_threshold=D("0.001"))
        assert sides(generate_trades(book)) == {2: ("buy", 5)}
        assert sides(generate_trades(replace(book, trade_usd_min=D(400)))) == {1: ("buy", 4), 2: ("buy", 5)}

    def test_sales_come_before_buys_and_pay_for_them(self) -> None:
        book = make_book(cash_usd=D(10_000), holdings={1: D(900)}, targets={2: D("0.9")})
        trades = generate_trades(book)
        assert [trade.side for trade in trades] == ["sell", "buy"]
        assert trades[1].quantity > 880

    def test_buys_shrink_together_when_cash_is_short(self) -> None:
        book = make_book(targets={1: D("0.6"), 2: D("0.4")})
        found = sides(generate_trades(book))
        assert found[1][1] + found[2][1] < 950
        assert abs(found[1][1] / found[2][1] - 1.5) < 0.02

    def test_cash_under_the_floor_is_raised_from_the_most_overweight(self) -> None:
        book = make_book(cash_usd=D(1_000), holdings={1: D(520), 2: D(470)}, targets={1: D("0.48"), 2: D("0.47")})
        (trade,) = generate_trades(replace(book, drift_threshold=D("0.2")))
        assert (trade.instrument_id, trade.side) == (1, "sell")
        assert "raises cash" in trade.reason
        after = D(1_000) + trade.quantity * 100 * (1 - COSTS)
        assert after >= D("0.05") * 100_000

    def test_stock_with_an_order_under_way_is_left_alone(self) -> None:
        book = make_book(cash_usd=D(70_000), holdings={1: D(300)}, targets={2: D("0.3")}, frozen=frozenset({1, 2}))
        assert generate_trades(book) == []

    def test_reserved_cash_is_not_spent_twice(self) -> None:
        book = make_book(targets={1: D("0.9")}, reserved_usd=D(60_000), prices={1: D(1)})
        (trade,) = generate_trades(book)
        assert trade.quantity <= 35_000

    def test_no_price_no_trade(self) -> None:
        assert generate_trades(make_book(targets={3: D("0.3")})) == []

    def test_weights_tell_before_and_after(self) -> None:
        (trade,) = generate_trades(make_book(cash_usd=D(90_000), holdings={1: D(100)}, targets={1: D("0.2")}))
        assert (trade.weight_before, trade.weight_after) == (D("0.1"), D("0.2"))


@st.composite
def books(draw: st.DrawFn) -> Book:
    count = draw(st.integers(1, 12))
    prices = {key: D(draw(st.integers(100, 500_000))) / 100 for key in range(count)}
    holdings = {key: D(draw(st.integers(1, 3_000))) for key in range(count) if draw(st.booleans())}
    shares = [draw(st.integers(0, 100)) if draw(st.booleans()) else 0 for _ in range(count)]
    floor = D(draw(st.integers(0, 20))) / 100
    spread = (1 - floor) / max(sum(shares), 1)
    return Book(
        cash_usd=D(draw(st.integers(0, 300_000_000))) / 100,
        holdings=holdings,
        prices=prices,
        targets={key: share * spread for key, share in enumerate(shares) if share},
        cash_weight_min=floor,
        drift_threshold=D(draw(st.integers(0, 30))) / 1000,
        trade_usd_min=D(draw(st.sampled_from([0, 500, 5_000]))),
        restricted={key: "test" for key in range(count) if draw(st.integers(0, 9)) == 0},
        frozen=frozenset(key for key in range(count) if draw(st.integers(0, 9)) == 0),
    )


def after(book: Book, trades: list[Trade]) -> tuple[Decimal, dict[int, Decimal]]:
    """Cash and holdings when all trades happen at reference prices with costs."""
    cash, holdings = book.cash_usd, dict(book.holdings)
    for trade in trades:
        amount = trade.quantity * trade.reference_price
        signed = trade.quantity if trade.side == "buy" else -trade.quantity
        cash += -amount * (1 + COSTS) if signed > 0 else amount * (1 - COSTS)
        holdings[trade.instrument_id] = holdings.get(trade.instrument_id, D(0)) + signed
    return cash, holdings


class TestAnyBook:
    @settings(max_examples=150, deadline=None)
    @given(book=books())
    def test_sells_no_more_than_is_held(self, book: Book) -> None:
        _, holdings = after(book, generate_trades(book))
        assert min(holdings.values(), default=D(0)) >= 0

    @settings(max_examples=150, deadline=None)
    @given(book=books())
    def test_cash_floor_holds_or_no_one_buys(self, book: Book) -> None:
        trades = generate_trades(book)
        cash, _ = after(book, trades)
        floor = book.cash_weight_min * book.value_usd
        if any(trade.side == "buy" for trade in trades):
            assert cash >= floor
        else:
            assert cash >= min(floor, book.cash_usd)

    @settings(max_examples=150, deadline=None)
    @given(book=books())
    def test_cash_is_raised_to_the_floor_where_holdings_allow(self, book: Book) -> None:
        if book.frozen:
            return
        cash, holdings = after(book, generate_trades(book))
        assert cash >= book.cash_weight_min * book.value_usd or not any(holdings.values())

    @settings(max_examples=150, deadline=None)
    @given(book=books())
    def test_sales_precede_buys_and_no_stock_has_two_trades(self, book: Book) -> None:
        trades = generate_trades(book)
        assert [trade.side for trade in trades] == sorted((trade.side for trade in trades), reverse=True)
        assert len({trade.instrument_id for trade in trades}) == len(trades)

    @settings(max_examples=150, deadline=None)
    @given(book=books())
    def test_trades_are_whole_and_above_the_least(self, book: Book) -> None:
        for trade in generate_trades(book):
            assert trade.quantity > 0
            assert trade.quantity == trade.quantity.to_integral_value()
            whole = trade.side == "sell" and trade.quantity == book.holdings[trade.instrument_id]
            assert whole or trade.quantity * trade.reference_price >= book.trade_usd_min

    @settings(max_examples=150, deadline=None)
    @given(book=books())
    def test_frozen_and_restricted_are_never_bought(self, book: Book) -> None:
        for trade in generate_trades(book):
            assert trade.instrument_id not in book.frozen
            assert trade.side == "sell" or trade.instrument_id not in book.restricted

    @settings(max_examples=150, deadline=None)
    @given(book=books())
    def test_weight_never_moves_away_from_the_target_by_a_buy(self, book: Book) -> None:
        for trade in generate_trades(book):
            if trade.side == "buy":
                assert trade.weight_before < trade.weight_after
                assert trade.weight_after <= book.targets[trade.instrument_id] + D("0.00000001")

    @settings(max_examples=150, deadline=None)
    @given(book=books())
    def test_a_book_on_target_is_left_alone(self, book: Book) -> None:
        held = {key: quantity for key, quantity in book.holdings.items() if key not in book.restricted}
        cash = sum((money(held[key] * book.prices[key]) for key in held), D(0)) + D(1_000)
        on_target = replace(book, cash_usd=cash, holdings=held, cash_weight_min=D(0), targets={})
        weights = {key: held[key] * book.prices[key] / on_target.value_usd for key in held}
        drift = max(book.drift_threshold, D("0.0001"))
        assert generate_trades(replace(on_target, targets=weights, drift_threshold=drift)) == []

    @settings(max_examples=150, deadline=None)
    @given(book=books())
    def test_a_second_look_after_the_fills_wants_nothing_large(self, book: Book) -> None:
        """At unchanged prices the next night trades only what the cushion, rounding and least trade left over."""
        trades = generate_trades(book)
        cash, holdings = after(book, trades)
        held = {key: quantity for key, quantity in holdings.items() if quantity > 0}
        again = generate_trades(replace(book, cash_usd=money(cash), holdings=held))
        value = book.value_usd
        if value and not book.frozen:
            left = sum((t.quantity * t.reference_price for t in again if t.side == "buy"), D(0)) / value
            first = sum((t.quantity * t.reference_price for t in trades), D(0)) / value
            assert left <= first * D("0.01") + CUSHION + _share_sizes(book) / value


def _share_sizes(book: Book) -> Decimal:
    return sum((max(price, book.trade_usd_min) for price in book.prices.values()), D(0))


@pytest.mark.parametrize("cash", ["0", "-5"])
def test_a_worthless_book_trades_nothing(cash: str) -> None:
    assert generate_trades(make_book(cash_usd=D(cash), targets={1: D("0.5")})) == []
