-- One kind of visitors for scripts/load.sh: wrk … -s visitors.lua URL -- KIND COOKIE. Counts the answers by their status.

local kinds = {}

kinds.anonymous = function()
  local page = { ["Accept"] = "text/html", ["Sec-Fetch-Mode"] = "navigate" }
  return {
    wrk.format("GET", "/reports?year=2026", page),
    wrk.format("GET", "/api/items", { ["Accept"] = "application/json" }),
    wrk.format("GET", "/.vestibule/user", { ["Accept"] = "application/json" }),
    wrk.format("POST", "/api/items", {}, "a=1"),
  }
end

kinds.authenticated = function(cookie)
  local headers = { ["Cookie"] = cookie, ["Accept"] = "text/html" }
  return {
    wrk.format("GET", "/", headers),
    wrk.format("GET", "/?x=" .. string.rep("y", 200), headers),
    wrk.format("GET", "/.vestibule/user", headers),
  }
end

kinds.hostile = function(cookie)
  local changed = cookie:sub(1, 60) .. "A" .. cookie:sub(62)
  return {
    wrk.format("GET", "/", { ["Cookie"] = changed }),
    wrk.format("GET", "/", { ["Cookie"] = string.rep(cookie .. "; ", 8) }),
    wrk.format("GET", "/", { ["X-Forwarded-User"] = "alice", ["X-Forwarded-Host"] = "evil.example" }),
    wrk.format("GET", "/public/..%2fadmin", {}),
    wrk.format("GET", "//evil.example/%2e%2e/", {}),
    wrk.format("GET", "/oauth2callback?code=made-up&state=made-up", { ["Accept"] = "text/html" }),
    wrk.format("GET", "/oauth2callback?code=a&code=b&state=c", {}),
    wrk.format("GET", "/.vestibule/login?provider=eyJhbGciOiJub25lIn0.e30.&return_to=//evil.example", { ["Accept"] = "text/html" }),
    wrk.format("TRACE", "/", {}),
    wrk.format("GET", "/" .. string.rep("a", 33000), {}),
  }
end

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  statuses = {}
  count = 0
  requests = kinds[arguments[1]](arguments[2])
end

function request()
  count = count + 1
  return requests[count % #requests + 1]
end

function response(status)
  statuses[status] = (statuses[status] or 0) + 1
end

-- The last line, for the script: STATUS=NUMBER …, then the connections that failed.
function done(summary)
  local totals = {}
  for _, thread in ipairs(threads) do
    for status, number in pairs(thread:get("statuses")) do
      totals[status] = (totals[status] or 0) + number
    end
  end
  local words = {}
  for status, number in pairs(totals) do
    table.insert(words, status .. "=" .. number)
  end
  table.sort(words)
  local errors = summary.errors
  print("answers: " .. table.concat(words, " "))
  print("failed: connect=" .. errors.connect .. " read=" .. errors.read .. " write=" .. errors.write .. " timeout=" .. errors.timeout)
end
