"""`./run staff-add`: the first account of an institution, made from the command line."""

from pathlib import Path

import pytest
import yaml
from sqlalchemy import select

from player_server.auth.passwords import verify_password
from player_server.operating.staff import staff_add
from player_server.operating.where import CommandError, Where
from player_server.storage.database import Database
from player_server.storage.tables import audit, institution, staff


async def test_it_opens_an_owner_and_a_regulator_and_says_what_is_wrong(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.yaml"
    tree = {"server": {"insecure_http": True}, "data": {"folder": str(tmp_path), "database_url": database_url}}
    config.write_text(yaml.safe_dump(tree))
    where = Where((config,), {})

    async def add(username: str, role: str, place: str | None, *, new: bool = False) -> None:
        await staff_add(where, username, name=None, role=role, institution_name=place, new=new)

    for arguments in (("zhao", "owner", None), ("zhao", "regulator", "机构"), ("zhao", "owner", "机构")):
        with pytest.raises(CommandError):
            await add(*arguments)
    await add("zhao", "owner", "机构", new=True)
    secret = capsys.readouterr().out.split()[-1]
    await add("inspector", "regulator", None)
    with pytest.raises(CommandError, match="taken"):
        await add("zhao", "owner", "机构")
    db = Database(database_url)
    async with db.read() as conn:
        rows = {row.username: row for row in await conn.execute(select(staff))}
        assert (await conn.scalars(select(institution.c.name))).all() == ["机构"]
        actions = (await conn.scalars(select(audit.c.action).order_by(audit.c.id))).all()
    await db.close()
    assert rows["inspector"].institution_id is None and rows["zhao"].must_change
    assert await verify_password(secret, rows["zhao"].password_hash)
    assert list(actions) == ["open_institution", "open_staff_account", "open_staff_account"]
