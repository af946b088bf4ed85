"""The process that writes to SQLite: batches in over a socket, a transaction each, its outcome back.

Started by `SqliteWriter` as a program, with the number of its socket. It imports nothing of ours, so that it is there
at once, holds nothing that is not committed, and ends when the other end of the socket closes.
"""

import marshal
import signal
import socket
import sqlite3
import sys
from collections.abc import Iterable
from typing import Any, Final

HEAD_BYTES: Final = 8
KEPT: Final = "kept"
REFUSED: Final = "refused"
"""A row breaks a constraint, or does not fit."""
FAILED: Final = "failed"

ROW_FAULTS: Final = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    ValueError,
    TypeError,
    OverflowError,
)


def framed(value: Any) -> bytes:
    """The value in Python's own form: `int`, `bool`, `float`, `str`, None, tuples and lists of them."""
    data = marshal.dumps(value)
    return len(data).to_bytes(HEAD_BYTES, "little") + data


def _serve(peer: socket.socket) -> None:
    stream = peer.makefile("rb")

    def read() -> Any:
        head = stream.read(HEAD_BYTES)
        return marshal.loads(stream.read(int.from_bytes(head, "little"))) if head else None  # noqa: S302  # from our parent

    path, pragmas, busy_timeout_s = read()
    connection = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None)
    for pragma in pragmas:
        connection.execute(pragma)
    while (batch := read()) is not None:
        peer.sendall(framed(_write(connection, batch)))
    connection.close()


def _write(connection: sqlite3.Connection, batch: Iterable[tuple[str, list[Any]]]) -> tuple[str, str]:
    """All or nothing; durable when it returns KEPT."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        for statement, rows in batch:
            connection.executemany(statement, rows)
        connection.execute("COMMIT")
    except (sqlite3.Error, *ROW_FAULTS) as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return REFUSED if isinstance(error, ROW_FAULTS) else FAILED, str(error)
    return KEPT, ""


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the parent drains first, then closes the socket
    _serve(socket.socket(fileno=int(sys.argv[1])))
