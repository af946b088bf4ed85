"""S9: making, ending and using reservations."""
