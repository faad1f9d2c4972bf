-- Count one attempt of a window and say how long it has to wait. One atomic step.
-- KEYS[1]  hash {count, free_at (ms)}
-- ARGV[1]  attempts that are free of delay
-- ARGV[2]  the first delay (ms); doubles with each further attempt …
-- ARGV[3]  … up to this (ms), which is also the longest anybody waits in a queue
-- ARGV[4]  the window (ms), from the first attempt on
-- ARGV[5]  1 = attempts queue: each one starts a delay after the one before; 0 = they wait side by side
-- Returns {wait (ms), 1 if the queue is full and the attempt was not counted, else 0}
local count = tonumber(redis.call('HGET', KEYS[1], 'count') or '0') + 1
local delay = 0
if count > tonumber(ARGV[1]) then
  -- 2 ^ 20 is far beyond the longest delay; without the bound a huge count would overflow.
  delay = math.min(tonumber(ARGV[3]), tonumber(ARGV[2]) * 2 ^ math.min(20, count - tonumber(ARGV[1]) - 1))
end
local wait = delay
if ARGV[5] == '1' then
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local free_at = math.max(now, tonumber(redis.call('HGET', KEYS[1], 'free_at') or '0'))
  wait = free_at - now + delay
  if free_at > now and wait > tonumber(ARGV[3]) then
    return {wait, 1}
  end
  redis.call('HSET', KEYS[1], 'free_at', string.format('%.0f', now + wait))
end
redis.call('HSET', KEYS[1], 'count', count)
if count == 1 then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return {wait, 0}
