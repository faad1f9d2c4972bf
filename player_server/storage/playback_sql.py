"""The SQL of the beat path, once per database: the fenced batch update and what goes with it in one transaction.

The batch sets a hold only when it issues a challenge that does not exist yet, so a repeated batch (a COMMIT whose
answer was lost) never puts back a hold that was cleared in between.
"""

from __future__ import annotations

from player_server.storage.clock import PG_NOW_MS

# The issue guard is only evaluated for rows that issue a challenge.
_SET = """
  frontier_ms = n.frontier_ms, position_ms = n.position_ms, carry_ms = n.carry_ms, playing = n.playing,
  until_challenge_ms = n.until_ms, clock_domain = n.clock_domain, clock_ms = n.clock_ms,
  challenge_sequence = playback.challenge_sequence + CASE
    WHEN n.issue IS NULL OR EXISTS (SELECT 1 FROM challenge c WHERE c.id = n.issue) THEN 0 ELSE 1 END,
  held_challenge_id = CASE
    WHEN n.issue IS NULL OR EXISTS (SELECT 1 FROM challenge c WHERE c.id = n.issue)
    THEN playback.held_challenge_id ELSE n.issue END
"""

SQLITE_UPDATE = f"""
UPDATE playback SET {_SET}
FROM (SELECT json_extract(value, '$[0]') AS person_id,
             json_extract(value, '$[1]') AS epoch,
             json_extract(value, '$[2]') AS frontier_ms,
             json_extract(value, '$[3]') AS position_ms,
             json_extract(value, '$[4]') AS carry_ms,
             json_extract(value, '$[5]') AS playing,
             json_extract(value, '$[6]') AS until_ms,
             json_extract(value, '$[7]') AS issue,
             ?2 AS clock_domain, ?3 AS clock_ms
      FROM json_each(?1)) AS n
WHERE playback.person_id = n.person_id AND playback.epoch = n.epoch
RETURNING playback.person_id, playback.held_challenge_id
"""

# The columns come as texts like {1,2,3}: the driver would look at each element of an array for reasons that do not
# apply here, which costs more than everything else it does. The timeline is part of the clock's name: after a
# fail-over the gap of a reconnect gives no allowance.
_PG_ROWS = f"""
  (SELECT u.*, c.clock_domain, c.clock_ms
   FROM unnest($1::text::bigint[], $2::text::bigint[], $3::text::bigint[], $4::text::bigint[], $5::text::bigint[],
               $6::text::boolean[], $7::text::bigint[], $8::text::text[])
        AS u(person_id, epoch, frontier_ms, position_ms, carry_ms, playing, until_ms, issue),
        (SELECT $9::text AS clock_domain, {PG_NOW_MS} AS clock_ms) AS c) AS n
"""

PG_UPDATE = f"""
UPDATE playback SET {_SET}
FROM {_PG_ROWS}
WHERE playback.person_id = n.person_id AND playback.epoch = n.epoch
RETURNING playback.person_id, playback.held_challenge_id
"""

# The fallback after a lock time-out: locked rows are left for the next tick. Much dearer, so never the rule.
PG_UPDATE_SKIP_LOCKED = f"""
WITH free AS (
  SELECT person_id FROM playback WHERE person_id = ANY($1::text::bigint[]) ORDER BY person_id FOR UPDATE SKIP LOCKED
)
UPDATE playback SET {_SET}
FROM {_PG_ROWS}, free
WHERE playback.person_id = n.person_id AND playback.epoch = n.epoch AND free.person_id = playback.person_id
RETURNING playback.person_id, playback.held_challenge_id
"""

_CHALLENGE = """
INSERT INTO challenge
  (id, person_id, sequence, kind, learner_id, video_id, session_id, issued_at, deadline, same_device)
SELECT p.held_challenge_id, p.person_id, p.challenge_sequence,
       CASE WHEN phone.id IS NULL THEN 'identity' ELSE 'attendance' END,
       p.learner_id, p.video_id, p.session_id, p.clock_ms,
       p.clock_ms + CASE WHEN phone.id IS NULL THEN {identity} ELSE {attendance} END, FALSE
FROM playback p LEFT JOIN phone ON phone.person_id = p.person_id AND phone.revoked_at IS NULL
WHERE p.held_challenge_id IN ({issued})
ON CONFLICT DO NOTHING
"""

SQLITE_CHALLENGE = _CHALLENGE.format(identity="?2", attendance="?3", issued="SELECT value FROM json_each(?1)")
PG_CHALLENGE = _CHALLENGE.format(identity="$2::bigint", attendance="$3::bigint", issued="SELECT unnest($1::text[])")

_SEGMENT_COLUMNS = "session_id, number, learner_id, video_id, round, from_ms, to_ms, started_at, ended_at, reason"
SQLITE_SEGMENT = (
    f"INSERT INTO watch_segment ({_SEGMENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
PG_SEGMENT = (
    f"INSERT INTO watch_segment ({_SEGMENT_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
    "ON CONFLICT DO NOTHING"
)

_FINDING = """
INSERT INTO finding (session_id, kind, person_id, learner_id, video_id, count, worst, first_at, last_at)
VALUES ({values})
ON CONFLICT (session_id, kind) DO UPDATE SET
  count = excluded.count, worst = excluded.worst, last_at = excluded.last_at
"""
SQLITE_FINDING = _FINDING.format(values="?, ?, ?, ?, ?, ?, ?, ?, ?")
PG_FINDING = _FINDING.format(values="$1, $2, $3, $4, $5, $6, $7, $8, $9")

SQLITE_STATE = """
SELECT person_id, epoch, session_id, ended_reason FROM playback
WHERE person_id IN (SELECT value FROM json_each(?1))
"""
PG_STATE = """
SELECT person_id, epoch, session_id, ended_reason FROM playback WHERE person_id = ANY($1::bigint[])
"""
