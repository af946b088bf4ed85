"""P1, P2: users, keys, tokens and the rights of roles."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import delete, func, update
from sqlmodel import col, select

from csms.exceptions import Conflict, Forbidden, Invalid, NotFound
from csms.platform.access.model import ApiKey, LoginToken, RoleRights, User
from csms.platform.access.rules import (
    GIVEN_KEY_CHARS_MIN,
    Email,
    hash_of,
    hash_password,
    new_key,
    new_token,
    password_fault,
    prefix_of,
)
from csms.platform.organisations import Organisation, ensure_default
from csms.rights import DEFAULT_RIGHTS, Area, Caller, Level, Rights, Role
from csms.store import Work, unscoped

TOKEN_LIFE: Final = timedelta(hours=12)
KEYS_MAX: Final = 1000
USERS_MAX: Final = 10_000

# --- Rights


async def rights_of(work: Work, organisation_id: int, role: Role) -> Rights:
    """What the role may do in that organisation: the defaults, or what an administrator made of them."""
    changed = await _changed_rights(work, organisation_id, role)
    return DEFAULT_RIGHTS[role] if changed is None else rights_from(changed.rights)


async def _changed_rights(work: Work, organisation_id: int, role: Role) -> RoleRights | None:
    query = select(RoleRights).where(RoleRights.organisation_id == organisation_id, RoleRights.role == role)
    return (await work.session.exec(query)).first()


def rights_from(words: Mapping[str, str]) -> Rights:
    """Rights as stored, area → word of a level; areas that are missing or unknown give nothing."""
    return {area: Level[words[area].upper()] for area in Area if area in words}


def words_of(rights: Rights) -> dict[str, str]:
    """The reverse: every area with the word of its level."""
    return {area.value: rights.get(area, Level.NONE).name.lower() for area in Area}


def narrowed(rights: Rights, scopes: Mapping[str, str] | None) -> Rights:
    """The rights that remain under a key's scopes: never more than the role has."""
    if scopes is None:
        return rights
    limits = rights_from(scopes)
    return {area: min(level, limits.get(area, Level.NONE)) for area, level in rights.items()}


def check_not_above(caller: Caller, rights: Rights) -> None:
    """Raises Forbidden where the rights exceed the caller's: nobody gives, or takes from others, what they lack."""
    beyond = [area.value for area, level in rights.items() if not caller.may(area, level)]
    if beyond:
        raise Forbidden(f"this needs rights that you lack yourself: {', '.join(beyond)}; ask an administrator")


async def change_role_rights(work: Work, organisation_id: int, role: Role, rights: Rights) -> Rights:
    """Set what the role may do. Raises Conflict where administrators would lose control of access."""
    if role is Role.ADMINISTRATOR and rights.get(Area.ACCESS_CONTROL, Level.NONE) < Level.WRITE:
        raise Conflict("administrators must keep access_control: write, or nobody could ever change rights again")
    check_not_above(work.actor, rights)
    check_not_above(work.actor, await rights_of(work, organisation_id, role))
    changed = await _changed_rights(work, organisation_id, role)
    if changed is None:
        work.session.add(RoleRights(organisation_id=organisation_id, role=role, rights=words_of(rights)))
    else:
        changed.rights = words_of(rights)
    return rights


async def _keep_an_administrator(work: Work, organisation_id: int) -> None:
    """Raises Conflict when, after what was flushed so far, nobody in the organisation can change access any more."""
    await work.session.flush()
    users = select(func.count()).where(
        User.organisation_id == organisation_id, User.role == Role.ADMINISTRATOR, col(User.is_active).is_(True)
    )
    keys = select(func.count()).where(
        ApiKey.organisation_id == organisation_id,
        ApiKey.role == Role.ADMINISTRATOR,
        col(ApiKey.scopes).is_(None),
        col(ApiKey.revoked_at).is_(None),
        col(ApiKey.expires_at).is_(None),
    )
    left = (await work.session.exec(users)).one() + (await work.session.exec(keys)).one()
    if not left:
        raise Conflict("this is the last administrator; make another administrator (a user or a key) first")


async def _lock(work: Work, organisation_id: int) -> None:
    """One change of administrators at a time: two that remove each other must not both succeed."""
    await work.session.exec(select(Organisation).where(Organisation.id == organisation_id).with_for_update())


# --- Organisations


async def create_organisation(work: Work, name: str) -> Organisation:
    """A further organisation; only the operator of the installation may (command line). Raises Conflict."""
    taken = (await work.session.exec(select(Organisation).where(Organisation.name == name))).first()
    if taken is not None:
        raise Conflict(f"there is an organisation «{name}» already; choose another name")
    organisation = Organisation(name=name, created_at=work.now)
    work.session.add(organisation)
    await work.session.flush()
    return organisation


async def get_organisation(work: Work, organisation_id: int) -> Organisation:
    found = await work.session.get(Organisation, organisation_id)
    if found is None:
        raise NotFound("your organisation no longer exists")
    return found


async def rename_organisation(work: Work, organisation_id: int, name: str) -> Organisation:
    """Raises Conflict if another organisation has that name."""
    organisation = await get_organisation(work, organisation_id)
    taken = (await work.session.exec(select(Organisation).where(Organisation.name == name))).first()
    if taken is not None and taken.id != organisation_id:
        raise Conflict("that name is taken; choose another")
    organisation.name = name
    return organisation


# --- Keys


async def create_key(
    work: Work,
    organisation_id: int,
    name: str,
    role: Role,
    *,
    scopes: Mapping[str, str] | None = None,
    expires_at: datetime | None = None,
    given: str | None = None,
) -> tuple[ApiKey, str]:
    """Make a key; returns its row and the key itself, which nobody can see again. `given` is a key of one's own.

    Raises Invalid for an expiry in the past, Forbidden for rights beyond the actor's, Conflict above KEYS_MAX.
    """
    if expires_at is not None and expires_at <= work.now:
        raise Invalid("expires_at must lie in the future", place="body/expires_at")
    check_not_above(work.actor, narrowed(await rights_of(work, organisation_id, role), scopes))
    count = select(func.count()).where(ApiKey.organisation_id == organisation_id)
    if (await work.session.exec(count)).one() >= KEYS_MAX:
        raise Conflict(f"an organisation may have {KEYS_MAX} keys; delete revoked ones first")
    secret, prefix = new_key() if given is None else (given, prefix_of(given))
    key = ApiKey(
        organisation_id=organisation_id,
        name=name,
        role=role,
        scopes=None if scopes is None else dict(scopes),
        prefix=prefix,
        secret_hash=hash_of(secret),
        created_at=work.now,
        created_by=work.actor.name,
        expires_at=expires_at,
    )
    work.session.add(key)
    await work.session.flush()
    return key, secret


async def get_key(work: Work, key_id: int) -> ApiKey:
    """Raises NotFound, also for other organisations' keys."""
    found = (await work.session.exec(select(ApiKey).where(ApiKey.id == key_id))).first()
    if found is None:
        raise NotFound("there is no such key; GET /api/v1/keys lists yours")
    return found


async def revoke_key(work: Work, key_id: int) -> ApiKey:
    """Make the key useless from now on; a revoked one stays as it is. Raises Conflict for the last administrator."""
    key = await get_key(work, key_id)
    check_not_above(work.actor, narrowed(await rights_of(work, key.organisation_id, key.role), key.scopes))
    if key.revoked_at is None:
        await _lock(work, key.organisation_id)
        key.revoked_at = work.now
        if key.role is Role.ADMINISTRATOR:
            await _keep_an_administrator(work, key.organisation_id)
    return key


async def ensure_admin_key(work: Work, given: str | None) -> str | None:
    """Give a new installation its first administrator's key; returns it if it was made here, to be printed once.

    With `given` (CSMS_ADMIN_KEY) that key is made to exist; one that was revoked stays revoked. Without, a key is made
    only if the default organisation never had any. Raises Invalid for a given key that is too short.
    """
    organisation = await ensure_default(work)
    if given is not None:
        await _ensure_given(work, organisation.id, given)
        return None
    had_any = (await work.session.exec(select(ApiKey.id).where(ApiKey.organisation_id == organisation.id))).first()
    if had_any is not None:
        return None
    _, secret = await create_key(work, organisation.id, "first administrator", Role.ADMINISTRATOR)
    return secret


async def _ensure_given(work: Work, organisation_id: int, given: str) -> None:
    if len(given) < GIVEN_KEY_CHARS_MIN:
        raise Invalid(f"CSMS_ADMIN_KEY needs at least {GIVEN_KEY_CHARS_MIN} characters; try `openssl rand -hex 24`")
    known = (await work.session.exec(select(ApiKey.id).where(ApiKey.secret_hash == hash_of(given)))).first()
    if known is None:
        await create_key(work, organisation_id, "CSMS_ADMIN_KEY", Role.ADMINISTRATOR, given=given)


# --- Users

_EMAIL: Final = TypeAdapter(Email)


def read_email(text: str) -> str:
    """The address as it is stored and logged in with. Raises Invalid for what is none."""
    try:
        return _EMAIL.validate_python(text)
    except ValidationError:
        raise Invalid(f"{text} is no e-mail address; write name@example.com", place="body/email") from None


def check_password(password: str, email: str = "", *, place: str | None = "body/password") -> None:
    """Raises Invalid for a password that is too short or too common."""
    fault = password_fault(password, email)
    if fault is not None:
        raise Invalid(fault, place=place)


async def create_user(
    work: Work, organisation_id: int, *, email: str, name: str, role: Role, password_hash: str
) -> User:
    """Add a person; `password_hash` from `rules.hash_password` after `check_password`.

    Raises Conflict if the e-mail is taken, by whomever; Forbidden for a role above the actor's.
    """
    check_not_above(work.actor, await rights_of(work, organisation_id, role))
    email = email.lower()
    with unscoped(work.session):
        taken = (await work.session.exec(select(User.id).where(User.email == email))).first()
    if taken is not None:
        raise Conflict("there is a user with that e-mail address already")
    count = select(func.count()).where(User.organisation_id == organisation_id)
    if (await work.session.exec(count)).one() >= USERS_MAX:
        raise Conflict(f"an organisation may have {USERS_MAX} users")
    user = User(
        organisation_id=organisation_id,
        email=email,
        name=name,
        role=role,
        password_hash=password_hash,
        created_at=work.now,
    )
    work.session.add(user)
    await work.session.flush()
    return user


async def get_user(work: Work, user_id: int) -> User:
    """Raises NotFound, also for other organisations' users."""
    found = (await work.session.exec(select(User).where(User.id == user_id))).first()
    if found is None:
        raise NotFound("there is no such user; GET /api/v1/users lists yours")
    return found


async def find_login(work: Work, email: str) -> User | None:
    """The active person of that e-mail, over all organisations: who logs in has none yet."""
    query = select(User).where(User.email == email.lower(), col(User.is_active).is_(True))
    return (await work.session.exec(query)).first()


async def change_user(
    work: Work, user_id: int, *, name: str | None = None, role: Role | None = None, is_active: bool | None = None
) -> User:
    """Change what is not None. Raises Conflict for the last administrator, Forbidden for people above the actor."""
    user = await _user_below(work, user_id)
    if role is not None:
        check_not_above(work.actor, await rights_of(work, user.organisation_id, role))
    await _lock(work, user.organisation_id)
    was_administrator = user.role is Role.ADMINISTRATOR and user.is_active
    if name is not None:
        user.name = name
    if role is not None:
        user.role = role
    if is_active is not None:
        user.is_active = is_active
    if not user.is_active:
        await end_logins(work, user)
    if was_administrator and not (user.role is Role.ADMINISTRATOR and user.is_active):
        await _keep_an_administrator(work, user.organisation_id)
    return user


async def set_password(work: Work, user: User, password_hash: str) -> None:
    """A new password ends every login of the person."""
    user.password_hash = password_hash
    await end_logins(work, user)


async def reset_password(work: Work, user_id: int, password_hash: str) -> User:
    """Set somebody's password. Raises Forbidden for people with more rights than the actor."""
    user = await _user_below(work, user_id)
    await set_password(work, user, password_hash)
    return user


async def delete_user(work: Work, user_id: int) -> None:
    """Raises Conflict for the last administrator, Forbidden for people above the actor."""
    user = await _user_below(work, user_id)
    await _lock(work, user.organisation_id)
    await work.session.exec(delete(LoginToken).where(col(LoginToken.user_id) == user.id))
    await work.session.delete(user)
    if user.role is Role.ADMINISTRATOR and user.is_active:
        await _keep_an_administrator(work, user.organisation_id)


async def _user_below(work: Work, user_id: int) -> User:
    user = await get_user(work, user_id)
    check_not_above(work.actor, await rights_of(work, user.organisation_id, user.role))
    return user


# --- Logins


async def start_login(work: Work, user: User, life: timedelta = TOKEN_LIFE) -> tuple[LoginToken, str]:
    """A token for the person, who has proved to be it: its row and the token itself. Expired ones go."""
    await work.session.exec(
        delete(LoginToken).where(col(LoginToken.user_id) == user.id, col(LoginToken.expires_at) <= work.now)
    )
    secret = new_token()
    token = LoginToken(
        organisation_id=user.organisation_id,
        user_id=user.id,
        secret_hash=hash_of(secret),
        created_at=work.now,
        expires_at=work.now + life,
    )
    work.session.add(token)
    found = await get_user(work, user.id)
    found.last_login_at = work.now
    return token, secret


async def end_login(work: Work, secret: str) -> None:
    """Revoke this token; does nothing for one that is not there."""
    await work.session.exec(
        update(LoginToken).where(col(LoginToken.secret_hash) == hash_of(secret)).values(revoked_at=work.now)
    )


async def end_logins(work: Work, user: User) -> None:
    """Revoke all tokens of the person."""
    await work.session.exec(
        update(LoginToken)
        .where(col(LoginToken.user_id) == user.id, col(LoginToken.revoked_at).is_(None))
        .values(revoked_at=work.now)
    )


async def list_role_rights(work: Work, organisation_id: int) -> Sequence[tuple[Role, Rights]]:
    """All roles with their rights in that organisation."""
    return [(role, await rights_of(work, organisation_id, role)) for role in Role]


async def add_user(  # noqa: PLR0917  # in the order of the command's own arguments
    work: Work, organisation_id: int, email: str, name: str, role: Role, password: str
) -> User:
    """For the command line: check and hash the password, and add the person. Raises as `create_user`, and Invalid."""
    check_password(password, email, place=None)
    password_hash = await asyncio.to_thread(hash_password, password)
    return await create_user(work, organisation_id, email=email, name=name, role=role, password_hash=password_hash)
