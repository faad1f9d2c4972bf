"""审计记录: who did what, when, with which result, for those who may read it."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

from aiohttp import web

from player_server.learning.audit_log import audit_filters_from, audit_page, staff_for_filters
from player_server.pages.language import N_, translator
from player_server.pages.render import render
from player_server.pages.staff.words import ACTIONS
from player_server.pages.times import second_text
from player_server.policy.roles import Permission
from player_server.web.address import address_of
from player_server.web.keys import SERVICES
from player_server.web.viewer import require_staff

PAGE = "/staff/audit"

#: What is done beyond the actions on one learner. An action that has no name here is shown by its own word.
NAMES = {
    "log_in": N_("学员登录"),
    "log_out": N_("退出登录"),
    "choose_account": N_("学员选择机构"),
    "change_password": N_("学员修改密码"),
    "reset_password": N_("学员找回密码"),
    "phone_rebind": N_("学员更换验证手机"),
    "make_appeal": N_("学员提出申诉"),
    "staff_log_in": N_("工作人员登录"),
    "change_staff_password": N_("工作人员修改密码"),
    "refused": N_("被拒绝的访问"),
    "read_dashboard": N_("查看概览"),
    "list_learners": N_("查看学员名单"),
    "read_learner": N_("查看学员档案"),
    "list_appeals": N_("查看申诉列表"),
    "read_appeal": N_("查看申诉"),
    "list_staff_accounts": N_("查看工作人员"),
    "open_staff_account": N_("创建工作人员账户"),
    "change_staff_account": N_("更改工作人员账户"),
    "open_institution": N_("创建机构"),
    "close_staff_account": N_("停用工作人员账户"),
    "renew_staff_password": N_("重置工作人员密码"),
    "read_audit": N_("查看审计记录"),
    "download": N_("下载导出的文件"),
    "cancel_job": N_("取消后台任务"),
    "certificate.issue": N_("签发学时证明"),
    "eligibility.read": N_("查询考试资格"),
    "exam.launch": N_("进入考试"),
    "launch.redeem": N_("考试系统核验学员"),
    "exam.result": N_("登记考试结果"),
    "token.grant": N_("签发接口令牌"),
    "webhook.add": N_("新增接收地址"),
    "webhook.disable": N_("停用推送"),
    "webhook.enable": N_("重新启用推送"),
    "webhook.resend": N_("重新推送"),
    "ledger.check": N_("抽查账本"),
}
RESULTS = {
    "ok": N_("成功"),
    "signed_in": N_("成功"),
    "wrong": N_("用户名或密码错误"),
    "not_found": N_("没有找到"),
    "refused": N_("已拒绝"),
}


async def audit(request: web.Request) -> web.StreamResponse:
    """GET /staff/audit?actor=…&action=…&target=…&from=…&to=…&before=…"""
    viewer = await require_staff(request, Permission.READ_AUDIT)
    _ = translator(request)
    services = request.app[SERVICES]
    filters = audit_filters_from(request.query)
    page = await audit_page(services, viewer.scope, filters, address_of(request))
    names = {str(action): _(name) for action, name in (NAMES | dict(ACTIONS)).items()}
    older = replace(filters, before=page.next_before)
    newest = replace(filters, before=None)
    return render(
        request,
        "staff/audit.html",
        viewer=viewer,
        page_title=_("审计记录"),
        filters=filters,
        lines=page.lines,
        actions=sorted(names.items(), key=lambda each: each[1]),
        names=names,
        results={result: _(name) for result, name in RESULTS.items()},
        colleagues=await staff_for_filters(services, viewer.scope),
        older=f"{PAGE}?{urlencode(older.query())}" if page.next_before is not None else None,
        newest=f"{PAGE}?{urlencode(newest.query())}" if filters.before is not None else None,
        second=second_text,
    )
