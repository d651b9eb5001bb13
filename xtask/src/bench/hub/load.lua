-- The requests that wrk sends for `cargo xtask bench hub`.
--
-- Arguments: "get", "again" or "new"; the prefix of the target; the value of the Authorization header; how many files
-- there are. "get" reads one of the files, "again" overwrites one, "new" stores a file of a name not used before.

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

local kind, prefix, files, head
local count = 0
local filler = string.rep("0123456789abcdef", 63)

function init(arguments)
  kind, prefix, files = arguments[1], arguments[2], tonumber(arguments[4])
  math.randomseed(number + 1)
  head = " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] .. "\r\n"
  if kind ~= "get" then
    head = head .. "Authorization: " .. arguments[3]
      .. "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 1024\r\n"
  end
  head = head .. "\r\n"
end

function request()
  count = count + 1
  if kind == "get" then
    return string.format("GET %s%05d.txt%s", prefix, math.random(0, files - 1), head)
  end
  local name
  if kind == "again" then
    name = string.format("%05d.txt", math.random(0, files - 1))
  else
    -- An odd factor makes another number of each, and neighbours in time no neighbours in the index.
    local scattered = (count * 2654435761) % 4294967296
    name = string.format("%02x/%d-%08x.txt", scattered % 256, number, scattered)
  end
  -- No two bodies are the same.
  return "POST " .. prefix .. name .. head .. string.format("%04x%012x", number, count) .. filler
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    "\nRESULT %d %d %d %d %d\n",
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(99)
  ))
end
