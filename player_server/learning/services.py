"""What every use case may be handed: the stores, the settings and the keys. Built in `player_server.app` only."""

from __future__ import annotations

from dataclasses import dataclass, field

from redis.asyncio import Redis

from player_server.auth.gate import Gate
from player_server.config import Settings
from player_server.learning.desk import Desk
from player_server.learning.programmes import Programmes
from player_server.storage.clock import StoreClock
from player_server.storage.database import Database
from player_server.storage.hints import Hints
from player_server.storage.keys import Keys


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    db: Database
    redis: Redis
    clock: StoreClock
    keys: Keys
    hints: Hints
    programmes: Programmes
    gate: Gate = field(default_factory=Gate)  # what this process remembers of other services
    desk: Desk = field(default_factory=Desk)  # where this process's questions of one moment meet
