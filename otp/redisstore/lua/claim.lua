-- One claim, by the rules of otp.Answer in their order. All numbers that decide come as arguments.
-- KEYS[1]  the account
-- ARGV     kind, version, token, place, now in ms, device, step, drift, miss, forget in ms, waits in ms
--          and, unless nothing of it is used: lifetime of a token in ms, challenge, tries, times, within in ms
-- Returns  1 Claimed, 2 Used, 4 Stale, 8 Welcomed, or {answer, failures, until, tries left, 1 again | 2 shared}
local LIFETIME, MAX_CLAIMS, MAX_PLACES, MAX_MISSES, MAX_WRONG, MAX_WRONG_STEPS = 30000, 64, 16, 8, 3, 32
local CHALLENGE_LIFETIME, MAX_CHALLENGES, SHARE_LIFETIME, MAX_SHARES = 600000, 16, 300000, 8

local key, kind, version, token, place, now = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local device, step, drift = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local lifetime, challenge, tries, times, within = LIFETIME, '', 0, 0, 0
if ARGV[12] then
  lifetime, challenge, tries, times, within = tonumber(ARGV[12]), ARGV[13], tonumber(ARGV[14]), tonumber(ARGV[15]), tonumber(ARGV[16])
end
local right, preview = kind == '5', kind == '4' -- of kind 1, if it names a device, and of the place otherwise
local asks = kind == '1' or preview and device ~= ''

local h = redis.call('HMGET', key, 'v', 't', 'p', 'x', 'x' .. place, 'u' .. device, 'w' .. device)
local claims, places, use, wrong = h[2] or '', h[3] or '', h[6], h[7] or ''

-- Tokens that were answered Claimed: those still alive, and the last one of this device.
local kept, last = {}, nil
local i = 1
while i <= #claims do
  local tok, at, dev, next = struct.unpack('>c16I6I2c0', claims, i)
  local age = math.abs(now - at)
  if age <= LIFETIME then
    if asks and tok == token and age <= lifetime then return {preview and 7 or 1, 0, 0, 0, 1} end
    kept[#kept + 1] = string.sub(claims, i, next - 1)
  end
  if dev == device then last = age <= LIFETIME and tok or nil end
  i = next
end

if right or preview and not asks then
  if version ~= (h[1] or '0') and version ~= '18446744073709551615' then return 4 end
elseif version ~= (h[1] or '0') or (kind ~= '2' and not use) then
  return 4
end

-- The failures that apply to the place: its own when it is known, else those of all others.
local field, fails, known = 'x', h[4], {} -- known: all others
for j = 1, #places, 8 do
  local p = string.sub(places, j, j + 7)
  if p == place then field, fails = 'x' .. place, h[5] else known[#known + 1] = p end
end
local count, when, wait, misses = 0, 0, 0, ''
if fails then
  count, when, wait = struct.unpack('>I4I6I6', fails)
  misses = string.sub(fails, 17)
end
-- A wait that begins more than LIFETIME from now was made by a clock that was ahead, and is over.
if now < wait and when - now <= LIFETIME then return {3, count, wait, 0, 0} end

-- Makes the place a known one, used now; returns all of them.
local function welcome()
  known[#known + 1] = place
  if #known > MAX_PLACES then redis.call('HDEL', key, 'x' .. table.remove(known, 1)) end
  return table.concat(known)
end

if right then
  local all, clear = welcome(), fails
  if clear and field == 'x' then -- a password does not end the count that keeps those who have it from guessing codes
    for _, f in ipairs(redis.call('HKEYS', key)) do
      if string.sub(f, 1, 1) == 'u' then clear = nil end
    end
  end
  if clear then redis.call('HDEL', key, field) end
  if all ~= places then redis.call('HSET', key, 'p', all) end
  return 8
end

-- Challenges: how often this one was answered with a wrong code, and all others that stay.
local wrongs, spent, counted, left, challenges, changed = 0, 0, nil, 0, nil, nil
if challenge ~= '' and kind ~= '3' then
  local text = redis.call('HGET', key, 'c') or ''
  challenges = {}
  for j = 1, #text, 32 do
    local id, n, tok, at = struct.unpack('>c8I2c16I6', text, j)
    if now - at <= CHALLENGE_LIFETIME then
      if id == challenge then
        wrongs, spent, counted = math.floor(n / 2), n % 2, tok
      else
        challenges[#challenges + 1] = string.sub(text, j, j + 31)
      end
    end
  end
  if spent == 1 or (wrongs > 0 and wrongs >= tries) then return {6, 0, 0, 0, 0} end
  left = math.max(tries - wrongs, 0)
  changed = function() -- remembers what became of the challenge
    challenges[#challenges + 1] = struct.pack('>c8I2c16I6', challenge, wrongs * 2 + spent, token, now)
    while #challenges > MAX_CHALLENGES do table.remove(challenges, 1) end
    redis.call('HSET', key, 'c', table.concat(challenges))
  end
end

if preview and not asks then return {7, 0, 0, 0, 0} end

local miss = ARGV[9]
local function remembered()
  for j = 1, #misses, 4 do
    if string.sub(misses, j, j + 3) == miss then return true end
  end
end
if asks and remembered() then return {5, count, 0, left, 0} end -- what was wrong here stays wrong here

if kind == '2' then
  if challenge ~= '' and (wrongs == 0 or counted ~= token) then
    wrongs, left = wrongs + 1, math.max(left - 1, 0)
    if wrongs >= tries then spent = 1 end
    changed()
  end
  local forget = tonumber(ARGV[10])
  if forget > 0 and now - when > forget then count, wait, misses = 0, 0, '' end
  if remembered() then return {5, count, 0, left, 0} end
  count, wait = count + 1, 0
  local n, pause = 0, 0
  for ms in string.gmatch(ARGV[11], '%-?%d+') do
    n, pause = n + 1, tonumber(ms)
    if n == count then break end
  end
  if pause > 0 then wait = now + pause end
  misses = string.sub(misses .. miss, -4 * MAX_MISSES)
  redis.call('HSET', key, field, struct.pack('>I4I6I6', count, now, wait) .. misses)
  return {5, count, wait, left, 0}
end

-- Wrong passwords: of this step, of all steps that stay, and the lowest of them.
local laststep, used, olddrift, floor = struct.unpack('>I6I6i4I6', use)
local tokens, others, lowest, steps = '', {}, step, 1
i = 1
while i <= #wrong do
  local s, toks, next = struct.unpack('>I6I2c0', wrong, i)
  if s == step then
    tokens = toks
  else
    others[#others + 1] = {s, string.sub(wrong, i, next - 1)}
    lowest, steps = math.min(lowest, s), steps + 1
  end
  i = next
end
local usedup = step <= floor or #tokens >= 16 * MAX_WRONG

local function keep(above)
  local list = {}
  for _, o in ipairs(others) do
    if o[1] > above then list[#list + 1] = o[2] end
  end
  return table.concat(list)
end

if kind == '3' then
  if usedup or (step <= laststep and last ~= token) then return 2 end
  for j = 1, #tokens, 16 do
    if string.sub(tokens, j, j + 15) == token then return {5, #tokens / 16, 0, 0, 0} end
  end
  tokens = tokens .. token
  local record = struct.pack('>I6I2', step, #tokens) .. tokens
  if steps > MAX_WRONG_STEPS then -- what is forgotten must not be tried anew
    floor = math.max(floor, lowest)
    redis.call('HSET', key, 'u' .. device, struct.pack('>I6I6i4I6', laststep, used, olddrift, floor))
    if lowest == step then record = '' end
    redis.call('HSET', key, 'w' .. device, keep(lowest) .. record)
  else
    redis.call('HSET', key, 'w' .. device, keep(-1) .. record)
  end
  return {5, #tokens / 16, 0, 0, 0}
end

-- Steps that may be shared, and the use of this one that they allow.
local first, again, shares = step > laststep, nil, nil
if times >= 2 and within > 0 then
  shares = {}
  local text = redis.call('HGET', key, 'm') or ''
  i = 1
  while i <= #text do
    local p, s, at, uses, dev, next = struct.unpack('>c8I6I6I4I2c0', text, i)
    local age = math.abs(now - at)
    if not first and p == place and s == step and dev == device and uses < times and age <= math.min(within, SHARE_LIFETIME) then
      again = struct.pack('>c8I6I6I4I2', p, s, at, uses + 1, #dev) .. dev
      shares[#shares + 1] = again
    elseif not first or age <= SHARE_LIFETIME then
      shares[#shares + 1] = string.sub(text, i, next - 1)
    end
    i = next
  end
end
if usedup or not (first or again) then
  if challenge ~= '' then return {2, 0, 0, left, 0} end
  return 2
end
if preview then return {7, 0, 0, 0, again and 2 or 0} end

kept[#kept + 1] = struct.pack('>c16I6I2', token, now, #device) .. device
while #kept > MAX_CLAIMS do table.remove(kept, 1) end
if challenge ~= '' then
  spent = 1
  changed()
end
if again then
  redis.call('HSET', key, 't', table.concat(kept), 'm', table.concat(shares),
    'u' .. device, struct.pack('>I6I6i4I6', laststep, now, olddrift, floor))
  return {1, 0, 0, 0, 2}
end
if times >= 2 and within > 0 then
  shares[#shares + 1] = struct.pack('>c8I6I6I4I2', place, step, now, 1, #device) .. device
  while #shares > MAX_SHARES do table.remove(shares, 1) end
  redis.call('HSET', key, 'm', table.concat(shares))
end

if fails then redis.call('HDEL', key, field) end
if wrong ~= '' then
  local stays = keep(step)
  if stays == '' then redis.call('HDEL', key, 'w' .. device) else redis.call('HSET', key, 'w' .. device, stays) end
end
redis.call('HSET', key, 't', table.concat(kept), 'p', welcome(),
  'u' .. device, struct.pack('>I6I6i4I6', step, now, drift, floor))
if drift ~= olddrift then redis.call('HINCRBY', key, 'v', 1) end
return 1
