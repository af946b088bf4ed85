"""S15: setting monitors, sorting in what stations tell of them, and remembering their severities."""
