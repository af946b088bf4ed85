"""S15: what can be said of monitors and events from values alone."""
