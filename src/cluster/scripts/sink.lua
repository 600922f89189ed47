-- Does the work of a failure for a name that does not exist (L4): the same reads and writes as fail.lua, on one of
-- a fixed number of keys that never grow.
-- KEYS: the sink.  ARGV: deadline (ms, this server's clock), id, address, at (ms).

local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ARGV[1]) then
  return {'late'}
end

local kept = redis.call('HMGET', KEYS[1], 'life', 'count', 'attempts', 'tripped_at')
local count, attempts = tonumber(kept[2] or 0), kept[3] or ''

local repeated = string.find(attempts, ARGV[2] .. ' ', 1, true)
count = count % 4 + 1
if count == 1 or repeated then
  attempts = ''
end
attempts = attempts .. ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4] .. '\n'
redis.call('HSET', KEYS[1], 'life', 1, 'count', count, 'attempts', attempts)
redis.call('PERSIST', KEYS[1])
return {'sunk'}
