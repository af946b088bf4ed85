"""B10: what other features may know of the brokers' ports."""

from csms.station.connections.service import server_certificates
from csms.store import Work


async def serves_tls(work: Work) -> bool:
    """Whether a living broker has a TLS port."""
    return bool(await server_certificates(work))


SERVES_TLS = serves_tls
