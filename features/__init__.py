"""Floor 4: what is measured of each stock on each day, from what was known on its evening."""
