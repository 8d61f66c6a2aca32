#include "rpc/control.h"

#include <unistd.h>

#include <list>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "rpc/message.h"
#include "sys/mutex.h"
#include "sys/thread.h"

namespace shoal::rpc {
namespace {

using json = nlohmann::ordered_json;  // facts keep the order they were told in
using std::chrono::milliseconds;

constexpr size_t kAskersMax = 16;
constexpr milliseconds kRequestTimeout{10'000};
constexpr milliseconds kSendTimeout{10'000};

Result<json> parse(const std::string& text, std::string_view what) {
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!value.is_object()) return error(EBADMSG, "{} is not a JSON object", what);
  return value;
}

class Server final : public ControlServer {
 public:
  Server(std::unique_ptr<Listener> listener, Handler handler)
      : listener_(std::move(listener)), handler_(std::move(handler)) {
    accepting_ = Thread("control", [this] { accept_loop(); });
  }

  ~Server() override {
    listener_->close();
    accepting_.join();
    std::list<Asker> last;
    {
      MutexLock lock(mutex_);
      for (Asker& asker : askers_) {
        if (!asker.done) asker.connection->shutdown();
      }
      last.splice(last.end(), askers_);
    }
    for (Asker& asker : last) asker.thread.join();
  }

 private:
  struct Asker {
    std::unique_ptr<Connection> connection;
    Thread thread;
    bool done = false;
  };

  void accept_loop() {
    for (;;) {
      Result<std::unique_ptr<Connection>> connection = listener_->accept();
      if (!connection.ok()) {
        if (connection.error().is(ECANCELED)) return;
        log(LogLevel::kWarn, "control socket: {}", connection.error().text());
        continue;
      }
      const int64_t uid = (*connection)->peer().uid;
      if (uid != 0 && uid != static_cast<int64_t>(geteuid())) continue;
      admit(std::move(*connection));
    }
  }

  void admit(std::unique_ptr<Connection> connection) {
    std::list<Asker> finished;
    {
      MutexLock lock(mutex_);
      for (auto it = askers_.begin(); it != askers_.end();) {
        auto next = std::next(it);
        if (it->done) finished.splice(finished.end(), askers_, it);
        it = next;
      }
      if (askers_.size() < kAskersMax) {
        Asker& asker = askers_.emplace_back();
        asker.connection = std::move(connection);
        asker.thread = Thread("control-ask", [this, &asker] {
          serve(*asker.connection);
          asker.connection->shutdown();
          MutexLock done_lock(mutex_);
          asker.done = true;
        });
      }
    }
    for (Asker& asker : finished) asker.thread.join();
  }

  void serve(Connection& connection) {
    const Result<std::string> answer = handle(connection);
    json reply;
    if (answer.ok()) {
      json result = json::parse(*answer, nullptr, false);
      reply["result"] = result.is_discarded() ? json::object() : std::move(result);
    } else {
      reply["error"] = {{"code", answer.error().code()}, {"message", answer.error().text()}};
    }
    send_message(connection, reply.dump(-1, ' ', false, json::error_handler_t::replace),
                 kSendTimeout)
        .ignore("the asker may be gone");
  }

  Result<std::string> handle(Connection& connection) {
    TRY_ASSIGN(const std::string body, receive_message(connection, kRequestTimeout));
    TRY_ASSIGN(const json request, parse(body, "the request"));
    const auto command = request.find("command");
    if (command == request.end() || !command->is_string())
      return error(EBADMSG, "the request names no command");
    const auto arguments = request.find("arguments");
    const std::string arguments_json = arguments == request.end() ? "{}" : arguments->dump();
    return handler_(
        command->get<std::string>(), arguments_json, [&connection](const std::string& progress) {
          return send_message(connection, "{\"progress\":" + progress + "}", kSendTimeout);
        });
  }

  std::unique_ptr<Listener> listener_;
  Handler handler_;
  Thread accepting_;
  Mutex mutex_;
  std::list<Asker> askers_ GUARDED_BY(mutex_);
};

}  // namespace

Result<std::unique_ptr<ControlServer>> ControlServer::start(Net& net, const NetAddress& address,
                                                            Handler handler) {
  TRY_ASSIGN(std::unique_ptr<Listener> listener, net.listen(address));
  return std::unique_ptr<ControlServer>(
      std::make_unique<Server>(std::move(listener), std::move(handler)));
}

Result<std::optional<std::string>> ask(Net& net, const NetAddress& address,
                                       const std::string& command,
                                       const std::string& arguments_json,
                                       const std::function<void(const std::string&)>& progress) {
  Result<std::unique_ptr<Connection>> connected = net.connect(address, milliseconds(5'000));
  if (connected.code() == ENOENT || connected.code() == ECONNREFUSED)
    return std::optional<std::string>();
  TRY_ASSIGN(const std::unique_ptr<Connection> connection, std::move(connected));
  json request;
  request["command"] = command;
  request["arguments"] = json::parse(arguments_json, nullptr, false);
  TRY(send_message(*connection, request.dump(), kSendTimeout));
  for (;;) {
    TRY_ASSIGN(const std::string body, receive_message(*connection, milliseconds(0)));
    TRY_ASSIGN(const json message, parse(body, "the answer"));
    if (const auto it = message.find("progress"); it != message.end()) {
      if (progress) progress(it->dump());
    } else if (const auto result = message.find("result"); result != message.end()) {
      return std::optional(result->dump());
    } else if (const auto failed = message.find("error");
               failed != message.end() && failed->is_object()) {
      return Error(failed->value("code", EIO),
                   failed->value("message", std::string("unknown error")));
    } else {
      return error(EBADMSG, "the answer is neither progress nor an end");
    }
  }
}

}  // namespace shoal::rpc
