"""A certificate in words: the same ones for the page and for the PDF.

What belongs here: from a certificate to texts in one language. How they are laid out is in the template and in
`pages/certificate_pdf.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from player_server.learning.certificates import Certificate
from player_server.pages.hours import KINDS
from player_server.pages.language import Translate, translation_to
from player_server.pages.times import date_text, minute_text
from player_server.policy.certificates import Line, show_number
from player_server.policy.hours import as_words
from player_server.policy.programmes import Name


@dataclass(frozen=True, slots=True)
class Row:
    """One rule in one period, in words."""

    rule: str
    period: str
    required: str
    counted: str
    kinds: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """Every text of one certificate. `revoked`: when hours were taken back, or "" while it is valid."""

    title: str
    number: str
    statement: str
    facts: tuple[tuple[str, str], ...]
    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    issued_by: str
    issued_on: str
    verify_url: str
    verify_hint: str
    revoked: str


def verify_url(public_url: str, number: str) -> str:
    """The address in the QR code."""
    return f"{public_url}/verify/{show_number(number)}"


def sheet_of(of: Certificate, lang: str, public_url: str) -> Sheet:
    """The whole certificate, for its owner and the institution: with the name, the ID number masked."""
    _ = translation_to(lang)
    programme = _named(of.content.programme, lang)
    facts = [(_("姓名"), of.name), (_("身份证号"), of.masked_id), (_("培训项目"), programme)]
    if of.content.issued_on is not None:
        facts.append((_("证书发证日期"), of.content.issued_on.isoformat()))
    if of.content.expires_on is not None:
        facts.append((_("证书有效期至"), of.content.expires_on.isoformat()))
    return Sheet(
        title=_("学时证明"),
        number=show_number(of.number),
        statement=_("兹证明 %(name)s 参加“%(programme)s”，已按规定修满以下学时。")
        % {"name": of.name, "programme": programme},
        facts=tuple(facts),
        headings=headings(_),
        rows=tuple(row_of(each, lang, _) for each in of.content.lines),
        issued_by=of.institution_name,
        issued_on=date_text(of.issued_at),
        verify_url=verify_url(public_url, of.number),
        verify_hint=_("扫码或打开下面的地址，核验本证明是否有效。"),
        revoked=revoked_text(of, _),
    )


def headings(_: Translate) -> tuple[str, ...]:
    """Above the rows."""
    return _("学时要求"), _("期间"), _("应修学时"), _("已修学时"), _("其中")


def row_of(line: Line, lang: str, _: Translate) -> Row:
    """One line of the content in words."""
    return Row(
        rule=_named(line.name, lang) + (f" {line.label}" if line.label else ""),
        period=_period(line.begins, line.ends, _),
        required=as_words(line.required),
        counted=as_words(line.counted),
        kinds="，".join(f"{_(KINDS[kind])} {as_words(hours)}" for kind, hours in line.kinds.items())
        if lang == "zh"
        else ", ".join(f"{_(KINDS[kind])} {as_words(hours)}" for kind, hours in line.kinds.items()),
    )


def revoked_text(of: Certificate, _: Translate) -> str:
    """Why it is not valid any more, or ""."""
    if of.revoked_at is None:
        return ""
    if of.revoked_at == 0:
        return _("已失效：所依据的学时已不在账上。")
    return _("已失效：所依据的学时已于 %(time)s 被冲销。") % {"time": minute_text(of.revoked_at)}


def _named(name: Name, lang: str) -> str:
    return name.en if lang == "en" else name.zh


def _period(begins: date, ends: date | None, _: Translate) -> str:
    if ends is None:
        return _("自 %(day)s 起") % {"day": begins.isoformat()}
    return f"{begins.isoformat()} – {ends.isoformat()}"
