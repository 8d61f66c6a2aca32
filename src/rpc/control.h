// The control socket of a live process: a command is one request with JSON arguments, answered by
// any number of progress messages and then one result or error. One command per connection.
//
//   request  {"command": "flush", "arguments": {…}}
//   progress {"progress": {…}}          any number
//   end      {"result": {…}}  or  {"error": {"code": 5, "message": "…"}}
//
// Bodies are JSON text here, so that this header needs no JSON library.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "sys/net.h"

namespace shoal::rpc {

class ControlServer {
 public:
  // Called on a thread of its own per connection (≤ 16 at once). `progress` sends a JSON object;
  // its error means that the asker is gone. Returns a JSON object.
  using Handler = std::function<Result<std::string>(
      const std::string& command, const std::string& arguments_json,
      const std::function<Status(const std::string&)>& progress)>;
  // Only peers with this process's uid, or root, are served.
  static Result<std::unique_ptr<ControlServer>> start(Net& net, const NetAddress& address,
                                                      Handler handler);
  virtual ~ControlServer() = default;  // refuses new askers, waits for the running ones
};

// Asks and waits for the end. nullopt: nobody is there. (Not an errno: the answer itself may be
// any.)
Result<std::optional<std::string>> ask(Net& net, const NetAddress& address,
                                       const std::string& command,
                                       const std::string& arguments_json,
                                       const std::function<void(const std::string&)>& progress);

}  // namespace shoal::rpc
