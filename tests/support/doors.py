"""Doors on real services: an application with some routes, and clients that are logged in.

The routes are the test's own; that each URL leads where it should is the business of tests of the whole server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Protocol

from aiohttp import ClientSession, CookieJar, web
from aiohttp.test_utils import TestServer
from yarl import URL

from player_server.auth.login_sessions import Client, open_login
from player_server.learning.dashboard import Dashboards
from player_server.learning.services import Services
from player_server.pages.render import error_page
from player_server.web import cookies
from player_server.web.csrf import FIELD
from player_server.web.keys import DASHBOARDS, SERVICES
from player_server.web.middlewares import install
from tests.support.school import Pupil


@asynccontextmanager
async def open_doors(
    services: Services, routes: Iterable[web.AbstractRouteDef], *, port: int | None = None
) -> AsyncIterator[TestServer]:
    """A server on a free port (or on this one) with these routes, the product's middleware and headers."""
    app = web.Application()
    app[SERVICES] = services
    app[DASHBOARDS] = Dashboards(services)
    install(app, error_page)
    app.add_routes(routes)
    server = TestServer(app, port=port)
    await server.start_server()
    try:
        yield server
    finally:
        await server.close()


class HasUrl(Protocol):
    """A server as a browser sees it."""

    def make_url(self, path: str) -> URL: ...


@asynccontextmanager
async def browser_of(
    services: Services, server: HasUrl, pupil: Pupil | None = None, *, staff_id: int | None = None
) -> AsyncIterator[ClientSession]:
    """A browser of its own: logged in as this learner, as this member of staff, or as nobody."""
    token = None
    if pupil is not None or staff_id is not None:
        async with services.db.write() as conn:
            token = await open_login(
                services,
                conn,
                person_id=pupil.person_id if pupil else None,
                learner_id=pupil.learner_id if pupil else None,
                staff_id=staff_id,
                client=Client("127.0.0.1", "test"),
            )
    # The jar must keep cookies of a numeric address.
    jar = CookieJar(unsafe=True)
    if token:
        jar.update_cookies({cookies.LOGIN: token}, server.make_url("/"))
    async with ClientSession(server.make_url("/"), cookie_jar=jar) as browser:
        yield browser


def csrf_in(html: str) -> str:
    """The token of the first form of a page."""
    return html.split(f'name="{FIELD}" value="', 1)[1].split('"', 1)[0]
