-- Adds devices to one account.
-- KEYS[1]  the account
-- ARGV     limit, now in s, then for each device: id, what enrollment fixed, sealed seed in two parts
-- Returns  for each device 0 added, 1 there already, 2 too many
local key, limit = KEYS[1], tonumber(ARGV[1])
local there, count, known = {}, 0, false
for _, field in ipairs(redis.call('HKEYS', key)) do
  if field == 'v' then
    known = true
  elseif string.sub(field, 1, 1) == 'u' then
    there[string.sub(field, 2)], count = true, count + 1
  end
end
local results, new = {}, {}
for i = 3, #ARGV, 4 do
  if there[ARGV[i]] then
    results[#results + 1] = 1
  else
    there[ARGV[i]] = true
    results[#results + 1], new[#new + 1] = 0, i
  end
end
if limit > 0 and count + #new > limit then
  for i, result in ipairs(results) do
    if result == 0 then results[i] = 2 end
  end
  return results
end
if #new == 0 then
  -- As in remove.lua: they are there, and their replicas are waited for.
  redis.call('HSET', key, 'v', redis.call('HGET', key, 'v'))
  return results
end
-- The version is the time, or one more than it was where that is later: a Redis that lost the account, or has an old one
-- back, gives it none that a node may remember with other devices.
local version = tonumber(ARGV[2])
if known then version = math.max(version, redis.call('HGET', key, 'v') + 1) end
-- One write for all of it: an account that is new, as in an import, needs no other.
local fields = {'v', string.format('%.0f', version)}
local function add(field, value)
  fields[#fields + 1], fields[#fields + 2] = field, value
end
local unused = struct.pack('>I6I6i4I6', 0, 0, 0, 0)
for _, i in ipairs(new) do
  local id = ARGV[i]
  add('d' .. id, ARGV[i + 1])
  add('s' .. id, ARGV[i + 2])
  add('u' .. id, unused)
  if ARGV[i + 3] ~= '' then add('S' .. id, ARGV[i + 3]) end
end
for first = 1, #fields, 1000 do -- Lua takes so many arguments, and some thousand more
  redis.call('HSET', key, unpack(fields, first, math.min(first + 999, #fields)))
end
return results
