"""The ledger's log over HTTP: whoever is given a checkpoint, the key and a proof can check them alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from player_server.api import ledger
from player_server.learning.ledger_log import log_entries, sign_checkpoint
from player_server.learning.services import Services
from player_server.policy.merkle import is_consistent, leaf_hash, root_by_inclusion
from player_server.policy.signed_note import open_checkpoint, read_verifier
from tests.support import school
from tests.support.doors import browser_of, open_doors
from tests.support.services import close_services, make_services

ROUTES = (
    web.get("/ledger/checkpoint", ledger.checkpoint),
    web.get("/ledger/key", ledger.public_key),
    web.get("/ledger/inclusion/{leaf_hash}", ledger.inclusion_proof),
    web.get("/ledger/consistency", ledger.consistency_proof),
    web.get("/hours/{entry}/proof.json", ledger.own_proof),
)


@pytest_asyncio.fixture
async def services(database_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Services]:
    made = await make_services(database_url, valkey_url, tmp_path, ledger={"checkpoint_every_s": 0.000001})
    yield made
    await close_services(made)


@pytest_asyncio.fixture
async def server(services: Services) -> AsyncIterator[TestServer]:
    async with open_doors(services, ROUTES) as server:
        yield server


async def get(browser: ClientSession, path: str, status: int = 200) -> str:
    async with browser.get(path) as reply:
        assert reply.status == status, await reply.text()
        return await reply.text()


async def json(browser: ClientSession, path: str, status: int = 200) -> dict[str, object]:
    async with browser.get(path) as reply:
        assert reply.status == status, await reply.text()
        found: dict[str, object] = await reply.json(content_type=None)
        return found


async def test_a_learner_can_prove_an_entry_without_trusting_the_server(
    services: Services, server: TestServer
) -> None:
    at = await school.add_institution(services, "示例")
    pupil, other = await school.add_learner(services, at), await school.add_learner(services, at)
    lessons = await school.add_course(services, at)
    async with browser_of(services, server, pupil) as browser, browser_of(services, server, other) as stranger:
        assert (await json(browser, "/ledger/checkpoint", 404))["code"] == "no_checkpoint"
        key = read_verifier(await get(browser, "/ledger/key"))
        entries = []
        for video_id in lessons.video_ids:
            entry = await school.add_entry(services, pupil.learner_id, lessons, video_id, 100, institution_id=at)
            entries.append(entry)
            path = f"/hours/{entry}/proof.json"
            assert (await json(browser, path, 404))["code"] == "not_covered"
            await log_entries(services)
            assert (await json(browser, path, 404))["code"] == "not_covered"
            await sign_checkpoint(services)
            point = open_checkpoint(await get(browser, "/ledger/checkpoint"), key)
            proof = await json(browser, path)
            leaf = leaf_hash(str(proof["data"]).encode())
            assert f'"id":{entry},' in str(proof["data"]) and leaf.hex() == proof["leaf_hash"]
            steps = proof["path"]
            assert isinstance(steps, list) and isinstance(proof["position"], int)
            hashes = [bytes.fromhex(each) for each in steps]
            assert root_by_inclusion(proof["position"], point.size, leaf, hashes) == point.root
            # Nobody else's business, and not even whether there is such an entry.
            assert (await json(stranger, path, 404))["code"] == "not_found"
            by_hash = await json(stranger, f"/ledger/inclusion/{leaf.hex()}")
            assert by_hash["path"] == steps and "data" not in by_hash
        first = await json(stranger, "/ledger/consistency?first=1&second=2")
        steps = first["path"]
        assert isinstance(steps, list)
        old = leaf_hash(str((await json(browser, f"/hours/{entries[0]}/proof.json"))["data"]).encode())
        assert is_consistent(1, old, point.size, point.root, [bytes.fromhex(each) for each in steps])


async def test_nonsense_gets_a_problem(services: Services, server: TestServer) -> None:
    async with browser_of(services, server) as nobody:
        for leaf in ("00" * 32, "zz", "%00"):
            assert (await json(nobody, f"/ledger/inclusion/{leaf}", 404))["code"] == "not_found"
        for query in ("", "?first=1", "?first=0&second=1", "?first=x&second=9"):
            assert (await json(nobody, f"/ledger/consistency{query}", 400))["code"] == "bad_sizes"
        assert (await json(nobody, "/ledger/consistency?first=1&second=2", 404))["code"] == "not_covered"
        async with nobody.get("/hours/1/proof.json", allow_redirects=False) as reply:
            assert reply.status == 303
