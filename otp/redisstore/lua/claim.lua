-- Claims, by the rules of otp.Answer in their order. All numbers that decide come as arguments.
-- KEYS     the account; or several, each of a claim for which the first three arguments are all, with so many of
--          them for each. The claims have nothing to do with each other: one that fails says so in its own answer.
-- ARGV     token 16, now in ms 6, length 2, device     what is appended to 't'
--          step 6, now in ms 6, drift 4, zero 6        what 'u' becomes, unless it has a floor
--          'x' and the place 9, miss 4, version as text
--          and, unless it is kind 1 and nothing of it is used: kind, forget in ms, waits in ms
--          and, unless nothing of it is used: lifetime of a token in ms, challenge, tries, times, within in ms, span
-- Returns  1 Claimed, 2 Used, 4 Stale, 8 Welcomed, or {answer, failures, until, tries left, 1 again | 2 shared};
--          for several accounts a list of that, or of a text where a claim has failed: an error within a list is
--          more than some clients can read
local function claim(key, entry, used, rest, more) -- more: ARGV, or nothing
  local LIFETIME, MAX_CLAIMS, MAX_PLACES, MAX_MISSES, MAX_WRONG, MAX_WRONG_STEPS = 30000, 64, 16, 8, 3, 32
  local CHALLENGE_LIFETIME, MAX_CHALLENGES, SHARE_LIFETIME, MAX_SHARES = 600000, 16, 300000, 8

  local call, sub, unpack = redis.call, string.sub, struct.unpack
  local kind = more[4] or '1'
  -- Each new string costs Redis an allocation, a hash, and its share of the collector: up to the end of the plain
  -- claim below none is made that is not needed there.
  local step, now, drift = unpack('>i6I6i4', used)
  local device, theirs, version = sub(entry, 25), sub(rest, 1, 9), sub(rest, 14)
  local lifetime, challenge, tries, times, within, span = LIFETIME, '', 0, 0, 0, 0
  if more[7] then
    lifetime, challenge, tries = tonumber(more[7]), more[8], tonumber(more[9])
    times, within, span = tonumber(more[10]), tonumber(more[11]), tonumber(more[12])
  end
  local right, preview = kind == '5', kind == '4' -- of kind 1, if it names a device, and of the place otherwise
  local asks = kind == '1' or preview and device ~= ''

  local usage, wrongly = 'u' .. device, 'w' .. device
  local h = call('HMGET', key, 'v', 't', 'p', theirs, usage, wrongly)
  local claims, places, use, wrong = h[2] or '', h[3] or '', h[5], h[6]

  -- Tokens that were answered Claimed: those still alive.
  local kept, count, oldest = '', 0, 0 -- count of kept, length of the oldest of them
  local i = 1
  while i <= #claims do
    local at, length = unpack('>I6I2', claims, i + 16)
    local age = math.abs(now - at)
    if age <= LIFETIME then
      if asks and age <= lifetime and sub(claims, i, i + 15) == sub(entry, 1, 16) then
        if preview then return {7, 0, 0, 0, 1} end
        -- Written anew, so that whoever waits for replicas waits for those of the first time.
        call('HSET', key, 't', claims)
        return {1, 0, 0, 0, 1}
      end
      kept, count = kept .. sub(claims, i, i + 23 + length), count + 1
      if count == 1 then oldest = #kept end
    end
    i = i + 24 + length
  end
  if i ~= #claims + 1 then error('the tokens are damaged') end

  if right or preview and not asks then
    if version ~= (h[1] or '0') and version ~= '18446744073709551615' then return 4 end
  elseif version ~= (h[1] or '0') or (kind ~= '2' and not use) then
    return 4
  end

  -- The failures that apply to the place: its own when it is known, else those of all others.
  local place, at = sub(theirs, 2), #places - 7 -- where it is among the known ones
  if places ~= place and sub(places, -8) ~= place then
    at = string.find(places, place, 1, true)
    while at and at % 8 ~= 1 do at = string.find(places, place, at + 1, true) end
  end
  local field, fails = theirs, h[4]
  if not at then field, fails = 'x', call('HGET', key, 'x') end

  -- The claim of nearly every login, told apart early: the rest has nothing to say about it. It gets the same
  -- answer there, and leaves the same record.
  if not (more[4] or fails or wrong) and at == #places - 7 then
    local laststep, olddrift, floor = unpack('>I6xxxxxxi4I6', use)
    if step > laststep and step > floor then
      if count >= MAX_CLAIMS then kept = sub(kept, oldest + 1) end
      if count > 0 then entry = kept .. entry end
      if floor > 0 then used = sub(used, 1, 16) .. sub(use, 17) end
      call('HSET', key, 't', entry, usage, used)
      if drift ~= olddrift then call('HINCRBY', key, 'v', 1) end
      return 1
    end
  end

  local token, miss = sub(entry, 1, 16), sub(rest, 10, 13)
  wrong = wrong or ''
  local failures, when, wait, misses = 0, 0, 0, ''
  if fails then
    failures, when, wait = unpack('>I4I6I6', fails)
    misses = sub(fails, 17)
  end
  -- A wait that begins more than LIFETIME from now was made by a clock that was ahead, and is over.
  if now < wait and when - now <= LIFETIME then return {3, failures, wait, 0, 0} end

  -- Makes the place a known one, used now; returns all of them.
  local function welcome()
    if at then return sub(places, 1, at - 1) .. sub(places, at + 8) .. place end
    if #places < 8 * MAX_PLACES then return places .. place end
    call('HDEL', key, 'x' .. sub(places, 1, 8))
    return sub(places, 9) .. place
  end

  if right then
    local all, clear = welcome(), fails
    if clear and field == 'x' then -- a password does not end the count that keeps those who have it from guessing codes
      for _, f in ipairs(call('HKEYS', key)) do
        if sub(f, 1, 1) == 'u' then clear = nil end
      end
    end
    if clear then call('HDEL', key, field) end
    if all ~= places then call('HSET', key, 'p', all) end
    return 8
  end

  -- Challenges: how often this one was answered with a wrong code, and all others that stay.
  local wrongs, spent, counted, left, challenges, changed = 0, 0, nil, 0, nil, nil
  if challenge ~= '' and kind ~= '3' then
    local text = call('HGET', key, 'c') or ''
    challenges = {}
    for j = 1, #text, 32 do
      local id, n, tok, at = unpack('>c8I2c16I6', text, j)
      if now - at <= CHALLENGE_LIFETIME then
        if id == challenge then
          wrongs, spent, counted = math.floor(n / 2), n % 2, tok
        else
          challenges[#challenges + 1] = sub(text, j, j + 31)
        end
      end
    end
    if spent == 1 or (wrongs > 0 and wrongs >= tries) then return {6, 0, 0, 0, 0} end
    left = math.max(tries - wrongs, 0)
    changed = function() -- remembers what became of the challenge
      challenges[#challenges + 1] = struct.pack('>c8I2c16I6', challenge, wrongs * 2 + spent, token, now)
      while #challenges > MAX_CHALLENGES do table.remove(challenges, 1) end
      call('HSET', key, 'c', table.concat(challenges))
    end
  end

  if preview and not asks then return {7, 0, 0, 0, 0} end

  local function remembered()
    for j = 1, #misses, 4 do
      if sub(misses, j, j + 3) == miss then return true end
    end
  end
  if asks and remembered() then return {5, failures, 0, left, 0} end -- what was wrong here stays wrong here

  if kind == '2' then
    if challenge ~= '' and (wrongs == 0 or counted ~= token) then
      wrongs, left = wrongs + 1, math.max(left - 1, 0)
      if wrongs >= tries then spent = 1 end
      changed()
    end
    local forget = tonumber(more[5])
    if forget > 0 and now - when > forget then failures, wait, misses = 0, 0, '' end
    if remembered() then return {5, failures, 0, left, 0} end
    failures, wait = failures + 1, 0
    local n, pause = 0, 0
    for ms in string.gmatch(more[6], '%-?%d+') do
      n, pause = n + 1, tonumber(ms)
      if n == failures then break end
    end
    if pause > 0 then wait = now + pause end
    misses = sub(misses .. miss, -4 * MAX_MISSES)
    call('HSET', key, field, struct.pack('>I4I6I6', failures, now, wait) .. misses)
    return {5, failures, wait, left, 0}
  end

  -- Wrong passwords: of this step, of all steps that stay, and the lowest of them. Whether the step, or one that its
  -- code belongs to as well, was used up by them.
  local laststep, lastuse, olddrift, floor = unpack('>I6I6i4I6', use)
  local tokens, others, lowest, steps, earliest = '', {}, step, 1, step - span
  local usedup = earliest <= floor
  i = 1
  while i <= #wrong do
    local s, toks, next = unpack('>I6I2c0', wrong, i)
    if s >= earliest and s <= step and #toks >= 16 * MAX_WRONG then usedup = true end
    if s == step then
      tokens = toks
    else
      others[#others + 1] = {s, sub(wrong, i, next - 1)}
      lowest, steps = math.min(lowest, s), steps + 1
    end
    i = next
  end

  local function keep(above)
    local list = {}
    for _, o in ipairs(others) do
      if o[1] > above then list[#list + 1] = o[2] end
    end
    return table.concat(list)
  end

  if kind == '3' then
    local last -- token of this device, if it is alive
    i = 1
    while i <= #claims do
      local tok, at, dev, next = unpack('>c16I6I2c0', claims, i)
      if dev == device then last = math.abs(now - at) <= LIFETIME and tok or nil end
      i = next
    end
    if usedup or (earliest <= laststep and last ~= token) then return 2 end
    for j = 1, #tokens, 16 do
      if sub(tokens, j, j + 15) == token then return {5, #tokens / 16, 0, 0, 0} end
    end
    tokens = tokens .. token
    local record = struct.pack('>I6I2', step, #tokens) .. tokens
    if steps > MAX_WRONG_STEPS then -- what is forgotten must not be tried anew
      floor = math.max(floor, lowest)
      call('HSET', key, usage, struct.pack('>I6I6i4I6', laststep, lastuse, olddrift, floor))
      if lowest == step then record = '' end
      call('HSET', key, wrongly, keep(lowest) .. record)
    else
      call('HSET', key, wrongly, keep(-1) .. record)
    end
    return {5, #tokens / 16, 0, 0, 0}
  end

  -- Steps that may be shared, and the use of this one that they allow.
  local first, again, shares = earliest > laststep, nil, nil
  if times >= 2 and within > 0 then
    shares = {}
    local text = call('HGET', key, 'm') or ''
    i = 1
    while i <= #text do
      local p, s, at, uses, dev, next = unpack('>c8I6I6I4I2c0', text, i)
      local age = math.abs(now - at)
      if not first and p == place and s == step and dev == device and uses < times and age <= math.min(within, SHARE_LIFETIME) then
        again = struct.pack('>c8I6I6I4I2', p, s, at, uses + 1, #dev) .. dev
        shares[#shares + 1] = again
      elseif not first or age <= SHARE_LIFETIME then
        shares[#shares + 1] = sub(text, i, next - 1)
      end
      i = next
    end
  end
  if usedup or not (first or again) then
    if challenge ~= '' then return {2, 0, 0, left, 0} end
    return 2
  end
  if preview then return {7, 0, 0, 0, again and 2 or 0} end

  if count >= MAX_CLAIMS then kept = sub(kept, oldest + 1) end -- the oldest of the tokens makes room
  kept = kept .. entry
  if challenge ~= '' then
    spent = 1
    changed()
  end
  if again then
    call('HSET', key, 't', kept, 'm', table.concat(shares),
      usage, struct.pack('>I6I6i4I6', laststep, now, olddrift, floor))
    return {1, 0, 0, 0, 2}
  end
  if times >= 2 and within > 0 then
    shares[#shares + 1] = struct.pack('>c8I6I6I4I2', place, step, now, 1, #device) .. device
    while #shares > MAX_SHARES do table.remove(shares, 1) end
    call('HSET', key, 'm', table.concat(shares))
  end

  if fails then call('HDEL', key, field) end
  if wrong ~= '' then
    local stays = keep(step)
    if stays == '' then call('HDEL', key, wrongly) else call('HSET', key, wrongly, stays) end
  end
  call('HSET', key, 't', kept, 'p', welcome(), usage, sub(used, 1, 16) .. sub(use, 17))
  if drift ~= olddrift then call('HINCRBY', key, 'v', 1) end
  return 1
end

if #KEYS == 1 then return claim(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV) end

-- What pcall caught, as text: what a command says begins with a word in capitals, before Redis 7 after the line that it
-- stands in; what error() says does not.
local function failure(problem)
  local text = type(problem) == 'table' and problem.err or problem
  text = string.match(text, '^@.-: %-(%u+ [^\r\n]*)') or text
  return string.find(text, '^%u+ ') and text or 'ERR ' .. text
end

local answers, nothing = {}, {}
for i, account in ipairs(KEYS) do
  local well, answer = pcall(claim, account, ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i], nothing)
  if not well then
    answer = failure(answer)
    -- That is about the server and not about an account: whoever made the call has to look for another one.
    if string.sub(answer, 1, 9) == 'READONLY ' then return {err = answer} end
  end
  answers[i] = answer
end
return answers
