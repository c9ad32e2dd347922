"""Floor 7, a specialist: XGBoost screeners, from label to stored score."""
