"""S17, S24: files between stations and us: one-time credentials for one file, over HTTP or FTP, used once."""

from csms.station.file_transfers.api import StatusShown
from csms.station.file_transfers.model import FileTransfer, StatusTold, TransferProtocol, TransferState
from csms.station.file_transfers.rules import location_fault, safe_name, shown_location, username_in
from csms.station.file_transfers.service.statuses import Said, keep_status, statuses_of
from csms.station.file_transfers.service.transfers import (
    Ticket,
    begin_download,
    check_location,
    close_transfer,
    ftp_base,
    get_transfer,
    http_base,
    identify,
    note_download,
    offer_download,
    offer_upload,
    protocol_for,
    receive,
    transfers_by_id,
)
from csms.station.file_transfers.words import progress_told

NEEDS = ("station.information",)
__all__ = [
    "FileTransfer",
    "Said",
    "StatusShown",
    "StatusTold",
    "Ticket",
    "TransferProtocol",
    "TransferState",
    "begin_download",
    "check_location",
    "close_transfer",
    "ftp_base",
    "get_transfer",
    "http_base",
    "identify",
    "keep_status",
    "location_fault",
    "note_download",
    "offer_download",
    "offer_upload",
    "progress_told",
    "protocol_for",
    "receive",
    "safe_name",
    "shown_location",
    "statuses_of",
    "transfers_by_id",
    "username_in",
]
