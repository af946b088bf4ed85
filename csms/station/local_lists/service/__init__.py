"""S27: keeping stations' lists true."""
