"""What a server process remembers of clients for some seconds, so that a question costs neither SQL nor Redis
first.

What belongs here: memory with its bounds. Losing it costs time, never a right or a refusal that should last.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from player_server.observe import metrics

if TYPE_CHECKING:
    from player_server.auth.service_clients import ServiceClient

#: A client that was switched off is refused everywhere after so many seconds.
REMEMBERED_S = 2.0
#: More entries than this are forgotten all at once: honest clients have a handful.
MOST = 2000
#: Questions are counted in minutes, over all nodes.
WINDOW_S = 60
#: A node takes this share of a client's minute at a time, so that Redis is asked once for many questions.
_SHARE = 50


@dataclass(frozen=True, slots=True)
class Pace:
    """How a client stands: `limit` a minute, `remaining` as far as this node knows, `reset_s` until it starts
    anew."""

    allowed: bool
    limit: int
    remaining: int
    reset_s: int


@dataclass(slots=True)
class _Lease:
    window: int
    here: int  # taken by this node and not used yet
    left: int  # of the whole minute, when this node took last


class Gate:
    """One for each server process."""

    def __init__(self) -> None:
        self._claims: dict[bytes, tuple[float, dict[str, Any]]] = {}
        self._clients: dict[str, tuple[float, ServiceClient | None]] = {}
        self._leases: dict[str, _Lease] = {}

    def claims(self, token: str, now_s: float) -> dict[str, Any] | None:
        """Of a token that was verified before and has not expired since."""
        found = self._claims.get(sha256(token.encode(errors="replace")).digest())
        return found[1] if found is not None and now_s < found[0] else None

    def keep_claims(self, token: str, claims: dict[str, Any], now_s: float) -> None:
        """Remember a verified token, at most as long as it is good, and so briefly that a removed key soon
        shows."""
        _bound(self._claims)
        until = min(float(claims["exp"]), now_s + REMEMBERED_S)
        self._claims[sha256(token.encode(errors="replace")).digest()] = (until, claims)

    def knows(self, client_id: str, now_s: float) -> bool:
        """Whether this client was looked up a moment ago."""
        found = self._clients.get(client_id)
        return found is not None and now_s < found[0]

    def client(self, client_id: str) -> ServiceClient | None:
        """As it was looked up; None: there is none, or it is switched off."""
        return self._clients[client_id][1]

    def keep_client(self, client_id: str, client: ServiceClient | None, now_s: float) -> None:
        """Remember it for REMEMBERED_S."""
        _bound(self._clients)
        self._clients[client_id] = (now_s + REMEMBERED_S, client)

    async def pace(self, redis: Redis, who: str, limit: int, cost: int, now_s: float) -> Pace:
        """Count a question that weighs `cost`. If Redis is away questions go through: refusing would stop exams."""
        window, reset_s = int(now_s) // WINDOW_S, WINDOW_S - int(now_s) % WINDOW_S
        lease = self._leases.get(who)
        if lease is None or lease.window != window:
            _bound(self._leases)
            lease = self._leases[who] = _Lease(window, 0, limit)
        if lease.here < cost and lease.left > 0:
            await self._take(redis, who, limit, cost, lease)
        allowed = lease.here >= cost
        if allowed:
            lease.here -= cost
        return Pace(allowed, limit, max(0, lease.left + lease.here), reset_s)

    async def _take(self, redis: Redis, who: str, limit: int, cost: int, lease: _Lease) -> None:
        wanted = max(cost, limit // _SHARE)
        key = f"xueshi:pace:{lease.window}:{who}"
        try:
            async with redis.pipeline(transaction=False) as pipe:
                pipe.incrby(key, wanted)
                pipe.expire(key, 2 * WINDOW_S)
                used = int((await pipe.execute())[0])
        except (RedisError, OSError):
            metrics.redis_failures.labels("pace").inc()
            lease.here += wanted
            return
        lease.here += max(0, wanted - max(0, used - limit))
        lease.left = max(0, limit - used)


def _bound(memory: dict[Any, Any]) -> None:
    if len(memory) >= MOST:
        memory.clear()
