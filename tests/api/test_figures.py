"""Figures on the wire: decimal text, no exponent, no binary fraction."""

import re
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from api.schemas.figures import Dollars, Fraction, PriceUsd, Shares


def written(kind: Any, value: str) -> str:
    """The JSON of a figure."""
    adapter: TypeAdapter[Decimal] = TypeAdapter(kind)
    return adapter.dump_json(Decimal(value)).decode()


class TestFigures:
    def test_as_people_read_them(self) -> None:
        assert written(Dollars, "8910.530000000000") == '"8910.53"'
        assert written(Shares, "41.000000") == '"41"'
        assert written(Fraction, "0E-8") == '"0"'
        assert written(Fraction, "0.00891053") == '"0.00891053"'
        assert written(Fraction, "1E-7") == '"0.0000001"'
        assert written(PriceUsd, "217.300000") == '"217.30"'
        assert written(PriceUsd, "116.712500") == '"116.7125"'
        assert written(PriceUsd, "40") == '"40.00"'

    def test_nothing_stays_nothing(self) -> None:
        adapter: TypeAdapter[Decimal | None] = TypeAdapter(Dollars | None)
        assert adapter.dump_json(None) == b"null"

    @given(st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12))
    def test_plain_text_is_the_number(self, value: Decimal) -> None:
        text = written(Fraction, str(value)).strip('"')
        assert Decimal(text) == value
        assert re.fullmatch(r"-?(0|[1-9]\d*)(\.\d*[1-9])?", text), text
