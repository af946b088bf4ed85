"""S15: what can be said of settings from values alone."""
