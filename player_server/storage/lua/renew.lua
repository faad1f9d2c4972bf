-- Keep one person's lock alive; take it again if it was lost (a flushed or restarted Redis).
-- KEYS[1]  lock hash
-- ARGV[1]  session   ARGV[2] node   ARGV[3] device   ARGV[4] since (ms)   ARGV[5] time to live (ms)
-- Returns 1 if this session holds it now, 0 if another one does
local owner = redis.call('HGET', KEYS[1], 'session')
if not owner then
  redis.call('HSET', KEYS[1], 'session', ARGV[1], 'node', ARGV[2], 'device', ARGV[3], 'since', ARGV[4])
elseif owner ~= ARGV[1] then
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
