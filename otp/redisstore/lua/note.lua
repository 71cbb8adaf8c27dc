-- Stores notes of one kind and key, in their order.
-- KEYS[1]  the notes: a hash of expiry in ms and value, by field
-- ARGV     for each note: field, whether it is to be kept, expiry in ms, value
-- Returns  1
local MAX_NOTES, key = 64, KEYS[1]
local latest = -1 -- none
for i = 1, #ARGV, 4 do
  local field, expires = ARGV[i], tonumber(ARGV[i + 2])
  if ARGV[i + 1] == '0' then
    redis.call('HDEL', key, field)
  else
    if redis.call('HEXISTS', key, field) == 0 and redis.call('HLEN', key) >= MAX_NOTES then
      local all, goes, soonest = redis.call('HGETALL', key), nil, nil
      for j = 1, #all, 2 do
        local at = struct.unpack('>I6', all[j + 1])
        if not goes or at < soonest then goes, soonest = all[j], at end
      end
      redis.call('HDEL', key, goes)
    end
    redis.call('HSET', key, field, struct.pack('>I6', expires) .. ARGV[i + 3])
    latest = math.max(latest, expires)
  end
end
if latest < 0 then return 1 end
-- Only so that nothing stays forever: whether a note has expired is decided by the caller's clock. The
-- latest expiry counts, of those that were there too.
local clock = redis.call('TIME')
local life = math.max(latest - clock[1] * 1000, 0) + 30 * 86400000
if life > redis.call('PTTL', key) then redis.call('PEXPIRE', key, string.format('%.0f', life)) end
return 1
