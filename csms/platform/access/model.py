"""P1, P2: people, API keys, login tokens, and what an organisation changed about its roles' rights."""

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from csms.rights import Role
from csms.store import BigInt, Json, Owned, UtcDateTime, words


class User(Owned, table=True):
    """A person of one organisation. The e-mail is lower-case and unique over the installation: it is the login."""

    __tablename__ = "app_user"  # `user` is a reserved word of PostgreSQL

    email: str = Field(unique=True, max_length=254)
    name: str = Field(max_length=200)
    role: Role = Field(sa_type=words(Role))
    password_hash: str
    is_active: bool = True
    created_at: datetime = Field(sa_type=UtcDateTime)
    last_login_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ApiKey(Owned, table=True):
    """A key for programs. Only the SHA-256 of the key is kept; it is shown once, when it is made."""

    __tablename__ = "api_key"

    name: str = Field(max_length=200)
    role: Role = Field(sa_type=words(Role))
    scopes: dict[str, str] | None = Field(default=None, sa_type=Json)
    """Area → `read` or `write`; narrows the role's rights. None: all that the role may do."""
    prefix: str = Field(max_length=40)
    """The part that may be shown, so that people recognise their key."""
    secret_hash: str = Field(unique=True, max_length=64)
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str = Field(max_length=254)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class LoginToken(Owned, table=True):
    """What a person got for e-mail and password; opaque, and only its SHA-256 is kept."""

    __tablename__ = "login_token"

    user_id: int = Field(sa_type=BigInt, index=True)
    secret_hash: str = Field(unique=True, max_length=64)
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class RoleRights(Owned, table=True):
    """What an administrator changed about a role in this organisation; roles without a row have the defaults."""

    __tablename__ = "role_rights"
    __table_args__ = (UniqueConstraint("organisation_id", "role", name="uq_role_rights_organisation_role"),)

    role: Role = Field(sa_type=words(Role))
    rights: dict[str, str] = Field(sa_type=Json)
    """Area → `none`, `read` or `write`, all areas."""
