"""D01, D02: tickets, origins and floods at the WebSocket's door."""

from __future__ import annotations

import asyncio
import json
import socket
import time
import zlib
from contextlib import suppress
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.typing import Origin, Subprotocol

from telemetry.messages import MAX_FRAME_BYTES, SUBPROTOCOL
from tests.redteam.arena import Arena
from tests.redteam.case import LOAD, case
from tests.redteam.game import Game
from tests.redteam.people import ANSWER_S, Learner, Page, Refused

UNREAD_SOCKETS = 200
#: What 200 sockets that never read may cost a server, in MiB: far less than what was waiting for them.
MOST_GROWTH_MIB = 64.0
TICKET_S = 60.0


@case(
    "D01",
    "a ticket twice, late, after log-out, in another's browser; a foreign, null, suffix or missing Origin",
    "gateway.socket.watch: exact Origin; storage.tickets.redeem is GETDEL with a TTL; the ticket's log-in goes on",
    seconds=75,
    smoke=True,
)
async def tickets(game: Game) -> None:
    one, other = await game.learners_of(2, 600)
    video, own = one.lessons.video_ids[0], game.arena.nodes[0]

    async def refused(what: str, ticket: str, **options: str) -> None:
        """A handshake that must fail."""
        for node in range(len(game.arena.nodes) if "origin" not in options else 1):
            try:
                page = await one.redeem(ticket, video, node=node, **options)
            except Refused as refusal:
                game.check(f"{what}: refused at the handshake ({refusal.status})", refusal.status in (401, 403))
            else:
                game.check(f"{what}: let in as far as {await page.hello()}", False)

    async def late() -> None:
        if not game.smoke:
            ticket = await one.ticket()
            await asyncio.sleep(TICKET_S + 2)
            await refused("62 s old", ticket)

    async def crowd() -> None:
        ticket = await other.ticket()

        async def enter(node: int) -> bool:
            with suppress(Refused):
                await other.redeem(ticket, video, node=node)
                return True
            return False

        entered = await asyncio.gather(*(enter(number % len(game.arena.nodes)) for number in range(30)))
        game.check(f"one ticket, 30 handshakes at once: {sum(entered)} let in", sum(entered) == 1)

    async def misuse() -> None:
        ticket = await one.ticket()
        page = await one.redeem(ticket, video)
        await refused("the same ticket twice", ticket)
        for nonsense in ("", "x", "a" * 43, "a" * 5000, "%00", "..%2f", "*"):
            await refused(f"the ticket {nonsense[:8]!r}", nonsense)
        await page.close()
        await refused("another learner's, in a browser that is logged in", await other.ticket(), cookie=one.cookie)
        page = await one.redeem(await one.ticket(), video, cookie=one.cookie)
        game.check(
            "one's own, in one's own browser, is good", (await page.hello(takeover=True) or {}).get("session")
        )
        await page.close()
        port = own.rpartition(":")[2]
        origins = ["https://evil.example", "null", f"{own}.evil.example", f"{own}0", f"http://evil.{own[7:]}"]
        origins += [
            own.replace("http://", "https://"),
            f"http://localhost:{port}",
            f"{own}/",
            f"{own}@evil.example",
        ]
        origins += ["http://", f"{own} https://evil.example", own.upper().replace("HTTP", "http") + "#"]
        for origin in origins:
            await refused(f"Origin {origin!r}", await one.ticket(node=0), origin=origin)
        await refused("no Origin", await one.ticket(node=0), origin="")
        ticket = await one.ticket()
        async with one.browser() as browser:
            await browser.post("/logout", {"csrf": one.csrf})
        await refused("after log-out", ticket)
        await refused("after log-out, with the old cookie", ticket, cookie=one.cookie)
        with suppress(Refused):
            await one.ticket()
            game.check("after log-out no new ticket is given", False)

    async with game.twin():
        await asyncio.gather(late(), crowd(), misuse())
        await game.credit(one, 0.0)


@case(
    "D02",
    "1 kHz beats for 30 s; a frame of 64 KiB + 1; a compressed bomb; 200 sockets that never read",
    "gateway.committer: one entry a player; connection.UNREAD_BYTES; max_msg_size, no compression",
    seconds=60,
    load=LOAD,  # A delay is measured, so it has the machine to itself.
)
async def floods(game: Game) -> None:
    async with game.own_arena() as arena:
        await _rest(arena)
        before = [_resident_mib(server.pid) for server in arena.servers]
        delays: list[float] = []
        honest = await game.learner(7200, arena=arena)
        page = await honest.page()
        # Made before, so that making them is not taken for what they do.
        idle = await game.learners_of(UNREAD_SOCKETS, 600, arena=arena)
        measuring = asyncio.create_task(_measure(page, delays))
        async with game.twin(arena=arena):
            await asyncio.gather(
                _flood(game, arena), _too_big(game, arena), _bomb(game, arena), _unread(game, arena, idle)
            )
            peak = max(_resident_mib(server.pid) - was for server, was in zip(arena.servers, before, strict=True))
        measuring.cancel()
        delays.sort()
        p99 = delays[int(len(delays) * 0.99)]
        game.check(f"honest p99 of {len(delays)} acks is {p99 * 1000:.0f} ms, below 1 s", p99 < 1.0)
        game.check(f"the server grew by {peak:.0f} MiB at most", peak < MOST_GROWTH_MIB)
        game.note(f"honest ack p99 {p99 * 1000:.0f} ms; server grew by {peak:.0f} MiB")


async def _rest(arena: Arena) -> None:
    """Let a new server do everything once, so that its first memory is not taken for growth."""
    for node in range(len(arena.nodes)):
        await arena.until_ready(arena.nodes[node])
        async with arena.http.get(arena.nodes[node] + "/login") as answer:
            await answer.read()


def _resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(each for each in lines if each.startswith("VmRSS")).split()[1]) / 1024


async def _measure(page: Page, delays: list[float]) -> None:
    """An honest page beside the flood: how long each ack takes."""
    began = time.monotonic()
    while not page.closed:
        sent = time.monotonic()
        await page.acked(sent - began)
        delays.append(time.monotonic() - sent)
        await asyncio.sleep(0.1)


async def _flood(game: Game, arena: Arena) -> None:
    """A thousand beats a second, each one greedy."""
    learner = await game.learner(100_000, arena=arena)
    page = await learner.page()
    await page.acked(0.0, event="play")
    began, sent = arena.now(), 0
    while (passed := arena.now() - began) < 30 and not page.closed:
        while sent < passed * 1000:
            sent += 1
            await page.beat(page.frontier + 1.0)
        await asyncio.sleep(0.005)
    await page.settle()
    game.check(f"the flood of {sent} beats stays connected", not page.closed)
    game.note(f"{sent / 30:.0f} beats a second for 30 s")
    await game.credit(learner, page.passed, least=25, who="1 kHz")


async def _too_big(game: Game, arena: Arena) -> None:
    learner = await game.learner(600, arena=arena)
    for size, good in ((MAX_FRAME_BYTES, True), (MAX_FRAME_BYTES + 1, False)):
        page = await learner.page()
        text = '{"type":"beat","seq":1,"position":0.0,"playing":true,"x":"'
        await page.raw(text + "y" * (size - len(text) - 2) + '"}')
        if good:
            page.seq = 1
            game.check("64 KiB is taken", await page.settle(10))
        else:
            game.check("64 KiB + 1 is closed with 1009", await page.until_closed() == 1009)
    await game.credit(learner, 0.0, who="too big")


async def _bomb(game: Game, arena: Arena) -> None:
    """Compression is not agreed to; a compressed frame sent all the same is a protocol error, not 100 MB."""
    learner = await game.learner(600, arena=arena)
    url = f"{arena.nodes[0].replace('http', 'ws', 1)}/ws/watch?ticket={await learner.ticket(node=0)}"
    factory = ClientPerMessageDeflateFactory()
    async with connect(
        url,
        origin=Origin(arena.nodes[0]),
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        extensions=[factory],
        compression=None,
        proxy=None,
    ) as line:
        game.check("compression is not agreed to", not line.protocol.extensions)
        bomb = await asyncio.to_thread(_packed, 100_000_000)
        # FIN and RSV1 on a text frame, masked with zeros: "this is compressed".
        line.transport.write(b"\xc1\xff" + len(bomb).to_bytes(8, "big") + bytes(4) + bomb)
        with suppress(ConnectionClosed):
            async with asyncio.timeout(ANSWER_S):
                await line.recv()
    game.check(f"the bomb is refused ({line.close_code})", line.close_code in (1002, 1009))


def _packed(size: int) -> bytes:
    """So many blanks as permessage-deflate would send them."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(b" " * size) + packer.flush(zlib.Z_SYNC_FLUSH)


async def _unread(game: Game, arena: Arena, learners: list[Learner]) -> None:
    """Sockets that talk and never read: each is cut off once 32 KiB wait for it."""
    cut = 0

    async def talk(learner: Learner, number: int) -> None:
        nonlocal cut
        node = arena.nodes[number % len(arena.nodes)]
        host, _, port = node.removeprefix("http://").partition(":")
        plain = socket.socket()
        # A small window: what the kernel keeps for a reader is not the server's memory.
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, (host, int(port)))
        ticket = await learner.ticket(node=number)
        line: ClientConnection = await connect(
            f"{node.replace('http', 'ws', 1)}/ws/watch?ticket={ticket}",
            origin=Origin(node),
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            sock=plain,
            proxy=None,
            compression=None,
            ping_interval=None,
            max_queue=1,
        )
        line.transport.pause_reading()
        with suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(40):
                await line.send(json.dumps({"type": "hello", "video": learner.lessons.video_ids[0]}))
                while not line.transport.is_closing():
                    for _ in range(5):
                        # Each is no message, and is answered with more than it was.
                        await line.send('{"type":"' + "x" * 150 + '"}')
                    await line.send('{"type":"beat","seq":1,"position":0,"playing":false}')
                    await asyncio.sleep(0.05)
        cut += line.transport.is_closing()
        line.transport.abort()

    for start in range(0, UNREAD_SOCKETS, 40):
        batch = learners[start : start + 40]
        await asyncio.gather(*(talk(each, start + place) for place, each in enumerate(batch)))
    game.check(f"{cut} of {UNREAD_SOCKETS} sockets that never read were cut off", cut == UNREAD_SOCKETS)
