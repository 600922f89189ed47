-- Counts one failure in a row (L1). One atomic step: of many in parallel, exactly one answers `tripped`.
-- KEYS: the account's streak.  ARGV: deadline (ms, this server's clock), life, threshold, id, address, at (ms).

local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ARGV[1]) then
  return {'late'}  -- whoever asked has long counted elsewhere
end

local kept = redis.call('HMGET', KEYS[1], 'life', 'count', 'attempts', 'tripped_at')
local life, kept_life = tonumber(ARGV[2]), tonumber(kept[1] or 0)
local count, attempts, tripped_at = tonumber(kept[2] or 0), kept[3] or '', kept[4]

if life < kept_life then
  return {'stale'}
end
if life > kept_life then
  redis.call('DEL', KEYS[1])
  count, attempts, tripped_at = 0, '', false
end
if tripped_at then
  return {'locked'}
end
if string.find(attempts, ARGV[4] .. ' ', 1, true) then
  return {'repeated', count}
end

count = count + 1
attempts = attempts .. ARGV[4] .. ' ' .. ARGV[5] .. ' ' .. ARGV[6] .. '\n'
redis.call('HSET', KEYS[1], 'life', ARGV[2], 'count', count, 'attempts', attempts)
redis.call('PERSIST', KEYS[1])  -- failures on record have no window (L1)
if count < tonumber(ARGV[3]) then
  return {'counted', count}
end
redis.call('HSET', KEYS[1], 'tripped_at', ARGV[6])
return {'tripped', attempts}
