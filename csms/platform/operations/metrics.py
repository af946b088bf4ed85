"""P6: what the API counts, and how a process shows its numbers to Prometheus; no station in any label."""

from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, Gauge, Histogram, generate_latest

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

API_REQUEST_S: Final = Histogram(
    "csms_api_request_seconds",
    "Time of an API request by method, route and class of status",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
API_REQUESTS_OPEN: Final = Gauge("csms_api_requests_open", "API requests and streams being served now")


def exposition() -> bytes:
    """Every number of this process in Prometheus' text format."""
    return generate_latest()
