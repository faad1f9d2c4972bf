"""From a template and its values to a page, the same way for every door: language, CSRF token, file addresses."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import jinja2
from aiohttp import web

from player_server.pages.language import N_, lang_of, translation_to, translator
from player_server.pages.staff.navigation import ROLE_NAMES, navigation
from player_server.web.csrf import csrf_token, keep_visitor
from player_server.web.viewer import StaffViewer, Viewer

__all__ = ["N_", "error_page", "render", "static", "translator"]

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parents[2] / "static" / "player"
_HASH_DIGITS = 12


def render(
    request: web.Request,
    template: str,
    *,
    page_title: str,
    viewer: Viewer | StaffViewer | None = None,
    status: int = 200,
    **context: Any,
) -> web.Response:
    """A page. `page_title` is already translated; so is every text in `context`.

    Templates also see `_`, `lang`, `csrf`, `status`, `static` and `path`, where the language switch comes back to;
    for staff also `navigation` and `role_name`, which templates/staff/frame.html draws.
    """
    lang = lang_of(request)
    _ = translation_to(lang)
    if isinstance(viewer, StaffViewer):
        context = {
            "navigation": navigation(viewer.role, request.path, _),
            "role_name": _(ROLE_NAMES[viewer.role]),
            **context,
        }
    body = (
        _environment()
        .get_template(template)
        .render(
            {
                "_": _,
                "lang": lang,
                "csrf": csrf_token(request),
                "path": request.path_qs if request.method == "GET" else request.path,
                "viewer": viewer,
                "page_title": page_title,
                "status": status,
                **context,
            }
        )
    )
    response = web.Response(text=body, content_type="text/html", status=status)
    keep_visitor(request, response)
    return response


def error_page(request: web.Request, status: int | Literal["csrf"], request_id: str) -> web.Response:
    """What a person sees when a page cannot be shown."""
    _ = translator(request)
    number = 403 if status == "csrf" else status
    title, message = _ERRORS.get(status) or (_UNEXPECTED if number >= 500 else _REFUSED)
    return render(
        request,
        "error.html",
        page_title=_(title),
        status=number,
        message=_(message),
        request_id=request_id if number >= 500 else None,
    )


def static(name: str) -> str:
    """The URL of a file under static/player, with a hash of the whole folder in its path.

    In the path and not in a query, so that modules which import their neighbours by relative path get the same
    version of all of them; and so the browser may keep them for ever.
    """
    return f"/static/{static_version()}/{name}"


@cache
def static_version() -> str:
    """The hash of every file that pages load, read once: new files need a new start."""
    digest = sha256()
    for path in sorted(path for path in STATIC.rglob("*") if path.is_file()):
        digest.update(path.relative_to(STATIC).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:_HASH_DIGITS]


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = static
    return environment


_REFUSED = (N_("这个请求无法处理"), N_("请返回上一页，刷新后再试一次。"))
_UNEXPECTED = (N_("系统出了点问题"), N_("已经记录下来。请稍后再试；已入账的学时不受影响。"))
_ERRORS: dict[int | str, tuple[str, str]] = {
    403: (N_("您不能打开这个页面"), N_("您的账户没有这里的权限。请从首页进入。")),
    429: (N_("尝试得太快了"), N_("请等几秒，再返回上一页重试。您的账户没有被锁定。")),
    "csrf": (N_("页面已过期"), N_("为了您的账户安全，请返回上一页，刷新后再提交一次。")),
    404: (N_("没有找到这个页面"), N_("地址可能有误，或者内容已经下架。请从首页进入。")),
    405: (N_("不能这样打开这个页面"), N_("请从首页进入。")),
    413: (N_("提交的内容太大"), N_("请减少内容后再提交。")),
    503: (N_("系统繁忙"), N_("请稍等片刻再试；已入账的学时不受影响。")),
}
