"""S15: reading, changing, comparing and sorting in settings."""
