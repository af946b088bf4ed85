"""F rows: what is about many stations at once."""
