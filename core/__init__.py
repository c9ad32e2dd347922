"""Floor 0: the nouns, the clock, the settings and the errors. Imports nothing of ours."""
