"""The queries, one file per word."""
