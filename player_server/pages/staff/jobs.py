"""One job as whoever asked for it sees it: how far it is, what came out, and a button to cancel it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from aiohttp import web

from player_server.learning import jobs
from player_server.learning.jobs import Job
from player_server.pages.language import Translate
from player_server.pages.redirects import see_other
from player_server.pages.render import N_, render, translator
from player_server.pages.times import minute_text
from player_server.policy.roles import Permission
from player_server.storage import audit
from player_server.storage.database import Database
from player_server.storage.files import StoredFile, file_info, read_file_parts
from player_server.web.address import address_of, local_path
from player_server.web.csrf import require_form
from player_server.web.keys import SERVICES
from player_server.web.viewer import StaffViewer, require_staff

#: What a job is called on its page. A kind without an entry is called by the last one.
TITLES: dict[str, str] = {
    "export.progress": N_("导出课程进度"),
    "export.hours": N_("导出学时核算"),
    "export.findings": N_("导出异常记录"),
    "export.challenges": N_("导出播放验证"),
    "export.ledger": N_("导出学时账目"),
    "export.retractions": N_("导出上报后冲销"),
    "export.registry": N_("生成上报名单"),
    "import_check": N_("检查导入的表格"),
    "import_apply": N_("导入数据"),
    "regrade": N_("按更正后的答案重新判分"),
}
#: What was confirmed is brought to its end; half of it would be worse than all or nothing.
UNSTOPPABLE = frozenset(("import_apply",))
_TITLE = N_("后台任务")

_STATES = {
    "waiting": N_("排队中"),
    "running": N_("正在处理"),
    "done": N_("已完成"),
    "failed": N_("没有成功"),
    "cancelled": N_("已取消"),
}
#: Errors that the worker itself writes down; every other text is the kind's own.
_ERRORS = {
    "worker_died": N_("处理过程多次中断，已停止重试。请稍后重新发起；如再次出现，请联系运维人员。"),
    "unexpected_error": N_("处理时出现意外错误。请稍后重新发起；如再次出现，请把任务编号告诉运维人员。"),
    "unknown_kind": N_("后台程序还没有更新到能处理这个任务的版本。"),
}


@dataclass(frozen=True, slots=True)
class JobView:
    """What the page and its JSON show. `percent` is None while nobody knows how much there is to do."""

    state: str
    words: str
    percent: int | None
    figure: str
    error: str
    over: bool
    page: str | None
    file: str | None

    def as_json(self) -> dict[str, object]:
        return {
            "state": self.state,
            "words": self.words,
            "percent": self.percent,
            "figure": self.figure,
            "error": self.error,
            "over": self.over,
            "page": self.page,
            "file": self.file,
        }


def view_of(job: Job, _: Translate) -> JobView:
    """A job in words. `page` and `file` are addresses on this site, and there only when the job is done."""
    done = job.state == "done"
    percent = None
    if job.total is not None:
        percent = 100 if done or job.total == 0 else min(100, job.done * 100 // job.total)
    return JobView(
        state=job.state,
        words=_(_STATES[job.state]),
        percent=100 if done else percent,
        figure=f"{job.done} / {job.total}" if job.total is not None else "",
        error=_(_ERRORS.get(job.error, job.error)) if job.error and job.state != "done" else "",
        over=job.over,
        page=local_path(str(job.result["page"]), "/staff") if done and "page" in job.result else None,
        file=f"/staff/jobs/{job.id}/file" if done and "file" in job.result else None,
    )


async def job_page(request: web.Request) -> web.StreamResponse:
    """GET /staff/jobs/{id}"""
    viewer, job = await _own_job(request)
    _ = translator(request)
    title = _(TITLES.get(job.kind, _TITLE))
    return render(
        request,
        "staff/job.html",
        viewer=viewer,
        page_title=title,
        job=job,
        view=view_of(job, _),
        stoppable=job.kind not in UNSTOPPABLE,
        asked_at=minute_text(job.created_at),
    )


async def job_json(request: web.Request) -> web.StreamResponse:
    """GET /staff/jobs/{id}.json: the same for the page's script, which asks again and again."""
    _viewer, job = await _own_job(request)
    response = web.json_response(view_of(job, translator(request)).as_json())
    response.headers["Cache-Control"] = "no-store"
    return response


async def job_cancel(request: web.Request) -> web.StreamResponse:
    """POST /staff/jobs/{id}/cancel: back to the page, which tells whether it was in time."""
    viewer, job = await _own_job(request)
    await require_form(request)
    if job.kind in UNSTOPPABLE:
        raise web.HTTPForbidden
    services = request.app[SERVICES]
    async with services.db.write() as conn:
        asked = await jobs.cancel(services, conn, job.id)
        await audit.record(
            conn,
            at=(await services.clock.read(conn)).ms,
            actor=f"staff:{viewer.staff_id}",
            institution_id=job.institution_id,
            action="cancel_job",
            target=f"job:{job.kind}",
            result="asked" if asked else "too_late",
            address=address_of(request),
        )
    return see_other(f"/staff/jobs/{job.id}")


async def job_file(request: web.Request) -> web.StreamResponse:
    """GET /staff/jobs/{id}/file: what the job made, a part at a time; recorded in the audit trail."""
    viewer, job = await _own_job(request)
    services = request.app[SERVICES]
    file_id = job.result.get("file") if job.state == "done" else None
    info = await file_info(services.db, file_id, job.institution_id) if isinstance(file_id, str) else None
    if info is None:
        raise web.HTTPNotFound
    async with services.db.write() as conn:
        await audit.record(
            conn,
            at=(await services.clock.read(conn)).ms,
            actor=f"staff:{viewer.staff_id}",
            institution_id=job.institution_id,
            action="download",
            target=f"job:{job.kind}",
            result=f"{info.size} bytes",
            address=address_of(request),
        )
    return await send_file(request, services.db, info)


async def send_file(request: web.Request, db: Database, info: StoredFile) -> web.StreamResponse:
    """A stored file as a download, streamed."""
    response = web.StreamResponse(
        headers={
            "Content-Type": info.content_type,
            "Content-Length": str(info.size),
            # Names are Chinese; this form is understood by every browser.
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(info.name, safe='')}",
            "Cache-Control": "no-store",
        }
    )
    await response.prepare(request)
    if request.method != "HEAD":
        async for part in read_file_parts(db, info.id):
            await response.write(part)
    await response.write_eof()
    return response


async def _own_job(request: web.Request) -> tuple[StaffViewer, Job]:
    """A job that this member of staff asked for. Everybody else's is as unknown as an absent one."""
    viewer = await require_staff(request, Permission.READ)
    # Not by institution: a regulator's jobs belong to none, or to one that is not looked at any more.
    job = await jobs.job_of(request.app[SERVICES], request.match_info["id"], None)
    if job is None or job.asked_by != f"staff:{viewer.staff_id}":
        raise web.HTTPNotFound
    return viewer, job
