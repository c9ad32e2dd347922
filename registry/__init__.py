"""Models on trial: what was tried, what the gate said, who serves, what the shadow ledger shows."""
