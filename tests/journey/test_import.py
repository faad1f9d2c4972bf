"""An institution's morning, in real Chromium: template, 200 learners with ten slips, correction, import, passwords.

Ends where a learner logs in with what was printed and the class ledger has opened the player. Set XUESHI_SHOTS to a
folder to get a picture of every page at desktop and at phone width.
"""

from __future__ import annotations

import io
import os
import re
import shutil
from pathlib import Path

from playwright.async_api import Browser, Page, expect
from python_calamine import CalamineWorkbook
from sqlalchemy import insert

from player_server.auth.passwords import hash_password
from player_server.storage.clock import wall_ms
from player_server.storage.tables import staff
from tests.support.http_browser import HttpBrowser
from tests.support.product import Product, product
from tests.support.sheets import as_csv, as_xlsx, attendance, headings
from tests.support.sheets import learner as row_of

DEMO = Path(__file__).parents[2] / "player_server" / "demo" / "course"
PASSWORD = "长颈鹿爱吃树叶 7"
COURSE = """
title: 起重吊装
specialty: 建筑工程
subject: professional
videos:
  - {file: clip.mp4, title: 起重吊装安全要点, hours: 0.5, quiz: none}
"""
WIDTHS = (1280, 390)
LEARNERS = 200


async def hire(running: Product) -> None:
    """The institution's owner."""
    password_hash = await hash_password(PASSWORD)
    async with running.services.db.write() as conn:
        await conn.execute(
            insert(staff).values(
                institution_id=running.institution_id,
                username="owner",
                name="赵主任",
                role="owner",
                password_hash=password_hash,
                created_at=wall_ms(),
            )
        )


async def shot(page: Page, name: str) -> None:
    """A picture at both widths, if somebody wants to look; nothing may be wider than the screen."""
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 900})
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, name
        if folder := os.environ.get("XUESHI_SHOTS"):
            await page.screenshot(path=Path(folder) / f"import-{name}-{width}.png", full_page=True)
    await page.set_viewport_size({"width": WIDTHS[0], "height": 900})


async def bring(page: Page, kind: str, name: str, content: bytes) -> None:
    """Choose what and which file with the keyboard's help, send it, and follow the job to the preview."""
    await page.goto("/staff/imports")
    await page.locator(f"input[name=kind][value={kind}]").check()
    await page.locator("#file").set_input_files(
        {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    )
    await page.get_by_role("button", name="上传并检查").press("Enter")
    await page.wait_for_url(re.compile(r"/staff/imports/\d+$"), timeout=30_000)


async def confirm(page: Page) -> None:
    await page.get_by_role("button", name="确认导入").press("Enter")
    await page.wait_for_url(re.compile(r"/staff/imports/\d+$"), timeout=30_000)
    await expect(page.get_by_text("全部内容已导入。")).to_be_visible()


async def test_an_institution_brings_its_learners_in(
    sqlite_url: str, valkey_url: str, tmp_path: Path, chromium: Browser
) -> None:
    course = tmp_path / "course"
    course.mkdir()
    shutil.copy(DEMO / "04-lifting.mp4", course / "clip.mp4")
    (course / "course.yaml").write_text(COURSE, encoding="utf-8")
    async with product(sqlite_url, valkey_url, tmp_path, course) as running:
        await hire(running)
        context = await chromium.new_context(base_url=running.url, locale="zh-CN")
        page = await context.new_page()
        broken: list[str] = []
        page.on("pageerror", lambda error: broken.append(str(error)))
        await page.goto("/staff/login?next=/staff/imports")
        await page.get_by_label("用户名").fill("owner")
        await page.get_by_label("密码").fill(PASSWORD)
        await page.get_by_role("main").get_by_role("button").click()
        await expect(page.get_by_text("还没有导入过")).to_be_visible()
        await shot(page, "empty")

        async with page.expect_download() as downloading:
            await page.get_by_role("link", name="下载模板").first.click()
        path = await (await downloading.value).path()
        first = CalamineWorkbook.from_filelike(io.BytesIO(path.read_bytes())).get_sheet_by_index(0).to_python()
        slips = {each: {"id_number": "32019919700101001"} for each in range(5, LEARNERS, 20)}
        rows = [row_of(each, **slips.get(each, {})) for each in range(LEARNERS)]
        await bring(page, "learners", "名册.xlsx", as_xlsx(first[0], *rows))
        await expect(page.get_by_text("表格中有 10 处错误")).to_be_visible()
        await expect(page.get_by_role("row", name=re.compile("^7 身份证号 身份证号应为 18 位"))).to_be_visible()
        await expect(page.get_by_role("button", name="确认导入")).to_have_count(0)
        await shot(page, "errors")

        await bring(page, "learners", "名册.xlsx", as_xlsx(first[0], *(row_of(each) for each in range(LEARNERS))))
        await shot(page, "preview")
        await confirm(page)
        await shot(page, "applied")
        await page.get_by_role("button", name="生成初始密码单").click()
        await expect(page.get_by_text(f"共 {LEARNERS} 人")).to_be_visible()
        printed = page.get_by_role("row").filter(has_text=row_of(0)[1][-4:]).filter(has_text="第1期")
        secret = await printed.locator(".code").first.inner_text()
        await shot(page, "secrets")

        days = [attendance(0, day=day, hours="8") for day in ("2026-11-02", "2026-11-03")]
        ledger = as_csv(headings("offline"), *days, encoding="gbk")
        await bring(page, "offline", "台账.csv", ledger)
        await confirm(page)
        await page.goto("/staff/imports")
        await shot(page, "list")
        assert broken == []

        async with HttpBrowser(running.url) as learner:
            await learner.get("/login")
            await learner.submit("/login", id_number=row_of(0)[1], password=secret)
            assert learner.path == "/password"
            await learner.submit("/password", new=PASSWORD, repeat=PASSWORD)
            await learner.get(f"/player/{running.video_ids[0]}")
            assert learner.status == 200
        async with HttpBrowser(running.url) as other:
            await other.get("/login")
            await other.submit("/login", id_number=row_of(1)[1], password=secret)
            assert other.path == "/login"
        await context.close()
