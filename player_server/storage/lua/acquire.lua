-- Take the session lock of one person, or say who has it. One atomic step.
-- KEYS[1]  lock hash {session, node, since, device}
-- ARGV[1]  the session that asks (new)
-- ARGV[2]  the session it proves to have been, or ''
-- ARGV[3]  1 = take it whoever has it
-- ARGV[4]  node   ARGV[5] device   ARGV[6] now (ms)   ARGV[7] time to live (ms)
-- Returns {1, session that holds it now, displaced session or ''} or {0, since (ms), device}
local owner = redis.call('HGET', KEYS[1], 'session')
local session, displaced = ARGV[1], ''
if owner then
  if owner == ARGV[2] then
    session = owner
  elseif ARGV[3] == '1' then
    displaced = owner
  else
    return {0, redis.call('HGET', KEYS[1], 'since'), redis.call('HGET', KEYS[1], 'device')}
  end
end
redis.call('HSET', KEYS[1], 'session', session, 'node', ARGV[4], 'device', ARGV[5], 'since', ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return {1, session, displaced}
