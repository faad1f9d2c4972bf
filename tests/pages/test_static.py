"""Files that pages load: kept for ever under their hash, and nothing else is reachable."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from player_server.pages.render import static
from player_server.pages.static import static_file


@pytest.mark.parametrize(
    "path",
    [
        "../../config.yaml",
        "%2e%2e/%2e%2e/config.yaml",
        "..%2f..%2fconfig.yaml",
        "%2Fetc%2Fpasswd",
        "nothing.js",
        "a%00.js",
    ],
)
async def test_only_files_of_the_folder_are_served_and_only_todays_are_kept(path: str) -> None:
    app = web.Application()
    app.router.add_get("/static/{version}/{name:.+}", static_file)
    async with TestClient(TestServer(app)) as client:
        today = await client.get(static("style.css"))
        assert (today.status, today.content_type) == (200, "text/css")
        assert "immutable" in today.headers["Cache-Control"]
        former = await client.get("/static/0123456789ab/style.css")
        assert (former.status, former.headers["Cache-Control"]) == (200, "no-cache")
        assert (await client.get(URL(static("") + path, encoded=True))).status == 404
