"""The jobs of every second and how often they run: each is a conditional update in a use case, and may run twice.

What somebody asked for and waits for (imports, exports) is of another kind: `workers/kinds.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from player_server.learning.challenges import expire_due
from player_server.learning.deadlines import remind_of_deadlines
from player_server.learning.deliveries import forget, place
from player_server.learning.findings import note_long_days, open_findings
from player_server.learning.imports import forget_old
from player_server.learning.jobs import delete_old
from player_server.learning.ledger_log import log_entries, log_stragglers, sign_checkpoint
from player_server.learning.rights import end_without_right
from player_server.learning.services import Services
from player_server.learning.settle import sweep
from player_server.learning.standing import follow_changes
from player_server.learning.watch import retire_silent
from player_server.learning.xapi import tell_record_store
from player_server.observe import log
from player_server.storage.files import delete_expired_files
from workers.deliver import deliver_for_ever


async def delete_expired(services: Services) -> int:
    """Remove stored files whose time is over."""
    async with services.db.read() as conn:
        now = (await services.clock.read(conn)).ms
    return await delete_expired_files(services.db, now)


@dataclass(frozen=True, slots=True)
class Job:
    """`work` returns how many things it changed; it runs again at once when that is not none."""

    name: str
    every_s: float
    work: Callable[[Services], Awaitable[int]]


JOBS = (
    # Challenges that nobody answered: the page must say so soon after the window.
    Job("expire_challenges", 1.0, expire_due),
    # Players whose node died: nobody waits for it, the session lock ends by itself.
    Job("retire_silent_players", 5.0, retire_silent),
    # Players that lost their right to play: within five seconds, as promised to institutions.
    Job("end_players_without_right", 2.0, end_without_right),
    # Credits that a crash left behind between a commit and its settling.
    Job("settle_left_behind", 5.0, sweep),
    # Roll-ups of the staff's pages: a credit should be in their figures by the next look.
    Job("follow_changes", 1.0, follow_changes),
    # Events get their place in the order in which everybody sees them.
    Job("place_events", 0.5, place),
    Job("forget_events", 600.0, forget),
    # Hours get their place in the ledger's log seconds after their commit; all are looked at now and then.
    Job("log_entries", 2.0, log_entries),
    Job("log_stragglers", 600.0, log_stragglers),
    # It looks at the clock itself (ledger.checkpoint_every_s).
    Job("sign_checkpoint", 2.0, sign_checkpoint),
    # Days with more hours than anybody studies: for people to look at, so there is no hurry.
    Job("note_long_days", 600.0, note_long_days),
    # Deadlines come a day at a time; an hour later is soon enough.
    Job("remind_of_deadlines", 3600.0, remind_of_deadlines),
    # What people should look at is told to other systems within a minute.
    Job("open_findings", 60.0, open_findings),
    # Watched stretches for the learning record store, if there is one.
    Job("tell_record_store", 2.0, tell_record_store),
    # Uploads and downloads that nobody may fetch any more.
    Job("delete_expired_files", 300.0, delete_expired),
    # Checked sheets and finished jobs of last month.
    Job("forget_old_imports", 3600.0, forget_old),
    Job("delete_old_jobs", 3600.0, delete_old),
)


async def run_jobs(services: Services) -> None:
    """Run every job at its pace until cancelled. A job that fails is logged and tried again."""
    async with asyncio.TaskGroup() as group:
        for job in JOBS:
            group.create_task(_repeat(job, services))
        group.create_task(deliver_for_ever(services))


async def _repeat(job: Job, services: Services) -> None:
    while True:
        try:
            changed = await job.work(services)
        except Exception:
            # Whatever it was, the next round finds the same rows again.
            log.exception("job_failed", job=job.name)
            changed = 0
        if changed:
            log.info("job_done", job=job.name, changed=changed)
        else:
            await asyncio.sleep(job.every_s)
