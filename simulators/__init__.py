"""The other side of the wire: simulated stations and load tests."""
