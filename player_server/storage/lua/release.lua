-- Give the lock back, if it is still this session's.
-- KEYS[1]  lock hash
-- ARGV[1]  session
-- Returns 1 if it was given back, else 0
if redis.call('HGET', KEYS[1], 'session') == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
