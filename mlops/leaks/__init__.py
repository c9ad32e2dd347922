"""The leak probes over the real decision path: a market to try it on, the path itself, the audit, its page."""
