"""P1, P2: keys, users, logins and rights over the API and in memory."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel import select

from csms.clock import FixedClock
from csms.exceptions import Conflict, Invalid, TooMany, Unauthorized
from csms.platform.access import (
    Access,
    ApiKey,
    LoginToken,
    User,
    add_user,
    create_key,
    create_organisation,
    ensure_admin_key,
)
from csms.platform.access.rules import is_password, new_key, new_token, password_fault
from csms.rights import Role
from csms.runtime import Runtime
from csms.store import Store
from tests.api_client import ApiAs
from tests.builders import make_organisation

PASSWORD = "granite otter plays cello"
KARI = {"email": "Kari@Example.com", "name": "Kari", "role": "superuser", "password": PASSWORD}


async def log_in(
    client: httpx.AsyncClient, password: str = PASSWORD, email: str = "kari@example.com"
) -> httpx.Response:
    return await client.post("/api/v1/login", json={"email": email, "password": password})


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


# --- Keys


@pytest.mark.feature("P2")
async def test_key_is_shown_once_works_and_is_refused_after_revocation(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    made = await api.post("/api/v1/keys", json={"name": "export", "role": "user"})
    assert made.status_code == 201, made.text
    key = made.json()
    assert key["key"].startswith(f"csms_{key['prefix']}_")
    assert (await anonymous.get("/api/v1/me", headers=bearer(key["key"]))).json()["role"] == "user"
    assert "key" not in (await api.get(f"/api/v1/keys/{key['id']}")).json()
    assert (await api.delete(f"/api/v1/keys/{key['id']}")).status_code == 200
    assert (await anonymous.get("/api/v1/me", headers=bearer(key["key"]))).status_code == 401


@pytest.mark.feature("P2")
async def test_only_the_hash_of_a_key_is_stored(api: httpx.AsyncClient, store: Store) -> None:
    key = (await api.post("/api/v1/keys", json={"name": "export"})).json()["key"]
    async with store.reading() as work:
        rows = (await work.session.exec(select(ApiKey))).all()
    assert all(key.split("_", 2)[2] not in repr(row) for row in rows)


@pytest.mark.feature("P2")
async def test_key_ends_when_it_expires(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient, clock: FixedClock
) -> None:
    expires_at = (clock() + timedelta(seconds=3)).isoformat()
    key = (await api.post("/api/v1/keys", json={"name": "short", "expires_at": expires_at})).json()["key"]
    assert (await anonymous.get("/api/v1/me", headers=bearer(key))).status_code == 200
    clock.advance(seconds=3)  # sooner than it is read anew
    assert (await anonymous.get("/api/v1/me", headers=bearer(key))).status_code == 401


async def test_expiry_in_the_past_is_refused(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/v1/keys", json={"name": "old", "expires_at": "2020-01-01T00:00:00Z"})
    assert (answer.status_code, answer.json()["errors"][0]["place"]) == (422, "body/expires_at")


@pytest.mark.feature("P2")
async def test_scopes_narrow_what_a_key_may_do(api: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    body = {"name": "reader", "role": "administrator", "scopes": {"data_access": "read"}}
    key = (await api.post("/api/v1/keys", json=body)).json()["key"]
    rights = (await anonymous.get("/api/v1/me", headers=bearer(key))).json()["rights"]
    assert rights.pop("data_access") == "read"
    assert set(rights.values()) == {"none"}
    assert (await anonymous.get("/api/v1/keys", headers=bearer(key))).status_code == 403


@pytest.mark.feature("P1")
async def test_nobody_gives_rights_that_they_lack(api: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    body = {"name": "doorkeeper", "role": "administrator", "scopes": {"access_control": "write"}}
    doorkeeper = bearer((await api.post("/api/v1/keys", json=body)).json()["key"])
    for path, more in [
        ("/api/v1/keys", {"name": "more", "role": "administrator"}),
        ("/api/v1/keys", {"name": "more", "role": "user"}),
        ("/api/v1/users", KARI),
    ]:
        answer = await anonymous.post(path, json=more, headers=doorkeeper)
        assert answer.status_code == 403, answer.text
        assert "data_access" in answer.json()["detail"]
    every = {"rights": dict.fromkeys(["data_access", "access_control"], "write")}
    assert (await anonymous.put("/api/v1/role-rights/user", json=every, headers=doorkeeper)).status_code == 403


@pytest.mark.feature("P2")
async def test_use_of_a_key_is_noted_at_most_once_a_minute(runtime: Runtime, store: Store, clock: FixedClock) -> None:
    organisation = await make_organisation(store)
    async with store.writing() as work:
        key, secret = await create_key(work, organisation.id, "export", Role.USER)
    access = Access(runtime.settings)
    noted = []
    for _ in range(4):
        await access.authenticate(runtime, secret, "192.0.2.7")
        async with store.reading() as work:
            noted.append((await work.session.exec(select(ApiKey.last_used_at).where(ApiKey.id == key.id))).one())
        clock.advance(seconds=20)
    start = clock() - timedelta(seconds=80)
    assert noted == [start, start, start, start + timedelta(seconds=60)]


@pytest.mark.feature("P2")
async def test_another_process_sees_a_revocation_within_seconds(
    runtime: Runtime, store: Store, clock: FixedClock
) -> None:
    organisation = await make_organisation(store)
    async with store.writing() as work:
        key, secret = await create_key(work, organisation.id, "export", Role.USER)
    access = Access(runtime.settings)
    await access.authenticate(runtime, secret, "192.0.2.7")
    async with store.writing() as work:
        work.change(ApiKey, key.id, revoked_at=work.now)
    await access.authenticate(runtime, secret, "192.0.2.7")  # still remembered here
    clock.advance(seconds=5)
    with pytest.raises(Unauthorized):
        await access.authenticate(runtime, secret, "192.0.2.7")


@pytest.mark.feature("P2")
async def test_requests_of_a_key_are_limited(runtime: Runtime, store: Store) -> None:
    organisation = await make_organisation(store)
    async with store.writing() as work:
        _, busy = await create_key(work, organisation.id, "busy", Role.USER)
        _, calm = await create_key(work, organisation.id, "calm", Role.USER)
    access = Access(runtime.settings.model_copy(update={"requests_per_minute_max": 3}))
    for _ in range(3):
        await access.authenticate(runtime, busy, "192.0.2.7")
    with pytest.raises(TooMany) as refused:
        await access.authenticate(runtime, busy, "192.0.2.7")
    assert 1 <= refused.value.retry_after_s <= 60
    assert (await access.authenticate(runtime, calm, "192.0.2.7")).name == "calm"


@pytest.mark.feature("P2")
@pytest.mark.robustness(3)
async def test_guesses_of_an_address_are_limited_and_right_keys_still_get_in(runtime: Runtime, store: Store) -> None:
    organisation = await make_organisation(store)
    async with store.writing() as work:
        _, right = await create_key(work, organisation.id, "right", Role.USER)
    access = Access(runtime.settings.model_copy(update={"password_tries_per_minute_max": 5}))
    outcomes = []
    for _ in range(8):
        try:
            await access.authenticate(runtime, new_key()[0], "192.0.2.7")
        except (Unauthorized, TooMany) as error:
            outcomes.append(type(error))
    assert outcomes == [Unauthorized] * 5 + [TooMany] * 3
    with pytest.raises(Unauthorized):  # another address is not to blame
        await access.authenticate(runtime, new_token(), "192.0.2.8")
    assert (await access.authenticate(runtime, right, "192.0.2.7")).name == "right"


@pytest.mark.parametrize("secret", ["", "x", "csms_", "csmst_", "x" * 5000, "\udcff\udcfe", "csms_ab_æøå", "a\x00b"])
async def test_any_text_is_just_an_unknown_key(runtime: Runtime, secret: str) -> None:
    with pytest.raises(Unauthorized):
        await Access(runtime.settings).authenticate(runtime, secret, "192.0.2.7")


@pytest.mark.feature("P1")
async def test_keys_and_users_of_others_do_not_exist(api: httpx.AsyncClient, api_as: ApiAs, store: Store) -> None:
    other = await api_as("administrator", await make_organisation(store, "Other"))
    key = (await other.post("/api/v1/keys", json={"name": "theirs"})).json()
    user = (await other.post("/api/v1/users", json=KARI)).json()
    for method, path in [
        ("GET", f"/api/v1/keys/{key['id']}"),
        ("DELETE", f"/api/v1/keys/{key['id']}"),
        ("GET", f"/api/v1/users/{user['id']}"),
        ("DELETE", f"/api/v1/users/{user['id']}"),
    ]:
        assert (await api.request(method, path)).status_code == 404, path
    assert "theirs" not in (await api.get("/api/v1/keys")).text
    assert "Kari" not in (await api.get("/api/v1/users")).text


@pytest.mark.feature("P2")
@pytest.mark.robustness(3)
async def test_the_addresses_of_one_network_are_one_source(runtime: Runtime) -> None:
    access = Access(runtime.settings.model_copy(update={"password_tries_per_minute_max": 2}))
    for number in (1, 2):
        with pytest.raises(Unauthorized):
            await access.authenticate(runtime, new_key()[0], f"2001:db8::{number}")
    with pytest.raises(TooMany):
        await access.authenticate(runtime, new_key()[0], "2001:db8::3")
    with pytest.raises(Unauthorized):
        await access.authenticate(runtime, new_key()[0], "2001:db8:0:1::1")


# --- The first start


async def test_first_start_makes_one_administrators_key(runtime: Runtime, store: Store) -> None:
    async with store.writing() as work:
        made = await ensure_admin_key(work, None)
    assert made is not None
    caller = await Access(runtime.settings).authenticate(runtime, made, "127.0.0.1")
    assert caller.role is Role.ADMINISTRATOR
    async with store.writing() as work:
        assert await ensure_admin_key(work, None) is None


async def test_given_key_is_made_once_and_stays_revoked(runtime: Runtime, store: Store, clock: FixedClock) -> None:
    given = "an operator chose these words"
    access = Access(runtime.settings)
    for _ in range(2):
        async with store.writing() as work:
            assert await ensure_admin_key(work, given) is None
    assert (await access.authenticate(runtime, given, "127.0.0.1")).role is Role.ADMINISTRATOR
    async with store.writing() as work:
        [key] = (await work.session.exec(select(ApiKey))).all()
        assert given[:6] not in key.prefix
        key.revoked_at = work.now
    async with store.writing() as work:
        await ensure_admin_key(work, given)
    clock.advance(seconds=5)
    with pytest.raises(Unauthorized):
        await access.authenticate(runtime, given, "127.0.0.1")


async def test_short_given_key_is_refused(store: Store) -> None:
    async with store.writing() as work:
        with pytest.raises(Invalid, match="24 characters"):
            await ensure_admin_key(work, "short")


async def test_organisation_names_are_unique(store: Store) -> None:
    async with store.writing() as work:
        await create_organisation(work, "Fjord")
        with pytest.raises(Conflict):
            await create_organisation(work, "Fjord")


# --- Users and logins


@pytest.mark.feature("P2")
async def test_login_gives_a_token_that_logout_ends(api: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    assert (await api.post("/api/v1/users", json=KARI)).status_code == 201
    login = await log_in(anonymous, email="KARI@example.com")
    assert login.status_code == 200, login.text
    headers = bearer(login.json()["token"])
    me = (await anonymous.get("/api/v1/me", headers=headers)).json()
    assert (me["kind"], me["name"], me["role"]) == ("user", "kari@example.com", "superuser")
    assert (await anonymous.post("/api/v1/logout", headers=headers)).status_code == 204
    assert (await anonymous.get("/api/v1/me", headers=headers)).status_code == 401


async def test_a_key_cannot_log_out(api: httpx.AsyncClient) -> None:
    assert (await api.post("/api/v1/logout")).status_code == 422


@pytest.mark.feature("P2")
async def test_login_ends_after_twelve_hours(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient, clock: FixedClock
) -> None:
    await api.post("/api/v1/users", json=KARI)
    headers = bearer((await log_in(anonymous)).json()["token"])
    clock.advance(hours=11, minutes=59)
    assert (await anonymous.get("/api/v1/me", headers=headers)).status_code == 200
    clock.advance(minutes=1)
    assert (await anonymous.get("/api/v1/me", headers=headers)).status_code == 401


@pytest.mark.robustness(2)
async def test_unknown_person_and_wrong_password_look_the_same(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    await api.post("/api/v1/users", json=KARI)
    unknown = await log_in(anonymous, email="nobody@example.com")
    wrong = await log_in(anonymous, "granite otter plays piano")
    assert (unknown.status_code, unknown.json()) == (wrong.status_code, wrong.json())
    assert unknown.status_code == 401


def test_unknown_person_costs_a_whole_password_check() -> None:
    assert is_password(PASSWORD, None) is False


@pytest.mark.feature("P2")
@pytest.mark.robustness(3)
async def test_failed_logins_are_limited(
    app: FastAPI, runtime: Runtime, api: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    await api.post("/api/v1/users", json=KARI)
    app.state.authenticator = Access(runtime.settings.model_copy(update={"password_tries_per_minute_max": 2}))
    statuses = [(await log_in(anonymous, "wrong wrong wrong")).status_code for _ in range(3)]
    assert statuses == [401, 401, 429]
    refused = await log_in(anonymous)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1


@pytest.mark.feature("P2")
@pytest.mark.robustness(3)
async def test_many_tries_at_once_are_not_all_answered(
    app: FastAPI, runtime: Runtime, api: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    """Otherwise whoever opens a thousand connections has a thousand guesses in a minute."""
    await api.post("/api/v1/users", json=KARI)
    app.state.authenticator = Access(runtime.settings.model_copy(update={"password_tries_per_minute_max": 2}))
    answers = await asyncio.gather(*(log_in(anonymous, f"wrong wrong wrong {number}") for number in range(10)))
    assert sum(answer.status_code != 429 for answer in answers) <= 3, "two, and one that was being checked meanwhile"


@pytest.mark.feature("P2")
@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("short", "at least 12"),
        ("password1234", "tried first"),
        ("PassWordPassWord", "tried first"),
        ("aaaaaaaaaaaaaaaa", "tried first"),
        ("kari-larsen-2026", "e-mail"),
        ("x1y2" * 100, "at most"),
    ],
)
def test_weak_passwords_are_refused(password: str, fault: str) -> None:
    assert fault in (password_fault(password, "kari-larsen@example.com") or "")


def test_ordinary_words_make_a_good_password() -> None:
    assert password_fault(PASSWORD, "kari@example.com") is None


@pytest.mark.feature("P2")
async def test_new_password_ends_all_logins(api: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    user = (await api.post("/api/v1/users", json=KARI)).json()
    headers = bearer((await log_in(anonymous)).json()["token"])
    new = {"current": PASSWORD, "new": "another long pass phrase"}
    assert (await anonymous.put("/api/v1/me/password", json=new, headers=headers)).status_code == 204
    assert (await anonymous.get("/api/v1/me", headers=headers)).status_code == 401
    assert (await log_in(anonymous)).status_code == 401
    headers = bearer((await log_in(anonymous, new["new"])).json()["token"])
    reset = await api.put(f"/api/v1/users/{user['id']}/password", json={"password": "a third long phrase"})
    assert reset.status_code == 204
    assert (await anonymous.get("/api/v1/me", headers=headers)).status_code == 401


async def test_own_password_needs_the_current_one(api: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    await api.post("/api/v1/users", json=KARI)
    headers = bearer((await log_in(anonymous)).json()["token"])
    body = {"current": "not the right one", "new": "another long pass phrase"}
    assert (await anonymous.put("/api/v1/me/password", json=body, headers=headers)).status_code == 401
    assert (await log_in(anonymous)).status_code == 200


@pytest.mark.feature("P1")
async def test_deactivated_and_deleted_people_are_out_at_once(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient, store: Store
) -> None:
    user = (await api.post("/api/v1/users", json=KARI)).json()
    headers = bearer((await log_in(anonymous)).json()["token"])
    assert (await api.patch(f"/api/v1/users/{user['id']}", json={"is_active": False})).status_code == 200
    assert (await anonymous.get("/api/v1/me", headers=headers)).status_code == 401
    assert (await log_in(anonymous)).status_code == 401
    assert (await api.delete(f"/api/v1/users/{user['id']}")).status_code == 204
    async with store.reading() as work:
        assert (await work.session.exec(select(User))).all() == []
        assert (await work.session.exec(select(LoginToken))).all() == []


@pytest.mark.feature("P1")
async def test_change_of_role_holds_at_once(api: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> None:
    user = (await api.post("/api/v1/users", json=KARI)).json()
    headers = bearer((await log_in(anonymous)).json()["token"])
    assert (await anonymous.get("/api/v1/keys", headers=headers)).status_code == 403
    await api.patch(f"/api/v1/users/{user['id']}", json={"role": "administrator"})
    assert (await anonymous.get("/api/v1/keys", headers=headers)).status_code == 200


async def test_email_is_unique_over_the_installation(api: httpx.AsyncClient, api_as: ApiAs, store: Store) -> None:
    assert (await api.post("/api/v1/users", json=KARI)).status_code == 201
    other = await api_as("administrator", await make_organisation(store, "Other"))
    taken = await other.post("/api/v1/users", json={**KARI, "email": "kari@EXAMPLE.com"})
    assert taken.status_code == 409


async def test_command_line_adds_people_by_the_same_rules(store: Store, anonymous: httpx.AsyncClient) -> None:
    organisation = await make_organisation(store)
    async with store.writing() as work:
        with pytest.raises(Invalid, match="at least 12"):
            await add_user(work, organisation.id, "kari@example.com", "Kari", Role.USER, "short")
        await add_user(work, organisation.id, "Kari@example.com", "Kari", Role.USER, PASSWORD)
    assert (await log_in(anonymous)).status_code == 200


# --- The last administrator, the rights of roles


@pytest.mark.feature("P1")
async def test_last_administrator_can_be_neither_demoted_nor_removed(
    api: httpx.AsyncClient, anonymous: httpx.AsyncClient, store: Store
) -> None:
    kari = (await api.post("/api/v1/users", json={**KARI, "role": "administrator"})).json()
    headers = bearer((await log_in(anonymous)).json()["token"])
    [key] = [one for one in (await api.get("/api/v1/keys")).json()["items"] if one["role"] == "administrator"]
    assert (await anonymous.delete(f"/api/v1/keys/{key['id']}", headers=headers)).status_code == 200
    path = f"/api/v1/users/{kari['id']}"
    for change in ({"role": "user"}, {"is_active": False}):
        assert (await anonymous.patch(path, json=change, headers=headers)).status_code == 409
    assert (await anonymous.delete(path, headers=headers)).status_code == 409
    assert (await anonymous.patch(path, json={"name": "Kari N."}, headers=headers)).status_code == 200
    async with store.reading() as work:
        user = (await work.session.exec(select(User))).one()
    assert (user.role, user.is_active, user.name) == (Role.ADMINISTRATOR, True, "Kari N.")


@pytest.mark.feature("P1")
async def test_two_administrators_who_remove_each_other_do_not_both_succeed(
    api: httpx.AsyncClient, api_as: ApiAs
) -> None:
    other = await api_as("administrator")
    first, second = [
        one["id"] for one in (await api.get("/api/v1/keys")).json()["items"] if one["role"] == "administrator"
    ]
    answers = await asyncio.gather(api.delete(f"/api/v1/keys/{first}"), other.delete(f"/api/v1/keys/{second}"))
    assert 200 in [answer.status_code for answer in answers]
    assert [answer.status_code for answer in answers] != [200, 200]


@pytest.mark.feature("P1")
async def test_administrator_changes_what_other_roles_may_do(api: httpx.AsyncClient, api_as: ApiAs) -> None:
    reader = await api_as("user")
    assert (await reader.get("/api/v1/audit-log")).status_code == 403
    rights = {"rights": {"data_access": "read", "access_control": "read"}}
    assert (await api.put("/api/v1/role-rights/user", json=rights)).status_code == 200
    assert (await reader.get("/api/v1/audit-log")).status_code == 200
    shown = {one["role"]: one["rights"] for one in (await api.get("/api/v1/role-rights")).json()["items"]}
    assert (shown["user"]["access_control"], shown["user"]["operation"]) == ("read", "none")
    assert shown["superuser"]["operation"] == "write"


@pytest.mark.feature("P1")
async def test_administrators_keep_control_of_access(api: httpx.AsyncClient) -> None:
    answer = await api.put("/api/v1/role-rights/administrator", json={"rights": {"access_control": "read"}})
    assert answer.status_code == 409


@pytest.mark.feature("P1")
async def test_changed_rights_hold_only_in_their_organisation(
    api: httpx.AsyncClient, api_as: ApiAs, store: Store
) -> None:
    await api.put("/api/v1/role-rights/user", json={"rights": {}})
    theirs = await api_as("user", await make_organisation(store, "Other"))
    assert (await theirs.get("/api/v1/organisations/current")).json()["name"] == "Other"
    ours = await api_as("user")
    assert (await ours.get("/api/v1/organisations/current")).status_code == 403


async def test_organisation_can_be_renamed_but_not_to_a_taken_name(api: httpx.AsyncClient, store: Store) -> None:
    await make_organisation(store, "Taken")
    assert (await api.patch("/api/v1/organisations/current", json={"name": "Taken"})).status_code == 409
    assert (await api.patch("/api/v1/organisations/current", json={"name": "Fjord"})).json()["name"] == "Fjord"


async def test_keys_are_paged_newest_first(api: httpx.AsyncClient) -> None:
    for number in range(3):
        await api.post("/api/v1/keys", json={"name": f"key {number}"})
    first = (await api.get("/api/v1/keys", params={"limit": 2})).json()
    assert [one["name"] for one in first["items"]] == ["key 2", "key 1"]
    second = (await api.get("/api/v1/keys", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert second["items"][0]["name"] == "key 0"
    assert second["next_cursor"] is None
