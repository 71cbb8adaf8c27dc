-- Adds devices to one account.
-- KEYS[1]  the account
-- ARGV     limit, then for each device: id, what enrollment fixed, sealed seed in two parts
-- Returns  for each device 0 added, 1 there already, 2 too many
local key, limit = KEYS[1], tonumber(ARGV[1])
local there, count = {}, 0
for _, field in ipairs(redis.call('HKEYS', key)) do
  if string.sub(field, 1, 1) == 'u' then
    there[string.sub(field, 2)], count = true, count + 1
  end
end
local results, new = {}, {}
for i = 2, #ARGV, 4 do
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
for _, i in ipairs(new) do
  redis.call('HSET', key, 'd' .. ARGV[i], ARGV[i + 1], 's' .. ARGV[i], ARGV[i + 2], 'u' .. ARGV[i], struct.pack('>I6I6i4I6', 0, 0, 0, 0))
  if ARGV[i + 3] ~= '' then redis.call('HSET', key, 'S' .. ARGV[i], ARGV[i + 3]) end
end
if #new > 0 then redis.call('HINCRBY', key, 'v', 1) end
return results
