"""The whole product as its own processes, `serve` and `worker`, on a folder, a database and a Valkey of the test's.

The data come through the product's use cases: an institution, a course folder with real clips, learners with
initial secrets, an exam client. Tests go through its doors; `services` is only for looking at what was stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sqlalchemy import insert, select

from player_server.app import open_services
from player_server.auth.service_clients import Scope
from player_server.auth.service_tokens import make_access_token
from player_server.config import load
from player_server.learning.course_import import import_course
from player_server.learning.people import create_learner, enrol
from player_server.learning.services import Services
from player_server.policy.id_number import check_character
from player_server.standalone.child import ChildProcess
from player_server.standalone.supervisor import product_process
from player_server.storage.clock import wall_ms
from player_server.storage.tables import institution, service_client, video
from tests.support.ports import free_port

EXAM_CLIENT = "exam"
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Account:
    """A learner and what the institution told them."""

    learner_id: int
    person_id: int
    name: str
    id_number: str
    initial_secret: str


@dataclass
class Product:
    """The running processes and what is in their database."""

    services: Services
    folder: Path
    config: Path
    port: int
    institution_id: int
    exam_key: str
    course_id: int = 0
    video_ids: tuple[int, ...] = ()
    server: ChildProcess | None = None
    worker: ChildProcess | None = None
    launcher: tuple[str, ...] = ()
    children: list[ChildProcess] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start_server(self) -> ChildProcess:
        """Start `serve` and wait until it is ready."""
        self.server = await self.start("serve", "serve")
        async with aiohttp.ClientSession() as http, asyncio.timeout(30):
            while True:
                try:
                    async with http.get(f"{self.url}/readyz") as answer:
                        if answer.status == 200:
                            return self.server
                except aiohttp.ClientError:
                    pass
                assert self.server.running, (self.folder / "serve.log").read_text()
                await asyncio.sleep(0.05)

    async def start_worker(self) -> ChildProcess:
        self.worker = await self.start("worker", "worker")
        return self.worker

    async def start(self, name: str, *arguments: str) -> ChildProcess:
        """Start one process of the product on these stores; its output goes to `name`.log in the folder."""
        argv = (*self.launcher, *arguments) if self.launcher else product_process(name, *arguments).argv
        child = ChildProcess(name, (*argv, "--config", str(self.config)), output=self.folder / f"{name}.log")
        self.children.append(child)
        await child.start()
        return child

    async def import_course(self, folder: Path) -> None:
        """Import this course folder for the institution."""
        result = await import_course(
            self.services.db, self.services.settings.media_folder, folder, self.institution_id, wall_ms()
        )
        assert result.course_id is not None, [problem.text("en") for problem in result.errors]
        self.course_id = result.course_id
        query = select(video.c.id).where(video.c.course_id == result.course_id).order_by(video.c.position)
        async with self.services.db.read() as conn:
            self.video_ids = tuple((await conn.scalars(query)).all())

    async def add_learner(self, name: str, number: int) -> Account:
        """Open an account and enrol it for the course. `number` tells people apart, from 1."""
        body = f"320199199001{number % 28 + 1:02d}{number:03d}"
        id_number = body + check_character(body)
        async with self.services.db.write() as conn:
            new = await create_learner(self.services, conn, self.institution_id, name=name, id_number=id_number)
            await enrol(
                self.services,
                conn,
                new.learner_id,
                programme="jiangsu-constructor-2",
                course_ids=[self.course_id],
                deadline=wall_ms() + 60 * DAY_MS,
            )
        assert new.initial_secret is not None
        return Account(new.learner_id, new.person_id, name, id_number, new.initial_secret)

    def exam_token(self) -> str:
        """An access token of the institution's exam client."""
        return make_access_token(self.services, EXAM_CLIENT, frozenset(Scope)).token

    async def stop(self) -> None:
        await asyncio.gather(*(child.stop() for child in self.children))


@asynccontextmanager
async def product(
    database_url: str,
    valkey_url: str,
    folder: Path,
    course: Path | None = None,
    *,
    launcher: tuple[str, ...] = (),
    **parts: Any,
) -> AsyncIterator[Product]:
    """A product over these stores with server and worker running. `parts` are settings, by part.

    `launcher` is what starts a process instead of `python -m player_server`; its arguments are added to it.
    """
    port = free_port()
    tree: dict[str, Any] = {
        "server": {"port": port, "insecure_http": True},
        "data": {"folder": str(folder), "database_url": database_url, "redis_url": valkey_url},
        **parts,
    }
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(tree), encoding="utf-8")
    async with open_services(load(config)) as services:
        key = Ed25519PrivateKey.generate()
        institution_id = await _institution(services, key)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        running = Product(services, folder, config, port, institution_id, pem, launcher=launcher)
        try:
            if course is not None:
                await running.import_course(course)
            await running.start_server()
            await running.start_worker()
            yield running
        finally:
            await running.stop()


async def _institution(services: Services, key: Ed25519PrivateKey) -> int:
    async with services.db.write() as conn:
        school = insert(institution).values(name="测试学校", created_at=wall_ms()).returning(institution.c.id)
        institution_id = int((await conn.execute(school)).scalar_one())
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        await conn.execute(
            insert(service_client).values(
                id=EXAM_CLIENT,
                institution_id=institution_id,
                name="考试",
                public_key=public,
                created_at=wall_ms(),
            )
        )
    return institution_id
