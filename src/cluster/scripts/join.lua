-- Joins a streak that was counted elsewhere, by union (L7).
-- KEYS: the account's streak.
-- ARGV: deadline (ms, this server's clock), life, threshold, tripped_at (ms, or '' for not), then id, address
-- and at (ms) of each attempt.

local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ARGV[1]) then
  return {'late'}
end

local kept = redis.call('HMGET', KEYS[1], 'life', 'count', 'attempts', 'tripped_at')
local life, kept_life = tonumber(ARGV[2]), tonumber(kept[1] or 0)
local count, attempts, tripped_at = tonumber(kept[2] or 0), kept[3] or '', kept[4]

local function keep()
  redis.call('HSET', KEYS[1], 'life', ARGV[2], 'count', count, 'attempts', attempts)
  redis.call('PERSIST', KEYS[1])
  if tripped_at then
    redis.call('HSET', KEYS[1], 'tripped_at', tripped_at)
  end
end

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
if ARGV[4] ~= '' then
  tripped_at, count, attempts = ARGV[4], 0, ''
  for at = 5, #ARGV, 3 do
    count = count + 1
    attempts = attempts .. ARGV[at] .. ' ' .. ARGV[at + 1] .. ' ' .. ARGV[at + 2] .. '\n'
  end
  keep()
  return {'locked'}
end

local answer = {'repeated', count}
for at = 5, #ARGV, 3 do
  if string.find(attempts, ARGV[at] .. ' ', 1, true) then
    answer = {'repeated', count}
  else
    count = count + 1
    attempts = attempts .. ARGV[at] .. ' ' .. ARGV[at + 1] .. ' ' .. ARGV[at + 2] .. '\n'
    answer = {'counted', count}
    if count >= tonumber(ARGV[3]) then
      tripped_at = ARGV[at + 2]
      answer = {'tripped', attempts}
      break
    end
  end
end
keep()
return answer
