"""What pages say about imports: kinds, states, and every fault of a sheet, in words that say what to do."""

from __future__ import annotations

from player_server.pages.language import Translate
from player_server.pages.render import N_

KINDS = {
    "learners": N_("学员名册"),
    "offline": N_("培训班台账（线下学时）"),
    "employer": N_("用人单位学时"),
}
ABOUT = {
    "learners": N_("开通账户、分配课程：姓名、身份证号、手机号、班级、专业、培训项目、证书日期。"),
    "offline": N_("线下培训的日期、学时和出勤情况；登记之后，规定先线下后线上的学员就可以开始网络学习。"),
    "employer": N_("由用人单位组织的培训：日期、学时、单位名称。"),
}
#: State → (words, tone of the badge).
STATES = {
    "checking": (N_("正在检查"), "info"),
    "checked": (N_("等待确认"), "warn"),
    "faulty": (N_("有错误，未导入"), "bad"),
    "unreadable": (N_("文件无法读取"), "bad"),
    "applying": (N_("正在导入"), "info"),
    "applied": (N_("已导入"), "ok"),
    "failed": (N_("没有导入"), "bad"),
    "discarded": (N_("已放弃"), ""),
}
OUTCOMES = {"new": N_("新增"), "changed": N_("更新"), "same": N_("没有变化")}

_FAULTS = {
    # The whole file
    "empty_file": N_("文件是空的。"),
    "no_rows": N_("表头下面没有数据。"),
    "not_a_sheet": N_("这不是可以读取的 XLSX 或 CSV 文件。请在表格软件中另存为 XLSX 后再上传。"),
    "old_excel": N_("这是旧格式的 XLS（或有密码的）文件。请在表格软件中另存为不加密的 XLSX 后再上传。"),
    "too_large_inside": N_("文件解压后太大，没有读取。请删除图片和多余的工作表后再上传。"),
    "too_many_rows": N_("行数太多：一次最多 %(detail)s 行。请分成几个文件，并删除末尾的空行。"),
    "too_many_columns": N_("列数太多：最多 %(detail)s 列。请使用模板。"),
    "unknown_encoding": N_("文字编码无法识别。CSV 请用 UTF-8 或 GBK 保存。"),
    "bad_csv": N_("CSV 在第 %(detail)s 行附近的引号不完整。"),
    "file_gone": N_("上传的文件已过期，请重新上传。"),
    # Columns
    "column_missing": N_("缺少这一列。请使用模板的表头。"),
    "column_twice": N_("这一列出现了两次。"),
    # Cells
    "missing": N_("没有填写。"),
    "too_long": N_("内容太长（%(detail)s 个字）。"),
    "formula": N_("内容不能以 =、+、-、@ 开头。"),
    "odd_characters": N_("含有无法显示的字符。"),
    "not_a_name": N_("这不像姓名：%(detail)s"),
    "stored_as_number": N_("身份证号被存成了数字，末几位已经丢失。请把这一列设为“文本”格式后重新填写。"),
    "id_length": N_("身份证号应为 18 位。"),
    "id_characters": N_("身份证号只能是数字，最后一位可以是 X。"),
    "id_date": N_("身份证号中的出生日期不正确。"),
    "id_checksum": N_("身份证号的校验位不正确，可能有一位写错。"),
    "not_a_mobile": N_("手机号应为 11 位数字。"),
    "not_a_date": N_("这不是日期：%(detail)s（例如 2026-11-20）"),
    "expiry_before_issue": N_("有效期早于发证日期。"),
    "day_in_future": N_("日期还没有到：%(detail)s"),
    "not_hours": N_("学时应是大于 0 的数字，最多两位小数：%(detail)s"),
    "too_many_hours": N_("一天的学时不能超过 16：%(detail)s"),
    "not_yes_or_no": N_("请填“是”或“否”：%(detail)s"),
    "unknown_subject": N_("课程类别应为公共课、专业课或选修课：%(detail)s"),
    # What is known already
    "twice": N_("与第 %(detail)s 行重复。"),
    "name_differs": N_("这个身份证号登记的是另一个姓名，请核对。"),
    "in_other_import": N_("这位学员正在另一次导入中，请等它完成。"),
    "no_course": N_("本机构没有这个专业的课程：%(detail)s"),
    "unknown_programme": N_("没有这个培训项目：%(detail)s"),
    "date_needed": N_("这个培训项目需要填写。"),
    "unknown_learner": N_("本机构没有这位学员。请先导入学员名册。"),
    "recorded_otherwise": N_("%(detail)s 已登记了不同的学时。如需更正，请先在学员页面冲销原记录。"),
    "was_reversed": N_("%(detail)s 的学时曾被冲销，不能再次导入。"),
    # While applying
    "came_in_meanwhile": N_("检查之后，表中有学员已被录入。没有导入任何内容，请重新上传检查。"),
}
_OTHER = N_("无法导入（%(code)s）。")


def fault_text(_: Translate, code: str, detail: str | None) -> str:
    """A fault as people read it."""
    found = _FAULTS.get(code)
    if found is None:
        return _(_OTHER) % {"code": code}
    text = _(found)
    return text % {"detail": detail or ""} if "%(detail)s" in text else text


def kind_name(_: Translate, kind: str) -> str:
    """What an import is called."""
    return _(KINDS[kind])


def outcome_name(_: Translate, outcome: str) -> str:
    """What a row does."""
    return _(OUTCOMES[outcome])
