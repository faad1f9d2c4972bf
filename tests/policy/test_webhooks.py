"""Webhooks: signed so that the specification's own package accepts it, and tried for three days."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from player_server.policy.webhooks import GIVE_UP_MS, SECRET_BYTES, headers, make_secret, next_try_ms, sign

SECRET = make_secret(bytes(range(SECRET_BYTES)))


def test_the_standards_own_package_verifies_what_we_sign() -> None:
    now = int(time.time())
    body = '{"名":1}'.encode()
    verified = Webhook(SECRET).verify(body, dict(headers(SECRET, "evt_1", now, body)))
    assert verified == {"名": 1}
    assert sign(SECRET, "evt_1", now, body) == Webhook(SECRET).sign(
        "evt_1", datetime.fromtimestamp(now, UTC), body.decode()
    )
    with pytest.raises(ValueError, match="32 random bytes"):
        make_secret(b"short")


@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_it_is_tried_for_three_days_with_growing_pauses(chance: float) -> None:
    first = now = 1_000_000
    pauses = []
    failures = 1
    while (again := next_try_ms(failures, first, now, chance)) is not None:
        pauses.append(again - now)
        now, failures = again, failures + 1
    assert now == first + GIVE_UP_MS
    assert pauses[0] in (5000, 6000) and pauses[:9] == sorted(pauses[:9])
    assert 15 < len(pauses) < 25
    assert next_try_ms(failures, first, now + 1, chance) is None
