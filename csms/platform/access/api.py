"""P1, P2: the resources of access: keys, users, logins, the rights of roles, one's own organisation."""

import asyncio
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request, Response, status
from pydantic import AwareDatetime, Field, SecretStr, StringConstraints
from sqlmodel import select

from csms.addresses import source_of
from csms.exceptions import Invalid, NotFound, Unauthorized
from csms.ids import Id
from csms.platform.access.authentication import REFUSED, Access
from csms.platform.access.model import ApiKey, User
from csms.platform.access.rules import PASSWORD_CHARS_MAX, Email, hash_password, is_password, is_token
from csms.platform.access.service import (
    change_role_rights,
    change_user,
    check_password,
    create_key,
    create_user,
    delete_user,
    end_login,
    find_login,
    get_key,
    get_organisation,
    get_user,
    list_role_rights,
    rename_organisation,
    reset_password,
    revoke_key,
    rights_from,
    set_password,
    start_login,
    words_of,
)
from csms.rights import Area, Caller, Role
from csms.runtime import Runtime
from csms.web import (
    CallerDep,
    Page,
    PageDep,
    Reading,
    RuntimeDep,
    Shown,
    Strict,
    Writing,
    may_read,
    may_write,
    page_of,
    the_caller,
)

router = APIRouter()

_READ = may_read(Area.ACCESS_CONTROL)
_WRITE = may_write(Area.ACCESS_CONTROL)

Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")
]
Password = Annotated[SecretStr, Field(max_length=PASSWORD_CHARS_MAX, examples=["granite otter plays cello"])]
LevelWord = Literal["none", "read", "write"]
RightsWords = dict[Area, LevelWord]

_RIGHTS_EXAMPLE = {"data_access": "read", "operation": "write"}


def the_access(request: Request) -> Access:
    return request.app.state.authenticator  # type: ignore[no-any-return]  # Starlette's state is untyped


AccessDep = Annotated[Access, Depends(the_access)]


def _own(caller: Caller) -> int:
    if caller.organisation_id is None:
        raise NotFound("you act for no organisation")
    return caller.organisation_id


# --- Keys


class KeyToMake(Strict):
    """A key for a program."""

    name: Name = Field(description="what the key is for", examples=["billing export"])
    role: Role = Field(Role.USER, description="the key may do what this role may")
    scopes: RightsWords | None = Field(
        None, description="narrows the role: the key may do no more than this", examples=[_RIGHTS_EXAMPLE]
    )
    expires_at: AwareDatetime | None = Field(None, examples=["2030-01-01T00:00:00Z"])


class KeyShown(Shown):
    """A key without its secret."""

    id: Id
    name: str
    role: Role
    scopes: dict[str, str] | None
    prefix: str = Field(description="to recognise the key by", examples=["k3x9q2ab"])
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="to the minute")
    revoked_at: datetime | None


class KeyMade(KeyShown):
    """A new key, with what nobody can see again."""

    key: str = Field(description="keep it now: it is shown once", examples=["csms_k3x9q2ab_8Zq…"])


KeyId = Annotated[Id, Path(description="a key's `id`")]


@router.get("/keys", summary="List API keys", dependencies=[_READ])
async def list_keys(work: Reading, page: PageDep) -> Page[KeyShown]:
    rows, cursor = await page_of(work, select(ApiKey), page)
    return Page(items=[KeyShown.model_validate(row) for row in rows], next_cursor=cursor)


@router.post("/keys", summary="Make an API key", status_code=status.HTTP_201_CREATED, dependencies=[_WRITE])
async def make_key(body: KeyToMake, work: Writing, caller: CallerDep) -> KeyMade:
    """The answer holds the key itself, once. It cannot have more rights than you."""
    scopes = None if body.scopes is None else {area.value: level for area, level in body.scopes.items()}
    key, secret = await create_key(work, _own(caller), body.name, body.role, scopes=scopes, expires_at=body.expires_at)
    return KeyMade(**KeyShown.model_validate(key).model_dump(), key=secret)


@router.get("/keys/{key_id}", summary="Read an API key", dependencies=[_READ])
async def read_key(key_id: KeyId, work: Reading) -> KeyShown:
    return KeyShown.model_validate(await get_key(work, key_id))


@router.delete("/keys/{key_id}", summary="Revoke an API key", dependencies=[_WRITE])
async def remove_key(key_id: KeyId, work: Writing, access: AccessDep) -> KeyShown:
    """It stops working at once, streams that it has open end, and it stays in the list as revoked."""
    key = await revoke_key(work, key_id)
    work.after_commit(access.forget)
    return KeyShown.model_validate(key)


# --- Users


class UserToMake(Strict):
    """A person of your organisation."""

    email: Email = Field(examples=["kari@example.com"])
    name: Name = Field(examples=["Kari Nordmann"])
    role: Role = Role.USER
    password: Password


class UserToChange(Strict):
    """What is left out stays as it is."""

    name: Name | None = None
    role: Role | None = None
    is_active: bool | None = Field(None, description="false ends all logins of the person")


class PasswordToSet(Strict):
    password: Password


class UserShown(Shown):
    """A person."""

    id: Id
    email: str
    name: str
    role: Role
    is_active: bool
    created_at: datetime
    last_login_at: datetime | None


UserId = Annotated[Id, Path(description="a user's `id`")]


async def _hashed(password: SecretStr, email: str = "", place: str = "body/password") -> str:
    check_password(password.get_secret_value(), email, place=place)
    return await asyncio.to_thread(hash_password, password.get_secret_value())


@router.get("/users", summary="List users", dependencies=[_READ])
async def list_users(work: Reading, page: PageDep) -> Page[UserShown]:
    rows, cursor = await page_of(work, select(User), page)
    return Page(items=[UserShown.model_validate(row) for row in rows], next_cursor=cursor)


@router.post("/users", summary="Add a user", status_code=status.HTTP_201_CREATED, dependencies=[_WRITE])
async def make_user(body: UserToMake, runtime: RuntimeDep, caller: CallerDep) -> UserShown:
    """The password needs at least 12 characters and must not be one of the commonest."""
    password_hash = await _hashed(body.password, body.email)  # slow, so before the transaction
    async with runtime.store.writing(caller) as work:
        user = await create_user(
            work, _own(caller), email=body.email, name=body.name, role=body.role, password_hash=password_hash
        )
    return UserShown.model_validate(user)


@router.get("/users/{user_id}", summary="Read a user", dependencies=[_READ])
async def read_user(user_id: UserId, work: Reading) -> UserShown:
    return UserShown.model_validate(await get_user(work, user_id))


@router.patch("/users/{user_id}", summary="Change a user's name, role or state", dependencies=[_WRITE])
async def edit_user(user_id: UserId, body: UserToChange, work: Writing, access: AccessDep) -> UserShown:
    """The last administrator of an organisation can be neither demoted nor deactivated (409)."""
    user = await change_user(work, user_id, name=body.name, role=body.role, is_active=body.is_active)
    work.after_commit(access.forget)
    return UserShown.model_validate(user)


@router.put(
    "/users/{user_id}/password",
    summary="Reset a user's password",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[_WRITE],
)
async def put_password(
    user_id: UserId, body: PasswordToSet, runtime: RuntimeDep, caller: CallerDep, access: AccessDep
) -> Response:
    """Ends all logins of the person."""
    async with runtime.store.reading(caller) as work:
        user = await get_user(work, user_id)
    password_hash = await _hashed(body.password, user.email)
    async with runtime.store.writing(caller) as work:
        await reset_password(work, user_id, password_hash)
        work.after_commit(access.forget)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.delete(
    "/users/{user_id}", summary="Delete a user", status_code=status.HTTP_204_NO_CONTENT, dependencies=[_WRITE]
)
async def remove_user(user_id: UserId, work: Writing, access: AccessDep) -> Response:
    """The audit log keeps what the person did."""
    await delete_user(work, user_id)
    work.after_commit(access.forget)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


# --- Logins


class Login(Strict):
    email: Email = Field(examples=["kari@example.com"])
    password: Password


class LoginStarted(Shown):
    token: str = Field(description="send it as `Authorization: Bearer <token>`", examples=["csmst_8Zq…"])
    expires_at: datetime
    user: UserShown


class Me(Shown):
    """Who you are here, and what you may do."""

    kind: Literal["user", "key"]
    id: Id
    name: str = Field(description="the key's name or the person's e-mail")
    role: Role
    rights: dict[Area, LevelWord]
    organisation_id: Id


class OwnPassword(Strict):
    current: Password
    new: Password


_TOO_MANY_LOGINS = "too many failed logins; wait before you try again"
_LOGIN_REFUSED = "unknown e-mail or wrong password; an administrator can reset it"


async def _check_login(runtime: Runtime, access: Access, email: str, password: str, address: str) -> User:
    """Raises Unauthorized, in the same time for an unknown user, and TooMany after too many failures."""
    async with runtime.store.reading() as work:
        user = await find_login(work, email)
    sources = (f"address {source_of(address)}", f"e-mail {email}")
    async with access.password_checks:  # also around the limits: many tries at once must not all pass them
        for who in sources:
            await access.login_failures.check(who, _TOO_MANY_LOGINS)
        is_right = await asyncio.to_thread(is_password, password, None if user is None else user.password_hash)
        if user is not None and is_right:
            return user
        REFUSED.labels("password").inc()
        for who in sources:
            await access.login_failures.count(who, _TOO_MANY_LOGINS)
    raise Unauthorized(_LOGIN_REFUSED)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


@router.post("/login", summary="Log in with e-mail and password", responses={401: {"description": "Wrong"}})
async def login(body: Login, request: Request, runtime: RuntimeDep, access: AccessDep) -> LoginStarted:
    """The token is valid for twelve hours, or until logout."""
    address = _address(request)
    user = await _check_login(runtime, access, body.email, body.password.get_secret_value(), address)
    actor = Caller(user.organisation_id, "user", user.id, user.email, user.role, remote_address=address)
    async with runtime.store.writing(actor) as work:
        token, secret = await start_login(work, user)
        user = await get_user(work, user.id)
    return LoginStarted(token=secret, expires_at=token.expires_at, user=UserShown.model_validate(user))


@router.post(
    "/logout",
    summary="End this login",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[Depends(the_caller)],
)
async def logout(request: Request, work: Writing, access: AccessDep) -> Response:
    """The token is useless from now on. A key cannot log out: revoke it."""
    secret = request.headers["authorization"].partition(" ")[2].strip()
    if not is_token(secret):
        raise Invalid("this is an API key, not a login; revoke it with DELETE /api/v1/keys/{key_id}")
    await end_login(work, secret)
    work.after_commit(access.forget)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.get("/me", summary="Who am I?", dependencies=[Depends(the_caller)])
async def me(caller: CallerDep) -> Me:
    rights = words_of(caller.rights)
    return Me.model_validate(
        {
            "kind": caller.kind,
            "id": caller.id,
            "name": caller.name,
            "role": caller.role,
            "rights": rights,
            "organisation_id": _own(caller),
        }
    )


@router.put(
    "/me/password",
    summary="Change one's own password",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[Depends(the_caller)],
)
async def put_own_password(
    body: OwnPassword, request: Request, runtime: RuntimeDep, caller: CallerDep, access: AccessDep
) -> Response:
    """Ends all one's logins, this one too."""
    if caller.kind != "user":
        raise Invalid("a key has no password; log in first")
    user = await _check_login(runtime, access, caller.name, body.current.get_secret_value(), _address(request))
    password_hash = await _hashed(body.new, user.email, place="body/new")
    async with runtime.store.writing(caller) as work:
        await set_password(work, await get_user(work, user.id), password_hash)
        work.after_commit(access.forget)
    return Response(status_code=status.HTTP_204_NO_CONTENT)


# --- The rights of roles


class RoleRightsShown(Shown):
    role: Role
    rights: dict[Area, LevelWord]


class RightsToSet(Strict):
    rights: RightsWords = Field(description="areas left out give nothing", examples=[_RIGHTS_EXAMPLE])


def _shown_rights(role: Role, words: dict[str, str]) -> RoleRightsShown:
    return RoleRightsShown.model_validate({"role": role, "rights": words})


@router.get("/role-rights", summary="List what each role may do", dependencies=[_READ])
async def get_role_rights(work: Reading, caller: CallerDep) -> Page[RoleRightsShown]:
    """All roles on one page."""
    found = await list_role_rights(work, _own(caller))
    return Page(items=[_shown_rights(role, words_of(rights)) for role, rights in found], next_cursor=None)


@router.put("/role-rights/{role}", summary="Change what a role may do", dependencies=[_WRITE])
async def put_role_rights(
    role: Role, body: RightsToSet, work: Writing, caller: CallerDep, access: AccessDep
) -> RoleRightsShown:
    """Administrators always keep `access_control: write` (409)."""
    rights = rights_from({area.value: level for area, level in body.rights.items()})
    changed = await change_role_rights(work, _own(caller), role, rights)
    work.after_commit(access.forget)
    return _shown_rights(role, words_of(changed))


# --- One's own organisation


class OrganisationShown(Shown):
    id: Id
    name: str
    created_at: datetime


class OrganisationToChange(Strict):
    name: Name = Field(examples=["Fjord Charging"])


@router.get("/organisations/current", summary="Read one's own organisation", dependencies=[may_read()])
async def read_organisation(work: Reading, caller: CallerDep) -> OrganisationShown:
    return OrganisationShown.model_validate(await get_organisation(work, _own(caller)))


@router.patch(
    "/organisations/current",
    summary="Rename one's own organisation",
    dependencies=[may_write(Area.SYSTEM_CONFIGURATION)],
)
async def edit_organisation(body: OrganisationToChange, work: Writing, caller: CallerDep) -> OrganisationShown:
    return OrganisationShown.model_validate(await rename_organisation(work, _own(caller), body.name))
