#include "rpc/control.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "rpc/acceptor_internal.h"
#include "rpc/message.h"

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

class Asker final : public Acceptor::Served {
 public:
  Asker(std::unique_ptr<Connection> connection, const ControlServer::Handler& handler)
      : connection_(std::move(connection)), handler_(handler) {}

  void serve() override {
    const Result<std::string> answer = handle();
    json reply;
    if (answer.ok()) {
      json result = json::parse(*answer, nullptr, false);
      reply["result"] = result.is_discarded() ? json::object() : std::move(result);
    } else {
      reply["error"] = {{"code", answer.error().code()}, {"message", answer.error().text()}};
    }
    send_message(*connection_, reply.dump(-1, ' ', false, json::error_handler_t::replace),
                 kSendTimeout)
        .ignore("the asker may be gone");
    connection_->shutdown();
  }
  void stop() override { connection_->shutdown(); }

 private:
  Result<std::string> handle() {
    TRY_ASSIGN(const std::string body, receive_message(*connection_, kRequestTimeout));
    TRY_ASSIGN(const json request, parse(body, "the request"));
    const auto command = request.find("command");
    if (command == request.end() || !command->is_string())
      return error(EBADMSG, "the request names no command");
    const auto arguments = request.find("arguments");
    const std::string arguments_json = arguments == request.end() ? "{}" : arguments->dump();
    return handler_(
        command->get<std::string>(), arguments_json, [this](const std::string& progress) {
          return send_message(*connection_, "{\"progress\":" + progress + "}", kSendTimeout);
        });
  }

  const std::unique_ptr<Connection> connection_;
  const ControlServer::Handler& handler_;
};

class Server final : public ControlServer {
 public:
  Server(std::unique_ptr<Listener> listener, Handler handler)
      : handler_(std::move(handler)),
        acceptor_(std::move(listener), "control", kAskersMax, Acceptor::WhenFull::kClose,
                  [this](std::unique_ptr<Connection> connection) -> std::shared_ptr<Asker> {
                    const int64_t uid = connection->peer().uid;
                    if (uid != 0 && uid != static_cast<int64_t>(geteuid())) return nullptr;
                    return std::make_shared<Asker>(std::move(connection), handler_);
                  }) {}

 private:
  const Handler handler_;
  Acceptor acceptor_;
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
