// What a server's connections share: its options, and who is there.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rpc/server.h"
#include "sys/gate.h"
#include "sys/mutex.h"

namespace shoal::rpc {

class ServerConnection;

class ServerCore {
 public:
  ServerCore(Seams machine, ServerOptions how, ServerEvents what)
      : seams(machine), options(std::move(how)), events(std::move(what)) {}

  const Seams seams;
  const ServerOptions options;
  const ServerEvents events;
  Gate gate;  // all events pass it

  // Enters a connection into the table; null when there is no room for it. While there are too many
  // in their handshake it waits until one is done, or old enough to have to make room.
  std::shared_ptr<ServerConnection> admit(const std::shared_ptr<ServerCore>& self,
                                          std::unique_ptr<Connection> connection);
  // The handshake is done. False: the server has no room, or is stopping.
  bool authenticated(uint64_t number);
  void left(uint64_t number);
  void refused();  // counts
  void called();   // counts

  std::vector<std::shared_ptr<ServerConnection>> all() const;
  void stop_admitting();
  void wait_until_all_left(std::chrono::nanoseconds at_most);
  RpcServer::Counts counts() const;

  // A line about a peer that got nothing, unless too many were written since the last tick.
  void log_peer(std::string_view line);
  void tick();

 private:
  std::shared_ptr<ServerConnection> make_room() REQUIRES(mutex_);

  struct Entry {
    std::shared_ptr<ServerConnection> connection;  // shared with the thread that serves it
    bool authenticated = false;
    bool leaving = false;  // told to make room
  };
  mutable Mutex mutex_;
  CondVar changed_;
  std::map<uint64_t, Entry> entries_ GUARDED_BY(mutex_);  // by number: the oldest first
  RpcServer::Counts counts_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  int lines_ GUARDED_BY(mutex_) = 0;
  uint64_t lines_left_out_ GUARDED_BY(mutex_) = 0;
};

}  // namespace shoal::rpc
