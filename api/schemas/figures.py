"""Figures as the API writes them: decimal text that any program reads, no exponent, no binary fraction."""

from decimal import Decimal
from typing import Annotated

from pydantic import PlainSerializer


def write_dollars(value: Decimal) -> str:
    """Dollars and cents: 8910.53."""
    return f"{value:.2f}"


def write_plain(value: Decimal) -> str:
    """All digits that say something: 41, 0.00891053."""
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def write_price(value: Decimal) -> str:
    """A price with its cents, and with its fractions of a cent where it has any: 217.30, 116.7125."""
    whole, _, digits = write_plain(value).partition(".")
    return f"{whole}.{digits:0<2}"


Dollars = Annotated[Decimal, PlainSerializer(write_dollars, when_used="json")]
PriceUsd = Annotated[Decimal, PlainSerializer(write_price, when_used="json")]
Shares = Annotated[Decimal, PlainSerializer(write_plain, when_used="json")]
# Of one: 0.05 is five percent.
Fraction = Annotated[Decimal, PlainSerializer(write_plain, when_used="json")]
Figure = Annotated[Decimal, PlainSerializer(write_plain, when_used="json")]
