"""`./run staff-add`: the first account of an institution, or a regulator's; others are opened on the pages."""

from __future__ import annotations

from sqlalchemy import select

from player_server.app import open_services
from player_server.learning.services import Services
from player_server.learning.staff_accounts import Fault, StaffFault, Wanted, open_account
from player_server.operating.where import CommandError, Where
from player_server.policy.roles import Role
from player_server.storage import audit
from player_server.storage.tables import institution
from player_server.storage.upsert import insert

_FAULTS = {
    Fault.USERNAME: "a user name has 3 to 40 letters, digits, dots, dashes, underscores or @",
    Fault.TAKEN: "this user name is taken",
    Fault.NAME: "--name: 1 to 50 characters",
    Fault.ROLE: "--role: owner or auditor with --institution, regulator without",
    Fault.CLASSES: "a teacher's classes are given by the institution's owner, on its page of staff",
}


async def staff_add(
    where: Where, username: str, *, name: str | None, role: str, institution_name: str | None, new: bool
) -> int:
    """Open the account and print its password, once."""
    if (role == Role.REGULATOR) == (institution_name is not None):
        raise CommandError("say whose it is: --institution NAME, or --role regulator without one")
    if where.settings().data.redis_url is None:
        # Nothing of it asks Redis, and the embedded one may not be running; nobody ever connects to this.
        where.overrides.setdefault("data", {})["redis_url"] = "redis://127.0.0.1:1"
    async with open_services(where.settings_without_redis()) as services:
        institution_id = None
        if institution_name is not None:
            institution_id = await _institution(services, institution_name.strip(), new)
        try:
            _, secret = await open_account(
                services,
                actor="system",
                institution_id=institution_id,
                username=username,
                wanted=Wanted(name=(name or username).strip(), role=role, classes=()),
                address="command line",
            )
        except StaffFault as error:
            raise CommandError(_FAULTS[error.fault]) from None
    print(f"{username} ({role}) can log in at /staff/login with this password, and must then choose another:")
    print(f"  {secret}")
    return 0


async def _institution(services: Services, name: str, new: bool) -> int:
    async with services.db.write() as conn:
        found = await conn.scalar(select(institution.c.id).where(institution.c.name == name))
        if found is not None:
            return int(found)
        if not new or not name:
            raise CommandError(f"there is no institution {name!r}; --new makes it")
        now = (await services.clock.read(conn)).ms
        made = await conn.execute(
            insert(conn, institution).values(name=name, created_at=now).returning(institution.c.id)
        )
        institution_id = int(made.scalar_one())
        await audit.record(
            conn,
            at=now,
            actor="system",
            institution_id=institution_id,
            action="open_institution",
            target=f"institution:{institution_id}",
            result="ok",
            address="command line",
        )
    return institution_id
