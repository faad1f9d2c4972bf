"""People with real-looking ID numbers and passwords, and a small site around the log-in, for tests of identity."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientResponse, CookieJar, web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import Table, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from player_server.auth.identity import id_columns
from player_server.auth.initial_secrets import initial_hash, new_initial_secret
from player_server.auth.login_sessions import Client
from player_server.auth.passwords import hash_password
from player_server.auth.throttle import Attempt, count_attempt
from player_server.learning.services import Services
from player_server.pages import forgot, language, login, password
from player_server.pages.render import error_page, render
from player_server.pages.staff import log_in as staff_log_in
from player_server.policy.id_number import check_character
from player_server.policy.roles import Permission
from player_server.storage.clock import wall_ms
from player_server.storage.tables import audit, institution, learner, person, staff
from player_server.web import middlewares
from player_server.web.csrf import require_csrf
from player_server.web.keys import SERVICES
from player_server.web.viewer import require_learner, require_staff

PASSWORD = "石桥-cloud-47"
OTHER_PASSWORD = "River!stone82"
BROWSER = Client("192.0.2.7", "a browser")

_CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')


def id_number(order: int) -> str:
    """A valid ID number; each `order` below 1000 gives another one."""
    body = f"32010219900307{order:03d}"
    return body + check_character(body)


@dataclass(frozen=True, slots=True)
class Someone:
    """A person in the database and what they know."""

    person_id: int
    learner_ids: tuple[int, ...]
    number: str
    name: str
    initial: str | None
    password: str | None


async def add_someone(
    services: Services,
    order: int = 1,
    *,
    password: str | None = PASSWORD,
    initial: bool = False,
    institutions: int = 1,
) -> Someone:
    """A person with an account at each of so many institutions (made on the way)."""
    number, name = id_number(order), "张三丰"
    secret = new_initial_secret() if initial else None
    password_hash = await hash_password(password) if password else None
    async with services.db.write() as conn:
        person_id = await _add(
            conn,
            person,
            **id_columns(services.keys, number),
            name=name,
            password_hash=password_hash,
            initial_hash=initial_hash(services.keys, secret) if secret else None,
        )
        learner_ids = []
        for place in range(institutions):
            institution_id = await _add(conn, institution, name=f"培训机构 {order}-{place}")
            learner_ids.append(await _add(conn, learner, institution_id=institution_id, person_id=person_id))
    return Someone(person_id, tuple(learner_ids), number, name, secret, password)


async def add_staff(services: Services, username: str = "office", password: str = PASSWORD) -> tuple[int, int]:
    """(staff id, institution id)"""
    password_hash = await hash_password(password)
    async with services.db.write() as conn:
        institution_id = await _add(conn, institution, name=f"机构 {username}")
        staff_id = await _add(
            conn,
            staff,
            institution_id=institution_id,
            username=username,
            name="李四",
            role="owner",
            password_hash=password_hash,
        )
    return staff_id, institution_id


async def _add(conn: AsyncConnection, table: Table, **values: Any) -> int:
    row = insert(table).values(**values, created_at=wall_ms()).returning(table.c.id)
    return int((await conn.execute(row)).scalar_one())


async def an_attempt(services: Services, account: str = "somebody") -> Attempt:
    """A counted attempt, as the doors hand it to the use cases."""
    return await count_attempt(services, "test", account, BROWSER.address)


async def audit_rows(services: Services) -> list[tuple[str, str]]:
    """(action, result) of every audit row, in order."""
    async with services.db.read() as conn:
        rows = await conn.execute(select(audit.c.action, audit.c.result).order_by(audit.c.id))
        return [(row.action, row.result) for row in rows]


async def _home(request: web.Request) -> web.StreamResponse:
    viewer = await require_learner(request)
    return render(request, "forgot_done.html", page_title=f"learner {viewer.learner_id}", viewer=viewer)


async def _staff_home(request: web.Request) -> web.StreamResponse:
    viewer = await require_staff(request, Permission.READ)
    return web.Response(text=f"staff {viewer.staff_id} of {viewer.institution_id}")


async def _api_me(request: web.Request) -> web.StreamResponse:
    return web.json_response({"learner": (await require_learner(request)).learner_id})


async def _api_change(request: web.Request) -> web.StreamResponse:
    viewer = await require_learner(request)
    require_csrf(request)
    return web.json_response({"learner": viewer.learner_id, "csrf": viewer.csrf})


async def _broken(_request: web.Request) -> web.StreamResponse:
    raise RuntimeError("a secret inside")


def make_site(services: Services) -> web.Application:
    """The pages of identity and a few that need it, as in the product."""
    app = web.Application()
    app[SERVICES] = services
    middlewares.install(app, error_page)
    app.add_routes(
        [
            web.get("/login", login.login_page),
            web.post("/login", login.login_submit),
            web.get("/login/account", login.account_page),
            web.post("/login/account", login.account_submit),
            web.post("/logout", login.logout_submit),
            web.get("/password", password.password_page),
            web.post("/password", password.password_submit),
            web.get("/forgot", forgot.forgot_page),
            web.post("/forgot", forgot.forgot_submit),
            web.get("/staff/login", staff_log_in.staff_login_page),
            web.post("/staff/login", staff_log_in.staff_login_submit),
            web.post("/staff/logout", staff_log_in.staff_logout_submit),
            web.post("/language", language.switch_language),
            web.get("/", _home),
            web.get("/staff", _staff_home),
            web.get("/api/v1/me", _api_me),
            web.post("/api/v1/change", _api_change),
            web.get("/broken", _broken),
            web.get("/api/v1/broken", _broken),
        ]
    )
    return app


class Visitor:
    """One browser: keeps cookies, does not follow redirects, takes CSRF tokens out of the pages it saw."""

    def __init__(self, client: TestClient[Any, Any]) -> None:
        self.client = client

    async def get(self, path: str, **options: Any) -> ClientResponse:
        return await self.client.get(path, allow_redirects=False, **options)

    async def token(self, path: str) -> str:
        """The CSRF token of the page at `path`."""
        found = _CSRF.search(await (await self.get(path)).text())
        assert found is not None
        return found.group(1)

    async def post(
        self, path: str, fields: dict[str, str], page: str | None = None, **options: Any
    ) -> ClientResponse:
        """Fill in the form of `page` (default: the same path) and hand it in."""
        fields = {"csrf": await self.token(page or path), **fields}
        return await self.client.post(path, data=fields, allow_redirects=False, **options)

    async def log_in(self, someone: Someone, secret: str | None = None, next_path: str = "/") -> ClientResponse:
        fields = {"id_number": someone.number, "password": secret or someone.password or "", "next": next_path}
        return await self.post("/login", fields)

    def cookie(self, name: str = "xueshi") -> str | None:
        return next((morsel.value for morsel in self.client.session.cookie_jar if morsel.key == name), None)

    def set_cookie(self, name: str, value: str) -> None:
        self.client.session.cookie_jar.update_cookies({name: value}, self.client.make_url("/"))


@asynccontextmanager
async def browsers(services: Services, count: int = 1) -> AsyncIterator[list[Visitor]]:
    """The site on a port of its own, and so many browsers that share nothing."""
    server = TestServer(make_site(services), host="127.0.0.1")
    clients = [TestClient(server, cookie_jar=CookieJar(unsafe=True)) for _ in range(count)]
    await server.start_server()
    try:
        yield [Visitor(client) for client in clients]
    finally:
        for client in clients:
            await client.session.close()
        await server.close()
