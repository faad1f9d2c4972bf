-- Take one attempt out of a window, if the window is still there.
-- KEYS[1]  hash {count, free_at (ms)}
-- Returns the attempts that are left
if tonumber(redis.call('HGET', KEYS[1], 'count') or '0') > 0 then
  return redis.call('HINCRBY', KEYS[1], 'count', -1)
end
return 0
