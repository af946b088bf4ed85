"""B10: what the resources of certificates share."""

from typing import Annotated

from pydantic import StringConstraints

from csms.exceptions import Conflict
from csms.rights import Caller

Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")
]
PEM_CHARS_MAX = 20_000


def organisation_of(caller: Caller) -> int:
    if caller.organisation_id is None:
        raise Conflict("this needs a key of an organisation")
    return caller.organisation_id
