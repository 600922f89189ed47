-- Takes note of a success: the count starts again, unless it comes to a trip (L1).
-- KEYS: the account's streak.  ARGV: deadline (ms, this server's clock), life.

local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ARGV[1]) then
  return {'late'}
end

local kept = redis.call('HMGET', KEYS[1], 'life', 'tripped_at')
local life, kept_life = tonumber(ARGV[2]), tonumber(kept[1] or 0)

if life < kept_life then
  return {'stale'}
end
if life == kept_life and kept[2] then
  return {'locked'}
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'life', ARGV[2])
-- The life stays for a day, longer than any attempt of an earlier one can be under way.
redis.call('PEXPIRE', KEYS[1], 86400000)
return {'cleared'}
