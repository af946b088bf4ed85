"""P1: organisations."""

from sqlmodel import col, select

from csms.exceptions import Conflict, NotFound
from csms.platform.organisations.model import Organisation
from csms.store import Work


async def ensure_default(work: Work, name: str = "Default") -> Organisation:
    """The organisation that unregistered stations come to; made at the first start."""
    found = await _default(work)
    if found is None:
        found = Organisation(name=name, created_at=work.now, is_default=True)
        work.session.add(found)
        await work.session.flush()
    return found


async def default_organisation(work: Work) -> Organisation:
    """Raises Conflict when the installation was never set up."""
    found = await _default(work)
    if found is None:
        raise Conflict("there is no organisation yet; run `csms db upgrade` and `csms key create` first")
    return found


async def find_organisation(work: Work, name: str) -> Organisation:
    """Raises NotFound."""
    found = (await work.session.exec(select(Organisation).where(Organisation.name == name))).first()
    if found is None:
        raise NotFound(f"there is no organisation «{name}»")
    return found


async def _default(work: Work) -> Organisation | None:
    query = select(Organisation).where(col(Organisation.is_default).is_(True))
    return (await work.session.exec(query)).first()
