-- Sets the label of a device: what follows the header, whose length is its first octet.
-- KEYS[1]  the account
-- ARGV     device, label
-- Returns  whether the device is there
local field = 'd' .. ARGV[1]
local fixed = redis.call('HGET', KEYS[1], field)
if not fixed then return 0 end
redis.call('HSET', KEYS[1], field, string.sub(fixed, 1, string.byte(fixed)) .. ARGV[2])
return 1
