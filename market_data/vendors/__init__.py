"""The vendors whose files are recognised, in the order in which they are tried."""

from collections.abc import Mapping, Sequence

from core.errors import InputError, UnknownName
from market_data.vendor import Vendor
from market_data.vendors.alpha_vantage import ALPHA_VANTAGE
from market_data.vendors.sample import SAMPLE
from market_data.vendors.stooq import STOOQ
from market_data.vendors.yahoo import YAHOO

VENDORS: Mapping[str, Vendor] = {vendor.name: vendor for vendor in (SAMPLE, ALPHA_VANTAGE, YAHOO, STOOQ)}


def recognise(columns: Sequence[str], *, file_name: str, source: str | None) -> tuple[Vendor, dict[str, str]]:
    """The vendor whose layout `columns` is (only `source` is tried where given) and our column -> the file's."""
    if source is not None and source not in VENDORS:
        raise UnknownName("source", source, list(VENDORS))
    tried = [VENDORS[source]] if source is not None else list(VENDORS.values())
    for vendor in tried:
        matched = vendor.match(columns, named=source is not None)
        if matched is not None:
            return vendor, matched
    known = "; ".join(f"{vendor.name}: {vendor.describe()}" for vendor in tried)
    found = ", ".join(name[:40] for name in columns[:12]) or "none"
    raise InputError(f"{file_name}: columns not recognised; found: {found}; known: {known}")
