-- Forgets a device, every token that claimed a step of it, and which of its steps are shared.
-- KEYS[1]  the account
-- ARGV     device, now in s
-- Returns  whether the device was there
local key, device = KEYS[1], ARGV[1]
if redis.call('HEXISTS', key, 'u' .. device) == 0 then
  -- Written anew, so that whoever waits for replicas waits for those of the removal, if it was there.
  local version = redis.call('HGET', key, 'v')
  if version then redis.call('HSET', key, 'v', version) end
  return 0
end
local claims, kept = redis.call('HGET', key, 't') or '', {}
local i = 1
while i <= #claims do
  local _, _, dev, next = struct.unpack('>c16I6I2c0', claims, i)
  if dev ~= device then kept[#kept + 1] = string.sub(claims, i, next - 1) end
  i = next
end
redis.call('HSET', key, 't', table.concat(kept))
local shares = redis.call('HGET', key, 'm')
if shares then
  kept, i = {}, 1
  while i <= #shares do
    local _, _, _, _, dev, next = struct.unpack('>c8I6I6I4I2c0', shares, i)
    if dev ~= device then kept[#kept + 1] = string.sub(shares, i, next - 1) end
    i = next
  end
  redis.call('HSET', key, 'm', table.concat(kept))
end
redis.call('HDEL', key, 'd' .. device, 's' .. device, 'S' .. device, 'u' .. device, 'w' .. device)
-- As in add.lua.
redis.call('HSET', key, 'v', string.format('%.0f', math.max(ARGV[2], redis.call('HGET', key, 'v') + 1)))
return 1
