"""Who looks at this page: the learner or the staff member behind the log-in cookie, or nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote

from aiohttp import web

from player_server.auth.login_sessions import LearnerLogin, StaffLogin, find_learner, find_staff
from player_server.learning.staff_scope import StaffScope, find_institution, note_refusal
from player_server.policy.names import mask_name
from player_server.policy.roles import Permission, Role, may
from player_server.web import cookies
from player_server.web.address import address_of
from player_server.web.csrf import csrf_token
from player_server.web.ids import database_id
from player_server.web.keys import SERVICES
from player_server.web.problems import Problem, is_api


@dataclass(frozen=True, slots=True)
class Viewer:
    """A learner with all rights of one: password chosen, account chosen."""

    person_id: int
    learner_id: int
    institution_id: int
    institution_name: str
    name: str
    masked_name: str
    login_hash: str
    csrf: str


@dataclass(frozen=True, slots=True)
class StaffViewer:
    """A member of an institution's staff, or a regulator.

    `institution_id` and `institution_name` are None for a regulator that looks at all institutions; one that has
    chosen an institution sees it as its auditor does.
    """

    staff_id: int
    institution_id: int | None
    institution_name: str | None
    username: str
    name: str
    role: Role
    scope: StaffScope
    login_hash: str
    csrf: str

    def may(self, permission: Permission) -> bool:
        """Whether to offer something; `require_staff` is what forbids it."""
        return may(self.role, permission)

    def own_institution(self) -> int:
        """The institution that this member of staff acts for; a regulator that looks at all of them is sent to the
        page where one is chosen."""
        if self.institution_id is None:
            raise web.HTTPSeeOther("/staff/institutions")
        return self.institution_id

    @property
    def masked_name(self) -> str:
        """Staff are shown by their own name; pages use one word for whoever is logged in."""
        return self.name


async def require_learner(request: web.Request) -> Viewer:
    """The learner, or a redirect to where the way goes on (pages), or a 401 problem (/api/)."""
    login = await login_of(request)
    viewer = _viewer(request, login)
    if viewer is not None:
        return viewer
    if login is None:
        go_to_log_in(request, "/login")
    if is_api(request):
        raise Problem(401, "log_in_unfinished", "Finish logging in on the website first.")
    raise web.HTTPSeeOther("/password" if login.must_change else "/login/account")


async def optional_learner(request: web.Request) -> Viewer | None:
    """The learner, or None for everybody else."""
    return _viewer(request, await login_of(request))


async def require_staff(request: web.Request, permission: Permission) -> StaffViewer:
    """The staff member, who has this permission. Everybody else: a redirect to the staff's log-in or to choosing a
    password (pages), a 401 problem (/api/), or 403, which is written into the audit."""
    login = await staff_login_of(request)
    if login is None:
        go_to_log_in(request, "/staff/login")
    if login.must_change:
        if is_api(request):
            raise Problem(401, "log_in_unfinished", "Finish logging in on the website first.")
        raise web.HTTPSeeOther("/staff/password")
    viewer = await _staff_viewer(request, login)
    if not viewer.may(permission):
        resource = request.match_info.route.resource
        path = resource.canonical if resource else request.path
        await note_refusal(
            request.app[SERVICES], viewer.scope, f"{request.method} {path}", permission, address_of(request)
        )
        raise web.HTTPForbidden
    return viewer


async def optional_staff(request: web.Request) -> StaffViewer | None:
    """The staff member, or None for everybody else."""
    login = await staff_login_of(request)
    return None if login is None or login.must_change else await _staff_viewer(request, login)


async def staff_login_of(request: web.Request) -> StaffLogin | None:
    """The staff member's log-in even if the password must be changed first. Only the log-in's own pages need it."""
    return await find_staff(request.app[SERVICES], cookies.login_token(request))


async def _staff_viewer(request: web.Request, login: StaffLogin) -> StaffViewer:
    institution_id, name = login.institution_id, login.institution_name
    if login.role is Role.REGULATOR:
        chosen = database_id(cookies.chosen_institution(request) or "")
        found = await find_institution(request.app[SERVICES], chosen)
        institution_id, name = (None, None) if found is None else (chosen, found)
    return StaffViewer(
        staff_id=login.staff_id,
        institution_id=institution_id,
        institution_name=name,
        username=login.username,
        name=login.name,
        role=login.role,
        scope=StaffScope(login.staff_id, institution_id, login.classes),
        login_hash=login.login_hash,
        csrf=csrf_token(request),
    )


async def login_of(request: web.Request) -> LearnerLogin | None:
    """The learner's log-in even if it is unfinished. Only the log-in's own pages need it."""
    return await find_learner(request.app[SERVICES], cookies.login_token(request))


def go_to_log_in(request: web.Request, page: str) -> NoReturn:
    """Send the browser to log in and come back; a form cannot be repeated, so only a GET comes back."""
    if is_api(request):
        raise Problem(401, "not_logged_in", "Log in first.")
    back = f"?next={quote(request.path_qs, safe='')}" if request.method in ("GET", "HEAD") else ""
    raise web.HTTPSeeOther(page + back)


def _viewer(request: web.Request, login: LearnerLogin | None) -> Viewer | None:
    if login is None or login.must_change or login.account is None:
        return None
    return Viewer(
        person_id=login.person_id,
        learner_id=login.account.learner_id,
        institution_id=login.account.institution_id,
        institution_name=login.account.institution_name,
        name=login.name,
        masked_name=mask_name(login.name),
        login_hash=login.login_hash,
        csrf=csrf_token(request),
    )
