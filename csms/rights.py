"""P1: who may do what: roles hold a level over areas; routes ask for one."""

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class Role(StrEnum):
    USER = "user"
    SUPERUSER = "superuser"
    ADMINISTRATOR = "administrator"


class Area(StrEnum):
    """What a right is about (FEATURES P1)."""

    DATA_ACCESS = "data_access"
    OPERATION = "operation"
    DEVICE_AND_CUSTOMER_MANAGEMENT = "device_and_customer_management"
    READING_MANAGEMENT = "reading_management"
    GROUP_MANAGEMENT = "group_management"
    SYSTEM_CONFIGURATION = "system_configuration"
    ACCESS_CONTROL = "access_control"


class Level(IntEnum):
    NONE = 0
    READ = 1
    WRITE = 2


Rights = dict[Area, Level]

_ALL_READ: Rights = {area: Level.READ for area in Area if area is not Area.ACCESS_CONTROL}

DEFAULT_RIGHTS: dict[Role, Rights] = {
    Role.USER: {**_ALL_READ, Area.SYSTEM_CONFIGURATION: Level.NONE},
    Role.SUPERUSER: {
        **_ALL_READ,
        Area.OPERATION: Level.WRITE,
        Area.DATA_ACCESS: Level.WRITE,
        Area.DEVICE_AND_CUSTOMER_MANAGEMENT: Level.WRITE,
        Area.READING_MANAGEMENT: Level.WRITE,
        Area.GROUP_MANAGEMENT: Level.WRITE,
    },
    Role.ADMINISTRATOR: dict.fromkeys(Area, Level.WRITE),
}
"""What a role may do in an organisation that has not changed it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking: a person or an API key of one organisation, or the system itself."""

    organisation_id: int | None
    kind: str
    """`user`, `key`, `station` or `system`."""
    id: int | None
    name: str
    role: Role
    rights: Rights = field(default_factory=dict)
    remote_address: str | None = None

    def may(self, area: Area, level: Level) -> bool:
        return self.rights.get(area, Level.NONE) >= level


SYSTEM = Caller(None, "system", None, "system", Role.ADMINISTRATOR, dict.fromkeys(Area, Level.WRITE))
"""Jobs and the broker: sees every organisation."""
