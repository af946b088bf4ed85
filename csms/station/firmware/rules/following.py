"""S24: where an update or a publication is, by what the station answers, tells, and runs after its next boot."""

from enum import StrEnum
from typing import Any, Final

from csms.ocpp.reading import status_info_of
from csms.station.firmware.rules.requests import same_version

Payload = dict[str, Any]


class UpdateState(StrEnum):
    """Where an update is in its life."""

    REQUESTED = "requested"
    """Sent; the station has not answered (it may still act)."""
    ACCEPTED = "accepted"
    """The station will fetch the image, perhaps later."""
    DOWNLOADING = "downloading"
    DOWNLOADED = "downloaded"
    INSTALLING = "installing"
    INSTALLED = "installed"
    """The station says so; its next boot has not shown the version (yet)."""
    VERIFIED = "verified"
    """The station booted with the image's version."""
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"


FINAL: Final = frozenset({UpdateState.VERIFIED, UpdateState.REJECTED, UpdateState.CANCELLED, UpdateState.TIMED_OUT})
"""States that no message of the station changes any more; a failed download may be tried again by the station."""


class PublicationState(StrEnum):
    """Where an image is on a local controller, which offers it to its stations (2.0.1 L03, L04)."""

    REQUESTED = "requested"
    ACCEPTED = "accepted"
    DOWNLOADING = "downloading"
    DOWNLOADED = "downloaded"
    PUBLISHED = "published"
    FAILED = "failed"
    REJECTED = "rejected"
    UNPUBLISHED = "unpublished"
    TIMED_OUT = "timed_out"


PUBLICATION_FINAL: Final = frozenset(
    {PublicationState.REJECTED, PublicationState.UNPUBLISHED, PublicationState.TIMED_OUT}
)

_Verdict = tuple[UpdateState, str | None, bool]
"""The state, its reason, and whether it is the end."""

_STATUSES: Final[dict[str, _Verdict]] = {
    "DownloadScheduled": (UpdateState.ACCEPTED, "the download is planned", False),
    "Downloading": (UpdateState.DOWNLOADING, None, False),
    "DownloadPaused": (UpdateState.DOWNLOADING, "the download pauses", False),
    "Downloaded": (UpdateState.DOWNLOADED, None, False),
    "SignatureVerified": (UpdateState.DOWNLOADED, "the signature is right", False),
    "InstallScheduled": (UpdateState.DOWNLOADED, "the installation is planned", False),
    "Installing": (UpdateState.INSTALLING, None, False),
    "InstallRebooting": (UpdateState.INSTALLING, "the station restarts to install it", False),
    "Installed": (UpdateState.INSTALLED, None, False),
    "DownloadFailed": (
        UpdateState.FAILED,
        "the station could not download the image: check that it reaches the file server",
        False,
    ),
    "InvalidSignature": (UpdateState.FAILED, "the station found the image's signature wrong", True),
    "InstallationFailed": (UpdateState.FAILED, "the station could not install the image", True),
    "InstallVerificationFailed": (UpdateState.FAILED, "the station installed the image and found it not to work", True),
}
_REFUSALS: Final = {
    "InvalidCertificate": "the station finds the signing certificate invalid",
    "RevokedCertificate": "the signing certificate is revoked",
}
_PUBLICATION_STATUSES: Final[dict[str, tuple[PublicationState, str | None]]] = {
    "DownloadScheduled": (PublicationState.ACCEPTED, "the download is planned"),
    "Downloading": (PublicationState.DOWNLOADING, None),
    "DownloadPaused": (PublicationState.DOWNLOADING, "the download pauses"),
    "Downloaded": (PublicationState.DOWNLOADED, None),
    "ChecksumVerified": (PublicationState.DOWNLOADED, "the checksum is right"),
    "Published": (PublicationState.PUBLISHED, None),
    "DownloadFailed": (PublicationState.FAILED, "the local controller could not download the image"),
    "InvalidChecksum": (PublicationState.FAILED, "the local controller found the image's checksum wrong"),
    "PublishFailed": (PublicationState.FAILED, "the local controller could not publish the image"),
}


def after_answer(answer: Payload) -> tuple[bool, str | None]:
    """Whether the station will, with the reason where it will not; UpdateFirmware of 1.6 has nothing to say."""
    status = answer.get("status", "Accepted")
    if status in ("Accepted", "AcceptedCanceled"):
        return True, None
    told = status_info_of(answer)
    known = _REFUSALS.get(str(status))
    reason = known or "the station refused"
    return False, f"{reason}: {told}" if told else reason


def after_status(state: UpdateState, status: str) -> _Verdict | None:
    """What a status notification makes of an update; None where it changes nothing."""
    return None if state in FINAL else _STATUSES.get(status)


def after_boot(state: UpdateState, wanted: str | None, before: str | None, booted: str | None) -> _Verdict | None:
    """What a BootNotification says of an update: which version runs now; None where it says nothing.

    A boot before the installation proves nothing when the station ran that version before.
    """
    if state in FINAL or not booted:
        return None
    has_installed = state in (UpdateState.INSTALLING, UpdateState.INSTALLED)
    if same_version(wanted, booted):
        return (UpdateState.VERIFIED, None, True) if has_installed or not same_version(wanted, before) else None
    if state is not UpdateState.INSTALLED:
        return None
    if same_version(before, booted):
        reason = f"the station said that it installed the image, but still runs {booted}"
        return (UpdateState.FAILED, reason, True) if wanted else (UpdateState.INSTALLED, None, True)
    reason = f"the station now runs {booted}; the image is labelled {wanted}" if wanted else f"it now runs {booted}"
    return UpdateState.INSTALLED, reason, True


def after_publication_status(state: PublicationState, status: str) -> tuple[PublicationState, str | None] | None:
    """What a PublishFirmwareStatusNotification makes of a publication; None where it changes nothing."""
    return None if state in PUBLICATION_FINAL else _PUBLICATION_STATUSES.get(status)


def after_unpublish(answer: Payload) -> tuple[PublicationState | None, str | None]:
    """What an answer to UnpublishFirmware makes of it."""
    status = answer.get("status")
    if status in ("Unpublished", "NoFirmware"):
        return PublicationState.UNPUBLISHED, None if status == "Unpublished" else "it had no such image any more"
    return None, "a station downloads it from there just now; try again later"
