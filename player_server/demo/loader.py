"""Loads the demo once: an institution, the demo course, three learners, staff of each role and an exam service.

All of it goes through the same use cases as real data. The accounts' secrets are random, made here, and kept in
`demo-accounts.txt` of the data folder, so that every start can show them again.
"""

from __future__ import annotations

import os
import secrets
from datetime import timedelta
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.auth.initial_secrets import ALPHABET
from player_server.auth.passwords import hash_password
from player_server.learning.course_import import import_course
from player_server.learning.people import create_learner, enrol
from player_server.learning.services import Services
from player_server.policy.id_number import check_character
from player_server.policy.periods import china_day
from player_server.policy.roles import Role
from player_server.storage.clock import wall_ms
from player_server.storage.staff_tables import staff_class
from player_server.storage.tables import institution, person, service_client, staff
from player_server.storage.upsert import insert

COURSE = Path(__file__).parent / "course"
INSTITUTION = "示例培训中心"
PROGRAMME = "demo"
CLASS = "2026 年第 1 期"
STAFF = "demo-staff"
#: One of every other role: the teacher has the demo's class, the regulator belongs to no institution.
COLLEAGUES = (
    (Role.TEACHER, "demo-teacher", "陈老师"),
    (Role.AUDITOR, "demo-auditor", "周审计"),
    (Role.REGULATOR, "demo-regulator", "省监管员"),
)
EXAM_CLIENT = "exam-demo"
ACCOUNTS_FILE = "demo-accounts.txt"
KEY_FILE = "exam-client.pem"
DEADLINE_DAYS = 60
#: As in the demo programme: everything is due this long before the certificate expires.
DUE_BEFORE_EXPIRY_DAYS = 30
CERTIFICATE_DAYS = 3 * 365

_DAY_MS = 86_400_000
_CHINA_MS = 8 * 3_600_000
# Area 320199 was never given to any district, so these numbers belong to nobody.
_ZHANG = "32019919900101001"
_LI = "32019919920202002"
_WANG = "32019919880808004"


class DemoError(Exception):
    """The demo cannot be loaded; the message says why."""


class DemoLearner(msgspec.Struct, frozen=True):
    """`initial`: the secret opens only the page where a password is chosen."""

    learner_id: int
    name: str
    id_number: str
    secret: str
    initial: bool
    note: str = ""


class DemoStaff(msgspec.Struct, frozen=True):
    """A member of staff besides the owner."""

    role: str
    username: str
    password: str


class DemoAccounts(msgspec.Struct, frozen=True):
    """Everything somebody needs to try the demo. `key_file` is the exam service's private key."""

    learners: tuple[DemoLearner, ...] = ()
    staff: str = STAFF
    staff_password: str = ""
    colleagues: tuple[DemoStaff, ...] = ()
    exam_client: str = EXAM_CLIENT
    key_file: str = ""

    def lines(self, url: str, typed: str = "") -> list[str]:
        """What to print after a start at `url`; `typed` is how its address was given (`Where.typed`)."""
        if not self.learners:
            return [f"The demo's secrets are gone ({ACCOUNTS_FILE} is missing); ./run --fresh starts over."]
        lines = ["Learners, at /login:"]
        for each in self.learners:
            kind = "initial password, choose your own" if each.initial else "password"
            lines.append(f"  {each.name}  {each.id_number}  {each.secret}  ({each.note or kind})")
        lines.append("Institution's staff, at /staff/login:")
        lines.append(f"  {self.staff}  {self.staff_password}  (owner)")
        lines += [f"  {each.username}  {each.password}  ({each.role})" for each in self.colleagues]
        lines.append(f"Exam service, client {self.exam_client} (private key {self.key_file}):")
        path = f"/api/v1/eligibility/{self.learners[0].learner_id}"
        lines.append(f'  curl -H "Authorization: Bearer $(./run exam-token{typed})" {url}{path}')
        return lines


async def load_demo(services: Services) -> DemoAccounts:
    """Load what is not there yet and return the accounts. Raises DemoError if the demo course does not import."""
    folder = services.settings.folder
    if await _loaded(services):
        return _read_accounts(folder / ACCOUNTS_FILE)
    institution_id = await _institution(services)
    result = await import_course(services.db, services.settings.media_folder, COURSE, institution_id, wall_ms())
    if result.course_id is None:
        raise DemoError("; ".join(each.text("en") for each in result.errors))
    passwords = tuple(_new_password() for _ in range(3 + len(COLLEAGUES)))
    hashes = [await hash_password(each) for each in passwords]
    key = Ed25519PrivateKey.generate()
    async with services.db.write() as conn:
        learners = await _learners(services, conn, institution_id, result.course_id, passwords, hashes)
        now = (await services.clock.read(conn)).ms
        await _staff(conn, institution_id, now, STAFF, "王老师", Role.OWNER, hashes[2])
        for (role, username, name), password_hash in zip(COLLEAGUES, hashes[3:], strict=True):
            place = None if role is Role.REGULATOR else institution_id
            await _staff(conn, place, now, username, name, role, password_hash)
        # The last row: it is what `_loaded` looks for.
        await conn.execute(
            insert(conn, service_client).values(
                id=EXAM_CLIENT,
                institution_id=institution_id,
                name="示例考试服务",
                public_key=key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
                created_at=now,
            )
        )
        colleagues = tuple(
            DemoStaff(role.value, username, password)
            for (role, username, _name), password in zip(COLLEAGUES, passwords[3:], strict=True)
        )
        accounts = DemoAccounts(
            learners=learners,
            staff_password=passwords[2],
            colleagues=colleagues,
            key_file=str(folder / KEY_FILE),
        )
        # Before the commit: a crash in between leaves files that the next start writes anew, never rows whose
        # secrets nobody knows.
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write_secret(folder / KEY_FILE, pem)
        _write_secret(folder / ACCOUNTS_FILE, _HEADING.encode() + msgspec.yaml.encode(accounts))
    return accounts


_HEADING = (
    "# 演示账户 Demo accounts. The first password of an initial account is good until its owner chose another.\n"
)


async def _loaded(services: Services) -> bool:
    async with services.db.read() as conn:
        found = await conn.scalar(select(service_client.c.id).where(service_client.c.id == EXAM_CLIENT))
    return found is not None


async def _institution(services: Services) -> int:
    async with services.db.write() as conn:
        now = (await services.clock.read(conn)).ms
        await conn.execute(
            insert(conn, institution)
            .values(name=INSTITUTION, created_at=now)
            .on_conflict_do_nothing(index_elements=["name"])
        )
        found = await conn.execute(select(institution.c.id).where(institution.c.name == INSTITUTION))
        institution_id: int = found.scalar_one()
    return institution_id


async def _staff(
    conn: AsyncConnection,
    institution_id: int | None,
    now: int,
    username: str,
    name: str,
    role: Role,
    password_hash: str,
) -> None:
    row = insert(conn, staff).values(
        institution_id=institution_id,
        username=username,
        name=name,
        role=role.value,
        password_hash=password_hash,
        created_at=now,
    )
    staff_id = (await conn.execute(row.returning(staff.c.id))).scalar_one()
    if role is Role.TEACHER:
        await conn.execute(insert(conn, staff_class).values(staff_id=staff_id, class_name=CLASS))


async def _learners(
    services: Services,
    conn: AsyncConnection,
    institution_id: int,
    course_id: int,
    passwords: tuple[str, ...],
    hashes: list[str],
) -> tuple[DemoLearner, ...]:
    now = (await services.clock.read(conn)).ms
    # The last minute of that day in China.
    deadline = ((now + _CHINA_MS) // _DAY_MS + DEADLINE_DAYS + 1) * _DAY_MS - _CHINA_MS - 60_000
    expiry_date = china_day(deadline) + timedelta(days=DUE_BEFORE_EXPIRY_DAYS)
    issue_date = expiry_date - timedelta(days=CERTIFICATE_DAYS)
    learners = []
    # Name, the ID number's first 17 digits, index of the chosen password or None, hours in class missing.
    for name, body, chosen, offline_missing in (
        ("张伟", _ZHANG, None, False),
        ("李娜", _LI, 0, False),
        ("王芳", _WANG, 1, True),
    ):
        number = body + check_character(body)
        new = await create_learner(services, conn, institution_id, name=name, id_number=number, class_name=CLASS)
        await enrol(
            services,
            conn,
            new.learner_id,
            programme=PROGRAMME,
            course_ids=[course_id],
            deadline=deadline,
            issue_date=issue_date,
            expiry_date=expiry_date,
            offline_missing=offline_missing,
        )
        secret = new.initial_secret or ""
        if chosen is not None:
            secret = passwords[chosen]
            await conn.execute(
                update(person)
                .where(person.c.id == new.person_id)
                .values(password_hash=hashes[chosen], password_changed_at=now, initial_hash=None)
            )
        learners.append(
            DemoLearner(
                learner_id=new.learner_id,
                name=name,
                id_number=number,
                secret=secret,
                initial=chosen is None,
                note="password; hours in class not recorded, so the player stays shut" if offline_missing else "",
            )
        )
    return tuple(learners)


def _new_password() -> str:
    """60 random bits that can be typed."""
    return "-".join("".join(secrets.choice(ALPHABET.lower()) for _ in range(4)) for _ in range(3))


def _read_accounts(path: Path) -> DemoAccounts:
    try:
        return msgspec.yaml.decode(path.read_bytes(), type=DemoAccounts)
    except (OSError, msgspec.DecodeError):
        return DemoAccounts()


def _write_secret(path: Path, content: bytes) -> None:
    """The whole file or nothing, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
