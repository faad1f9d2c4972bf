"""The ways to cheat: each a few lines over the real doors, each stopped by the rule that its docstring names.

A way plays until the day is over. Positions and times are seconds of the simulation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.simulator.cheater import Cheater, CheatLine

Way = Callable[[Cheater], Awaitable[None]]
#: How long most cheaters pause between two claims, like a page.
EVERY_S = 5.0


async def _race(cheater: Cheater, step: float, *, every: float = EVERY_S, rate: float = 1.0) -> None:
    """Claim `step` more every time, go back when told to, and take the next video when one is watched."""
    for video in cheater.person.videos:
        line = await cheater.line(video)
        position = line.frontier if line is not None else 0.0
        while line is not None and not line.watched and not cheater.pace.over:
            if line.ended.is_set():
                line = await cheater.line(video, session=line.session)
                continue
            position += step
            await line.beat(position, rate=rate, event="tick" if position < video.duration else "ended")
            await cheater.pace.sleep(every)
            if line.rewound_to is not None:
                position, line.rewound_to = line.rewound_to, None
        if line is not None:
            await line.close()


async def fast_rate(cheater: Cheater) -> None:
    """Twice as fast, declared as normal. The allowance is the server's time."""
    cheater.answers = True
    await _race(cheater, 2 * EVERY_S)


async def declared_rate(cheater: Cheater) -> None:
    """Sixteen times as fast, and says so. A declared rate is evidence, never credit."""
    await _race(cheater, 16 * EVERY_S, rate=16.0)


async def jumps(cheater: Cheater) -> None:
    """A jump of a minute every five seconds. Beyond the allowance nothing is earned, and the page is sent back."""
    await _race(cheater, 60)


async def tick_farm(cheater: Cheater) -> None:
    """Ten beats for one, each claiming a second. A beat earns nothing by itself."""
    await _race(cheater, 1, every=0.5)


async def steady_script(cheater: Cheater) -> None:
    """No media, perfect beats at normal speed, checks answered. Nothing stops it: it costs the real time."""
    cheater.answers = True
    await _race(cheater, EVERY_S * 0.999)


async def ignores_checks(cheater: Cheater) -> None:
    """Normal speed, but nobody answers the checks. The frontier is frozen while one is open."""
    await _race(cheater, EVERY_S * 0.999)


async def ended_at_once(cheater: Cheater) -> None:
    """Claims the end over and over. `ended` counts as playing, so it earns the time that passed."""
    for video in cheater.person.videos:
        line = await cheater.line(video)
        for _ in range(20):
            if line is None or line.ended.is_set() or cheater.pace.over:
                break
            await line.beat(video.duration, event="ended", playing=False)
            await cheater.pace.sleep(3)
        if line is not None:
            await line.close()


async def just_below(cheater: Cheater) -> None:
    """Reads the acknowledged frontier back and claims a little more than time allows. Jitter is never credit."""
    for video in cheater.person.videos:
        line = await cheater.line(video)
        while line is not None and not line.watched and not cheater.pace.over:
            if line.ended.is_set():
                line = await cheater.line(video, session=line.session)
                continue
            await line.beat(line.frontier + EVERY_S + 1.9)
            await cheater.pace.sleep(EVERY_S)


async def silent_grace(cheater: Cheater) -> None:
    """Says nothing for a minute, then claims it all. Silence counts up to the grace."""
    await _race(cheater, 60, every=60)


async def parallel_pages(cheater: Cheater) -> None:
    """Three videos at once, each claimed at normal speed, the player stolen back and forth. One player a person."""
    videos = cheater.person.videos[:3]
    lines: list[CheatLine | None] = [None] * len(videos)
    began = cheater.pace.now()
    turn = 0
    while not cheater.pace.over:
        turn = (turn + 1) % len(videos)
        former = lines[turn]
        lines[turn] = await cheater.line(videos[turn], session=former.session if former else None)
        for line in lines:
            if line is not None and not line.ended.is_set():
                await line.beat(cheater.pace.now() - began)
        await cheater.pace.sleep(7)
        for line in lines:
            if line is not None and not line.ended.is_set():
                await line.beat(cheater.pace.now() - began)


async def replay(cheater: Cheater) -> None:
    """Watches a minute, then the same beats again, as they were and numbered anew. They lie behind the frontier."""
    video = cheater.person.videos[0]
    line = await cheater.line(video)
    position = 0.0
    while line is not None and len(line.sent) < 12 and not cheater.pace.over:
        position += EVERY_S
        await line.beat(position)
        await cheater.pace.sleep(EVERY_S)
    recorded = list(line.sent) if line is not None else []
    anew = False
    while line is not None and not cheater.pace.over:
        if line.ended.is_set():
            line = await cheater.line(video, session=line.session)
            continue
        for message in recorded:
            line.seq += anew
            await line.raw({**message, "seq": line.seq} if anew else message)
        anew = not anew
        await cheater.pace.sleep(10)


async def reconnects(cheater: Cheater) -> None:
    """A new line every few seconds, each with one greedy beat. No tolerance belongs to a connection."""
    video = cheater.person.videos[0]
    session: str | None = None
    while not cheater.pace.over:
        line = await cheater.line(video, session=session)
        if line is None:
            return
        session = line.session if cheater.person.rng.random() < 0.5 else None
        await line.beat(line.frontier + 15)
        await cheater.pace.sleep(2)
        await line.beat(line.frontier + 15)
        await cheater.pace.sleep(1)
        await line.cut()


async def dodges_checks(cheater: Cheater) -> None:
    """Normal speed; on a check it tries another line and another video. The hold is the person's own."""
    turn = 0
    while not cheater.pace.over:
        video = cheater.person.videos[turn % len(cheater.person.videos)]
        line = await cheater.line(video)
        if line is None:
            return
        position = line.frontier
        for _ in range(12 if cheater.check else 10_000):
            if line.ended.is_set() or cheater.pace.over or (cheater.check and position > line.frontier + 60):
                break
            position += EVERY_S
            await line.beat(position)
            await cheater.pace.sleep(EVERY_S)
        await line.close()
        turn += 1


async def quiz_only(cheater: Cheater) -> None:
    """All right in every quiz without watching. Hours need both."""
    for video in cheater.person.videos:
        if cheater.pace.over:
            return
        await cheater.person.hand_in(video, right=True)
        await cheater.pace.sleep(30)


#: Every way, by name.
WAYS: dict[str, Way] = {
    way.__name__: way
    for way in (
        fast_rate,
        declared_rate,
        jumps,
        tick_farm,
        steady_script,
        ignores_checks,
        ended_at_once,
        just_below,
        silent_grace,
        parallel_pages,
        replay,
        reconnects,
        dodges_checks,
        quiz_only,
    )
}
