"""The PDF: one that is whole, or none and the characters that no font has; never an empty box."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from player_server.config import ConfigError, load
from player_server.pages.certificate_pdf import MissingCharacters, Order, draw
from player_server.storage.fonts import WELL_KNOWN, find_fonts
from tests.support.fonts import make_font

ORDER = Order(
    fonts=[],
    title="学时证明",
    number_label="编号",
    number="7K2M-9QXT-4B8R-WZ3C",
    statement="兹证明 张𠮷 已按规定修满以下学时。",
    facts=[("姓名", "张𠮷")],
    headings=["学时要求", "期间", "应修学时", "已修学时", "其中"],
    rows=[("专业课程", "2024-06-01 – 2027-05-31", "40", "40", "网络学习 40")],
    issued_by="示例学校",
    issued_on="2026-11-20",
    verify_url="https://xueshi.example/verify/7K2M-9QXT-4B8R-WZ3C",
    verify_hint="扫码核验",
    revoked="",
)


def order(*fonts: Path, **changes: object) -> Order:
    return msgspec.structs.replace(ORDER, fonts=[str(each) for each in fonts], **changes)


async def test_a_rare_character_comes_from_the_next_font(tmp_path: Path) -> None:
    common = make_font(tmp_path / "common.ttf", ORDER.texts.replace("𠮷", ""))
    rare = make_font(tmp_path / "rare.ttf", "𠮷")
    with pytest.raises(MissingCharacters) as missing:
        await draw(order(common))
    assert missing.value.characters == "𠮷"
    pdf = await draw(order(common, rare))
    assert pdf.startswith(b"%PDF") and b"common" in pdf and b"rare" in pdf


async def test_many_periods_go_on_a_second_page_with_the_code_on_the_last(tmp_path: Path) -> None:
    font = make_font(tmp_path / "all.ttf", ORDER.texts)
    one, many = await draw(order(font)), await draw(order(font, rows=ORDER.rows * 40))
    assert one.count(b"/Type /Page\n") == 1 and many.count(b"/Type /Page\n") >= 2


def test_the_configured_font_goes_first(tmp_path: Path) -> None:
    font = make_font(tmp_path / "own.ttf", "学")
    assert find_fonts(font)[0] == font
    assert find_fonts(None) == tuple(Path(each) for each in WELL_KNOWN if Path(each).is_file())


def test_a_configured_font_that_is_not_there_is_refused_at_the_start(tmp_path: Path) -> None:
    plain = {"insecure_http": True}
    with pytest.raises(ConfigError, match=r"certificates\.font: there is no file"):
        load(overrides={"server": plain, "certificates": {"font": str(tmp_path / "absent.ttf")}})
