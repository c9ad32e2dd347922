"""The brokers that an account may name."""

from trading.broker import Connect
from trading.brokers.paper import PaperBroker

BROKERS: dict[str, Connect] = {"paper": PaperBroker}
