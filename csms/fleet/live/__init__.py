"""F1: what changes (states, errors, charges, commands), pushed to open pages and API clients as it happens."""

NEEDS = ()
__all__: list[str] = []
