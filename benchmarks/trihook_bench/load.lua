-- Sends the requests of a plan in turn and checks every reply against its own request.
--
-- Run wrk with as many threads as connections: a thread then has one connection, so that a
-- reply always belongs to the last request that its thread sent. Prints one line of JSON.
--
-- The command line names the plan, a Lua file, and how many seconds wrk runs. The plan gives the
-- path, nonces (how many different ones a thread sends, 0 for none) and cases. A case has its
-- headers, the files before and after the nonce, how the nonce is written, and how its reply is
-- checked:
--   none    only the status
--   text    the reply holds this text
--   number  the first number in brackets is twice the nonce, and the reply ends with the bytes of
--           the file "ending", if there is one
--   float   the FP32 that begins so many bytes before the end is twice the nonce, or the value
--   bytes   the reply ends with the bytes of this file
-- A reply to a text or number that is shorter than the case's "shortest", or tells of an error, is
-- wrong, whatever else is in it: of several items some may have failed.

local ffi = require("ffi")
local threads = {}

function setup(thread)
  thread:set("id", #threads)
  table.insert(threads, thread)
end

local requests, cases, values, last = {}, {}, {}, 0

-- wrk starts its threads one by one, and its clock when the last one runs: what the others have
-- done by then would count. So each thread keeps, by hundredths of a second, when replies came, and
-- only those count that came while all of them ran.
ffi.cdef("typedef struct { long seconds, nanoseconds; } trihook_time;"
  .. "int clock_gettime(int clock, trihook_time *time);")
local MONOTONIC, EDGE = 1, 0.05
local clock, names = ffi.new("trihook_time"), {}

local function now()
  ffi.C.clock_gettime(MONOTONIC, clock)
  return tonumber(clock.seconds) + tonumber(clock.nanoseconds) / 1e9
end

local function read(path)
  local file = assert(io.open(path, "rb"))
  local content = file:read("*a")
  file:close()
  return content
end

local function encode(nonce, how)
  if how == "text" then return string.format("%d.0", nonce) end
  return ffi.string(ffi.new("float[1]", nonce), 4)
end

local function add(plan, case, nonce)
  local middle = nonce and encode(nonce, case.nonce) or ""
  local body = case.before .. middle .. case.after
  table.insert(requests, wrk.format("POST", plan.path, case.headers, body))
  table.insert(cases, case)
  table.insert(values, nonce and 2 * nonce or case.value or 0)
end

function init(args)
  wrong, refused, statuses, example = 0, 0, {}, ""
  began, counts = 0, {}
  local plan = dofile(args[1])
  seconds = tonumber(args[2])
  for _, case in ipairs(plan.cases) do
    case.before, case.after = read(case.before), read(case.after)
    if case.bytes then case.bytes = read(case.bytes) end
    case.ending = case.ending and read(case.ending) or ""
    if plan.nonces == 0 then add(plan, case) end
    for i = 1, plan.nonces do add(plan, case, id * plan.nonces + i) end
  end
  last = id % #requests
end

function request()
  if began == 0 then began = now() end
  last = last % #requests + 1
  return requests[last]
end

local function is_whole(body, case)
  return #body >= (case.shortest or 0) and not body:find('"error"', 1, true)
end

local checks = {}

function checks.none() return true end

function checks.text(body, case)
  return is_whole(body, case) and body:find(case.text, 1, true) ~= nil
end

function checks.number(body, case, value)
  local found = tonumber(body:match("%[[%[%s]*(-?%d[%d%.eE+-]*)"))
  local ends = case.ending == "" or body:sub(-#case.ending) == case.ending
  return is_whole(body, case) and found == value and ends
end

function checks.float(body, case, value)
  if #body < case.from_end then return false end
  local found = ffi.new("float[1]")
  ffi.copy(found, body:sub(-case.from_end, -case.from_end + 3), 4)
  return math.abs(found[0] - value) <= case.tolerance
end

function checks.bytes(body, case) return body:sub(-#case.bytes) == case.bytes end

local function note_time()
  local hundredth = math.floor((now() - began) * 100)
  local name = names[hundredth] or "at" .. hundredth  -- wrk hands over tables with names only
  names[hundredth] = name
  counts[name] = (counts[name] or 0) + 1
end

function response(status, headers, body)
  note_time()
  local case = cases[last]
  if status ~= 200 then
    refused = refused + 1
    local name = tostring(status)
    statuses[name] = (statuses[name] or 0) + 1
  elseif checks[case.check](body, case, values[last]) then
    return
  else
    wrong = wrong + 1
  end
  if example == "" then example = status .. ": " .. body:sub(1, 200) end
end

local function quote(text)
  return '"' .. text:gsub('[%c"\\\127-\255]', function(c)
    return string.format("\\u%04x", c:byte())
  end) .. '"'
end

-- Counts the replies that came in so many seconds from when the last thread began.
local function count_replies(seconds)
  local start, total = 0, 0
  for _, thread in ipairs(threads) do start = math.max(start, thread:get("began")) end
  for _, thread in ipairs(threads) do
    local since = start - thread:get("began")
    for name, count in pairs(thread:get("counts")) do
      local came = (tonumber(name:sub(3)) + 0.5) / 100 - since
      if came >= 0 and came < seconds then total = total + count end
    end
  end
  return total
end

-- Counts the connections that got no reply at all, where there was time for ten each.
local function count_hung(replies)
  local hung = 0
  for _, thread in ipairs(threads) do
    if next(thread:get("counts")) == nil then hung = hung + 1 end
  end
  return replies >= 10 * #threads and hung or 0
end

function done(summary, latency)
  local total, refusals, by_status, sample = 0, 0, {}, ""
  for _, thread in ipairs(threads) do
    total = total + thread:get("wrong")
    refusals = refusals + thread:get("refused")
    for status, count in pairs(thread:get("statuses")) do
      by_status[status] = (by_status[status] or 0) + count
    end
    if sample == "" then sample = thread:get("example") end
  end
  local parts = {}
  for status, count in pairs(by_status) do
    table.insert(parts, string.format('"%s": %d', status, count))
  end
  local e, seconds = summary.errors, threads[1]:get("seconds") - EDGE
  local replies = count_replies(seconds)
  io.write(string.format(
    '\n{"requests": %d, "seconds": %.6f, "rate": %.3f, "p50_ms": %.4f, "p90_ms": %.4f, '
    .. '"p99_ms": %.4f, "max_ms": %.4f, "wrong": %d, "refused": %d, "statuses": {%s}, '
    .. '"socket_errors": %d, "hung": %d, "example": %s}\n',
    replies, seconds, replies / seconds,
    latency:percentile(50) / 1e3, latency:percentile(90) / 1e3, latency:percentile(99) / 1e3,
    latency.max / 1e3, total, refusals, table.concat(parts, ", "),
    e.connect + e.read + e.write + e.timeout, count_hung(replies), quote(sample)))
end
