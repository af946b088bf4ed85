"""S21: the service packages of a station."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import Field

from csms.rights import Area
from csms.station.information import Station, StationDep, StationToChange
from csms.station.operational_management.model import ServicePackage
from csms.station.operational_management.service import packages_of, switch_package, switches_of
from csms.store import Work
from csms.web import Reading, Shown, Strict, Writing, may_read, may_write

router = APIRouter()


class PackageShown(Shown):
    """A service package of a station."""

    package: ServicePackage
    is_on: bool
    since: datetime | None = Field(description="when it was switched on; null when it is off")


class SwitchShown(Shown):
    """One switch of a package."""

    package: ServicePackage
    is_on: bool
    switched_at: datetime
    switched_by: str = Field(examples=["Anna Beispiel"])


class OperationalManagement(Shown):
    """The service packages of a station and the latest 100 switches, newest first."""

    packages: list[PackageShown]
    history: list[SwitchShown]


class PackageSwitchBody(Strict):
    """Whether the package is to be on."""

    is_on: bool = Field(examples=[True])


async def _show(work: Work, station: Station) -> OperationalManagement:
    active = await packages_of(work, station)
    packages = [
        PackageShown(
            package=package, is_on=package in active, since=active[package].since if package in active else None
        )
        for package in ServicePackage
    ]
    history = [SwitchShown.model_validate(switch) for switch in await switches_of(work, station)]
    return OperationalManagement(packages=packages, history=history)


@router.get(
    "/stations/{station_id}/operational-management",
    summary="Service packages and their history",
    dependencies=[may_read()],
)
async def read_packages(station: StationDep, work: Reading) -> OperationalManagement:
    return await _show(work, station)


@router.put(
    "/stations/{station_id}/operational-management/packages/{package}",
    summary="Switch a service package on or off",
    description="Maintenance windows are offered only where a package is on.",
    dependencies=[may_write(Area.SYSTEM_CONFIGURATION)],
)
async def put_package(
    station: StationToChange, package: ServicePackage, body: PackageSwitchBody, work: Writing
) -> OperationalManagement:
    await switch_package(work, station, package, is_on=body.is_on)
    return await _show(work, station)
