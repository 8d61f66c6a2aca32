// One accepted connection: handshake, requests in, answers and notifications out.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "rpc/acceptor_internal.h"
#include "rpc/link_internal.h"
#include "rpc/server.h"
#include "rpc/server_core_internal.h"

namespace shoal::rpc {

class ServerCall;

class ServerConnection final : public Acceptor::Served,
                               public Peer,
                               public Link::Receiver,
                               public std::enable_shared_from_this<ServerConnection> {
 public:
  ServerConnection(std::shared_ptr<ServerCore> core, std::unique_ptr<Connection> plain,
                   uint64_t number);
  ~ServerConnection() override;

  void serve() override;
  void stop() override;

  const PeerInfo& info() const override { return info_; }
  bool connected() const override;
  bool notify(uint16_t method, std::string body) override;
  void drop(const Error& why) override;

  Status admit(const FrameHeader& header) override;
  Status receive(const FrameHeader& header, std::string body) override;

  std::chrono::nanoseconds age() const;
  void tick();
  void say_goodbye();  // takes no more requests
  // Of a call of this connection, with its request's body length: gives the credit back.
  void answer(uint64_t id, uint64_t request_bytes, const FrameHeader& header, std::string body);

 private:
  Result<Accepted> shake_hands();
  Link& make_link(uint32_t notifications_max);
  void talk(Link& link);
  Status take_request(const FrameHeader& header, std::string body);
  Status take_credit(uint32_t count);
  void cancel_calls();
  Link* link() const;  // null until the handshake is done

  const std::shared_ptr<ServerCore> core_;  // shared with late answers
  const std::chrono::nanoseconds born_;
  PeerInfo info_;  // constant once authenticated
  std::unique_ptr<TlsConnection> tls_;
  std::unique_ptr<Connection> plain_;  // empty over TLS
  Connection& connection_;             // one of them

  mutable Mutex mutex_;
  std::unique_ptr<Link> link_ GUARDED_BY(mutex_);  // never replaced
  bool leaving_ GUARDED_BY(mutex_) = false;        // takes no more requests
  std::unordered_map<uint64_t, std::weak_ptr<ServerCall>> calls_ GUARDED_BY(mutex_);
  uint64_t call_bytes_ GUARDED_BY(mutex_) = 0;
  uint32_t notify_max_ GUARDED_BY(mutex_) = 0;
  uint32_t notify_credit_ GUARDED_BY(mutex_) = 0;
  std::deque<std::pair<uint16_t, std::string>> notes_ GUARDED_BY(mutex_);  // wait for credit
  uint64_t note_bytes_ GUARDED_BY(mutex_) = 0;
};

// See Call.
class ServerCall final : public Call, public std::enable_shared_from_this<ServerCall> {
 public:
  ServerCall(std::shared_ptr<ServerConnection> connection, std::shared_ptr<ServerCore> core,
             const FrameHeader& header, std::string body);
  ~ServerCall() override;

  uint16_t method() const override { return header_.method; }
  const std::string& body() const override { return body_; }
  const Identity& identity() const override { return header_.identity; }
  const std::shared_ptr<Peer>& peer() const override { return peer_; }
  std::optional<std::chrono::nanoseconds> time_left() const override;
  void reply(std::string body) override;
  void fail(const Error& why) override;
  void on_cancel(std::function<void()> told) override;
  bool cancelled() const override;

  void run();                     // on the executor
  void cancel();                  // the client does not wait any more
  void refuse(const Error& why);  // not executed
  ServerCore& core() const { return *core_; }

 private:
  void finish(FrameHeader header, std::string body);
  void fail_as(const Error& why, uint16_t kind);
  void tell(std::function<void()> told);

  const std::shared_ptr<ServerConnection> connection_;  // shared: the answer may come late
  const std::shared_ptr<Peer> peer_;                    // the same
  const std::shared_ptr<ServerCore> core_;
  const FrameHeader header_;
  const std::string body_;
  const std::chrono::nanoseconds arrived_;

  mutable Mutex mutex_;
  bool started_ GUARDED_BY(mutex_) = false;
  bool answered_ GUARDED_BY(mutex_) = false;
  bool cancelled_ GUARDED_BY(mutex_) = false;
  std::function<void()> told_ GUARDED_BY(mutex_);
};

}  // namespace shoal::rpc
