"""P1, P2: who may come in, and what they may do: users, roles, API keys, login tokens, rate limits."""

from csms.platform.access.authentication import Access
from csms.platform.access.model import ApiKey, LoginToken, RoleRights, User
from csms.platform.access.rules import hash_password
from csms.platform.access.service import (
    add_user,
    check_password,
    create_key,
    create_organisation,
    create_user,
    ensure_admin_key,
    read_email,
)

NEEDS = ("platform.organisations",)
__all__ = [
    "Access",
    "ApiKey",
    "LoginToken",
    "RoleRights",
    "User",
    "add_user",
    "check_password",
    "create_key",
    "create_organisation",
    "create_user",
    "ensure_admin_key",
    "hash_password",
    "read_email",
]
