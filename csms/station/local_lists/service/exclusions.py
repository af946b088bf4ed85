"""S27: tokens that a rule puts on lists, and that are kept off one station's: its customer was deleted there."""

from collections.abc import Collection

from sqlmodel import col, delete, select
from sqlmodel.sql.expression import SelectOfScalar

from csms.exceptions import NotFound
from csms.station.information import Station
from csms.station.local_lists.model import LocalListExclusion
from csms.station.local_lists.service.keeping import look_again
from csms.store import Work


def exclusions_query(station: Station) -> SelectOfScalar[LocalListExclusion]:
    """The tokens that are kept off the station's list, to be paged."""
    return select(LocalListExclusion).where(LocalListExclusion.station_id == station.id)


async def excluded_tokens(work: Work, station: Station) -> Collection[int]:
    """Their ids."""
    query = select(LocalListExclusion.token_id).where(LocalListExclusion.station_id == station.id)
    return set((await work.session.exec(query)).all())


async def exclude(work: Work, organisation_id: int, station_id: int, token_id: int) -> None:
    """Keep the token off the station's list from now on; safe to repeat."""
    query = select(LocalListExclusion.id).where(
        LocalListExclusion.station_id == station_id, LocalListExclusion.token_id == token_id
    )
    if (await work.session.exec(query)).first() is None:
        work.session.add(
            LocalListExclusion(
                organisation_id=organisation_id, station_id=station_id, token_id=token_id, created_at=work.now
            )
        )
        await work.session.flush()
    await look_again(work, organisation_id, station_id)


async def readmit(work: Work, station: Station, exclusion_id: int) -> None:
    """The rules decide about the token again. Raises NotFound, also for another station's."""
    found = (await work.session.exec(exclusions_query(station).where(LocalListExclusion.id == exclusion_id))).first()
    if found is None:
        raise NotFound(f"«{station.identity}» has no such exclusion; GET …/local-list/exclusions lists them")
    await work.session.delete(found)
    await work.session.flush()
    await look_again(work, station.organisation_id, station.id)


async def forget_exclusions(work: Work, token_id: int) -> None:
    """Of a token that was removed."""
    await work.session.exec(delete(LocalListExclusion).where(col(LocalListExclusion.token_id) == token_id))
