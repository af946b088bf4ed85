"""B10, B11: how a station proves who it is: password or certificate, as its security profile says.

Tries are limited for each address and for each identity. Beyond the limit only what costs nothing is still
checked, so that a station gets in with its right password while somebody else is guessing (ROBUSTNESS 3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from broker.certificates import certificate_fault
from broker.handshake import Credentials, profile_in_use
from broker.limits import Buckets
from broker.refusal import Refusal, wrong_credentials
from broker.socket import Socket
from csms.addresses import source_of
from csms.platform.organisations import default_organisation
from csms.routing import Registration
from csms.runtime import Runtime
from csms.station.connections import Cause
from csms.station.information import Station, matching_hash
from csms.station.passwords import Candidate, decide_by_login
from csms.store import Work
from csms.trust import certificate_checks, operator_names, trusted_roots

TLS_WITH_PASSWORD = 2
WITH_PASSWORD = (1, TLS_WITH_PASSWORD)
WITH_CERTIFICATE = 3


@dataclass(frozen=True, slots=True)
class Asking:
    """A station that wants to be let in."""

    socket: Socket
    address: str
    station: Station
    candidates: Sequence[Candidate]
    """New passwords that may hold beside the station's own."""
    credentials: Credentials | None


class Login:
    """The logins of one broker process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._settings = runtime.settings
        tries = self._settings.password_tries_per_minute_max
        self._failed_addresses = Buckets(tries / 60, tries)
        self._failed_identities = Buckets(tries / 60, tries)

    def uses_tls(self, socket: Socket) -> bool:
        """Whether the station came over TLS, ended here or by the proxy in front."""
        return socket.is_tls or self._settings.broker_port_behind_tls

    def profile_of(self, asking: Asking) -> int:
        """The security profile that the connection uses. Raises Refusal for one that is not the station's."""
        station, socket = asking.station, asking.socket
        coming = station.next_security_profile
        allowed = frozenset({station.security_profile, station.security_profile if coming is None else coming})
        profile = profile_in_use(
            allowed,
            is_tls=self.uses_tls(socket),
            shows_certificate=socket.certificate is not None,
            has_credentials=asking.credentials is not None,
        )
        if profile is None:
            way = "without TLS (ws://)" if self.uses_tls(socket) else "over TLS (wss://)"
            reason = f"this station is registered with security profile {station.security_profile}: it must come {way}"
            raise Refusal(HTTPStatus.FORBIDDEN, reason, Cause.REFUSED_SECURITY_PROFILE, reason + self._without_port())
        return profile

    def _without_port(self) -> str:
        """What an operator has forgotten."""
        has_tls = self._settings.broker_tls_port is not None or self._settings.broker_port_behind_tls
        return "" if has_tls else "; this system has no TLS port, set CSMS_BROKER_TLS_PORT"

    async def profile_of_unknown(self, socket: Socket, identity: str) -> int:
        """The profile that a station which nobody registered starts with. Raises Refusal for another's certificate."""
        if not self.uses_tls(socket):
            return 0
        certificate = socket.certificate
        if certificate is None:
            return TLS_WITH_PASSWORD
        async with self._runtime.store.reading() as work:
            names = await self._operator_names(work, (await default_organisation(work)).id)
        fault = certificate_fault(
            certificate, identity=identity, serial_number=None, operator_names=names, now=self._runtime.clock()
        )
        if fault is not None:
            raise Refusal(HTTPStatus.FORBIDDEN, fault, Cause.REFUSED_CERTIFICATE)
        return WITH_CERTIFICATE

    async def authenticate(self, asking: Asking, profile: int) -> bool:
        """Whether the station proved who it is; a wrong password is refused whatever the profile. Raises Refusal."""
        if profile == WITH_CERTIFICATE:
            await self._check_certificate(asking.socket, asking.station)
            return True
        if not asking.station.password_hashes:
            return await self._without_password(asking, profile)
        used = await self._check_password(asking)
        await self._decide(asking, used)
        return True

    async def _without_password(self, asking: Asking, profile: int) -> bool:
        """A station that has none; it may have been sent its first."""
        used = await self._matching(asking) if asking.candidates and asking.credentials else None
        if used is None and profile in WITH_PASSWORD and asking.station.registration is Registration.ACCEPTED:
            raise wrong_credentials("the station has no password here; set one with PUT …/password")
        await self._decide(asking, used)
        return used is not None

    async def _check_certificate(self, socket: Socket, station: Station) -> None:
        certificate = socket.certificate
        if certificate is None:
            raise await self._without_certificate()
        async with self._runtime.store.reading() as work:
            names = await self._operator_names(work, station.organisation_id)
            fault = certificate_fault(
                certificate,
                identity=station.identity,
                serial_number=station.serial_number,
                operator_names=names,
                now=self._runtime.clock(),
            )
            if fault is not None:
                raise Refusal(HTTPStatus.FORBIDDEN, fault, Cause.REFUSED_CERTIFICATE)
            for check in certificate_checks():
                fault = fault or await check(work, station.id, certificate)
        if fault is not None:  # why it was revoked is no business of whoever has it
            raise Refusal(HTTPStatus.FORBIDDEN, "this certificate is not accepted", Cause.REFUSED_CERTIFICATE, fault)

    async def _without_certificate(self) -> Refusal:
        """The station showed none, or was not asked for it: without an authority there is nothing to compare with."""
        reason, detail = "this station must show its certificate (security profile 3)", None
        async with self._runtime.store.reading() as work:
            if not self._settings.tls_client_ca_files and not await trusted_roots(work):
                detail = (
                    "the station was not asked for its certificate, because nobody is trusted here to have issued one: "
                    "make an authority (csms ca create), or set CSMS_TLS_CLIENT_CA_FILES"
                )
        return Refusal(HTTPStatus.FORBIDDEN, reason, Cause.REFUSED_CERTIFICATE, detail)

    async def _operator_names(self, work: Work, organisation_id: int) -> set[str]:
        given = self._settings.operator_name
        return {*([given] if given else []), *await operator_names(work, organisation_id)}

    async def _check_password(self, asking: Asking) -> str:
        """The hash of the password that the station used. Raises Refusal."""
        used = await self._matching(asking)
        if used is None:
            raise wrong_credentials(_credentials_fault(asking))
        return used

    async def _matching(self, asking: Asking) -> str | None:
        """The hash of the station's password, or None for a wrong one. Raises Refusal after too many of those.

        What costs nothing is always checked. For the rest a try is taken first, and given back to who is right.
        """
        used = await self._compared(asking, cheaply=True)
        if used is not None:
            return used
        if not self._take_try(asking):
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many failed logins", Cause.REFUSED_TRIES)
        used = await self._compared(asking, cheaply=False)
        if used is not None:
            self._failed_addresses.give_back(source_of(asking.address))
            self._failed_identities.give_back(asking.station.identity)
        return used

    async def _compared(self, asking: Asking, *, cheaply: bool) -> str | None:
        given, station = asking.credentials, asking.station
        if given is None or given.username != station.identity:
            return None
        hashes = [*(station.password_hashes or ()), *(candidate.password_hash for candidate in asking.candidates)]
        return await matching_hash(hashes, given.password, self._runtime.secret_key, cheaply=cheaply)

    async def _decide(self, asking: Asking, used: str | None) -> None:
        """While a password is being changed, the login shows which one the station has."""
        now = self._runtime.clock()
        candidate = next((one for one in asking.candidates if one.password_hash == used), None)
        if candidate is None and not any(one.is_decided_by_old(now) for one in asking.candidates):
            return
        async with self._runtime.store.writing() as work:
            await decide_by_login(work, asking.station, candidate)

    def _take_try(self, asking: Asking) -> bool:
        """Whether one more password may be tried; where the station was last, others' guesses do not count."""
        if not self._failed_addresses.take(source_of(asking.address)):
            return False
        is_at_home = asking.address == asking.station.remote_address
        return self._failed_identities.take(asking.station.identity) or is_at_home

    def take_try(self, identity: str, address: str) -> bool:
        """The same for an identity that nobody knows."""
        return self._failed_addresses.take(source_of(address)) and self._failed_identities.take(identity)


def _credentials_fault(asking: Asking) -> str:
    """What is wrong with them, without saying what they are: names, too, may be secrets in the wrong field."""
    if asking.credentials is None:
        return "the station sent no user name and password"
    if asking.credentials.username != asking.station.identity:
        return f"the station sent another user name than its id, {asking.station.identity}"
    return "the password is wrong"
