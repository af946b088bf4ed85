"""P rows: organisations, access, audit, operation."""
