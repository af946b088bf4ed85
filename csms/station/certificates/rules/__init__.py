"""B10: what is decided about certificates from values alone."""
