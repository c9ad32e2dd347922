"""Floor 1: the only SQL of the platform."""
