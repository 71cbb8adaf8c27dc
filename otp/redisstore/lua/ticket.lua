-- Puts, checks or takes a ticket.
-- KEYS[1]  the ticket: expiry in ms, tries left, digest
-- ARGV     'put', digest, tries, expiry | 'check', digest, now | 'take', digest, now
-- Returns  whether the digest was right
local op, key, digest = ARGV[1], KEYS[1], ARGV[2]
if op == 'put' then
  local tries, expires = tonumber(ARGV[3]), tonumber(ARGV[4])
  if tries <= 0 then
    redis.call('DEL', key)
    return 0
  end
  -- Only so that nothing stays forever: whether it has expired is decided by the caller's clock.
  local clock = redis.call('TIME')
  local left = math.max(expires - clock[1] * 1000, 0) + 30 * 86400000
  redis.call('SET', key, struct.pack('>I6I4', expires, tries) .. digest, 'PX', string.format('%.0f', left))
  return 0
end
local ticket = redis.call('GET', key)
if not ticket then return 0 end
local expires, tries = struct.unpack('>I6I4', ticket)
if tonumber(ARGV[3]) >= expires then
  redis.call('DEL', key)
  return 0
end
local right = string.sub(ticket, 11) == digest
if op == 'take' then
  if right then redis.call('DEL', key) end
  return right and 1 or 0
end
if tries == 0 then return 0 end -- the last one was right: it can still be taken
if right or tries > 1 then
  redis.call('SET', key, struct.pack('>I6I4', expires, tries - 1) .. string.sub(ticket, 11), 'KEEPTTL')
else
  redis.call('DEL', key)
end
return right and 1 or 0
