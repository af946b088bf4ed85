"""The core of the charging station management system; it knows no host (no socket, no HTTP server)."""

from importlib.metadata import version

__version__ = version("csms")
