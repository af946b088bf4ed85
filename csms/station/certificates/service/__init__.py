"""B10: what is done about certificates."""
