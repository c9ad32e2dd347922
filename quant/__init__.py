"""Floor 6: maths over many securities: costs, simulation, splits, regimes, optimisers, statistics."""
