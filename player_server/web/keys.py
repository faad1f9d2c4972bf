"""The typed keys under which an aiohttp application carries what it was built with."""

from __future__ import annotations

from aiohttp import web

from player_server.learning.dashboard import Dashboards
from player_server.learning.services import Services

SERVICES = web.AppKey("services", Services)
DASHBOARDS = web.AppKey("dashboards", Dashboards)
