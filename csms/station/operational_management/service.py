"""S21: switching service packages, and asking whether a station has one."""

from collections.abc import Sequence
from typing import Final

from sqlmodel import col, select

from csms.station.information import Station, fact_about
from csms.station.operational_management.model import ActivePackage, PackageSwitch, ServicePackage
from csms.store import Work

SWITCHES_SHOWN_MAX: Final = 100


async def has_active_package(work: Work, station_id: int) -> bool:
    """Whether any service package is on for the station of that row id."""
    query = select(ActivePackage.id).where(ActivePackage.station_id == station_id).limit(1)
    return (await work.session.exec(query)).first() is not None


async def packages_of(work: Work, station: Station) -> dict[ServicePackage, ActivePackage]:
    """The packages that are on."""
    query = select(ActivePackage).where(ActivePackage.station_id == station.id)
    return {row.package: row for row in await work.session.exec(query)}


async def switches_of(work: Work, station: Station) -> Sequence[PackageSwitch]:
    """The latest switches, newest first."""
    query = select(PackageSwitch).where(PackageSwitch.station_id == station.id)
    return (await work.session.exec(query.order_by(col(PackageSwitch.id).desc()).limit(SWITCHES_SHOWN_MAX))).all()


async def switch_package(work: Work, station: Station, package: ServicePackage, *, is_on: bool) -> None:
    """Switch a package on or off and note who did; nothing is noted when it was so already."""
    active = (await packages_of(work, station)).get(package)
    if is_on == (active is not None):
        return
    if active is None:
        work.session.add(
            ActivePackage(
                organisation_id=station.organisation_id, station_id=station.id, package=package, since=work.now
            )
        )
    else:
        await work.session.delete(active)
    work.session.add(
        PackageSwitch(
            organisation_id=station.organisation_id,
            station_id=station.id,
            package=package,
            is_on=is_on,
            switched_at=work.now,
            switched_by=work.actor.name,
        )
    )
    await work.session.flush()
    work.emit(fact_about(station, "service_package_switched", {"package": package.value, "is_on": is_on}))
