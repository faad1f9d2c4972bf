"""Papers with nothing stubbed: server and worker are processes, the learner and the office sit at Chromium.

The learner takes a certificate and its PDF, the office exports the ledger and opens it with another library, a
stranger checks the certificate, and after a reversal it is not valid any more.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, expect
from python_calamine import CalamineWorkbook
from sqlalchemy import insert, select

from player_server.auth.login_sessions import Client, open_login
from player_server.pages.language import CATALOGUES
from player_server.policy.id_number import check_character
from player_server.policy.periods import china_day
from player_server.storage.clock import wall_ms
from player_server.storage.tables import ledger_entry
from player_server.web import cookies
from tests.support import school
from tests.support.fonts import make_font
from tests.support.product import Product, product

NAME = "欧阳震华"
PROGRAMMES = Path(__file__).parents[2] / "player_server" / "programmes"


def font_of_every_text(path: Path) -> Path:
    """A font with all characters that the product's own texts and this test use: no machine has to bring one."""
    files = [*CATALOGUES.glob("*.po"), *PROGRAMMES.glob("*.yaml")]
    texts = "".join(each.read_text(encoding="utf-8") for each in files)
    return make_font(path, "".join(sorted({each for each in texts + NAME + "测试学校" if not each.isspace()})))


async def window(
    running: Product, chromium: Browser, pupil: school.Pupil | None = None, staff_id: int | None = None
) -> BrowserContext:
    """A browser of its own, logged in as this learner, this member of staff, or nobody."""
    context = await chromium.new_context(locale="zh-CN", accept_downloads=True)
    if pupil is not None or staff_id is not None:
        async with running.services.db.write() as conn:
            token = await open_login(
                running.services,
                conn,
                person_id=pupil.person_id if pupil else None,
                learner_id=pupil.learner_id if pupil else None,
                staff_id=staff_id,
                client=Client("127.0.0.1", "test"),
            )
        await context.add_cookies([{"name": cookies.LOGIN, "value": token, "url": running.url}])
    return context


async def finished(running: Product) -> tuple[school.Pupil, school.Lessons]:
    """A learner who has all of a site staff's first year, and nothing more."""
    services, at = running.services, running.institution_id
    body = "32010219900307001"
    person_id = await school.add_person(services, NAME, body + check_character(body))
    pupil = await school.add_learner(services, at, person_id=person_id)
    lessons = await school.add_course(services, at, hours=(2000, 1200))
    issued = china_day(wall_ms()) - timedelta(days=400)
    await school.add_enrolment(
        services, pupil.learner_id, lessons.course_id, programme="hainan-site-staff", issue_date=issued
    )
    for video_id, hours in zip(lessons.video_ids, (2000, 1200), strict=True):
        await school.add_entry(
            services, pupil.learner_id, lessons, video_id, hours, institution_id=at, occurred_at=wall_ms()
        )
    return pupil, lessons


async def test_papers_from_the_certificate_to_its_end(
    sqlite_url: str, valkey_url: str, tmp_path: Path, chromium: Browser
) -> None:
    font = font_of_every_text(tmp_path / "all.ttf")
    async with product(sqlite_url, valkey_url, tmp_path, certificates={"font": str(font)}) as running:
        pupil, lessons = await finished(running)

        page = await (await window(running, chromium, pupil)).new_page()
        await page.goto(running.url)
        await page.get_by_role("button", name="领取学时证明").click()
        await expect(page.locator(".certificate")).to_contain_text(NAME)
        async with page.expect_download() as download:
            await page.get_by_role("link", name="下载 PDF").click()
        pdf = Path(await (await download.value).path()).read_bytes()
        assert pdf.startswith(b"%PDF") and len(pdf) > 5_000
        number = page.url.rsplit("/", 1)[1]

        staff_id = await school.add_staff(running.services, running.institution_id)
        office = await (await window(running, chromium, staff_id=staff_id)).new_page()
        await office.goto(f"{running.url}/staff/exports")
        await office.get_by_role("radio", name="学时账目").check()
        await office.get_by_role("button", name="生成文件").click()
        async with office.expect_download() as download:
            await office.get_by_role("link", name="下载文件").click()
        workbook = CalamineWorkbook.from_path(await (await download.value).path())
        headings, *rows = workbook.get_sheet_by_index(0).to_python()
        query = select(ledger_entry.c.hours).order_by(ledger_entry.c.id)
        async with running.services.db.read() as conn:
            wanted = [hours / 100 for hours in await conn.scalars(query)]
        assert [row[headings.index("学时")] for row in rows] == wanted

        stranger = await (await window(running, chromium)).new_page()
        await stranger.goto(f"{running.url}/verify")
        await stranger.get_by_label("证明编号").fill(number.lower().replace("-", " "))
        await stranger.get_by_role("button", name="核验").click()
        await expect(stranger.get_by_role("status")).to_contain_text("有效")
        assert NAME not in await stranger.content()
        async with running.services.db.write() as conn:
            await conn.execute(
                insert(ledger_entry).values(
                    learner_id=pupil.learner_id,
                    institution_id=running.institution_id,
                    course_id=lessons.course_id,
                    video_id=lessons.video_ids[0],
                    kind="online",
                    subject="professional",
                    hours=-2000,
                    round=1,
                    entry_type="reversal",
                    rule_version="1",
                    occurred_at=wall_ms(),
                    evidence="{}",
                )
            )
        await stranger.reload()
        await expect(stranger.get_by_role("alert")).to_contain_text("无效")
