"""S rows: one station and all about it, one folder each."""
