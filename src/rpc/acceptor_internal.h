// A listener's thread, and one thread per connection that it accepted, up to a bound.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>

#include "sys/mutex.h"
#include "sys/net.h"
#include "sys/thread.h"

namespace shoal::rpc {

class Acceptor {
 public:
  class Served {  // a connection
   public:
    virtual ~Served() = default;
    virtual void serve() = 0;  // on a thread of its own, until the connection's end
    virtual void stop() = 0;   // makes serve() return soon; any thread, any time
  };
  // Runs on the accepting thread; null refuses. Shared with whoever else still speaks of the
  // connection.
  using Admit = std::function<std::shared_ptr<Served>(std::unique_ptr<Connection>)>;

  // What becomes of a newcomer while `threads_max` connections are there, ended ones whose thread
  // has not returned yet included.
  enum class WhenFull { kClose, kWait };
  // `name` is that of the threads.
  Acceptor(std::unique_ptr<Listener> listener, std::string name, size_t threads_max,
           WhenFull when_full, Admit admit);
  ~Acceptor();  // stop()
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  NetAddress address() const { return listener_->address(); }
  void close();  // accepts no more; idempotent
  void reap();   // joins the threads that are done
  void stop();   // close(), stops every connection, joins all; idempotent

 private:
  struct Entry {
    std::shared_ptr<Served> served;
    Thread thread;
    bool done = false;
  };

  void accept_loop();
  bool wait_for_room();
  void start(const std::shared_ptr<Served>& served);
  std::list<Entry> take_done() REQUIRES(mutex_);

  const std::unique_ptr<Listener> listener_;
  const std::string name_;
  const size_t threads_max_;
  const WhenFull when_full_;
  const Admit admit_;
  Mutex mutex_;
  CondVar changed_;  // closed, or a thread is done
  bool closed_ GUARDED_BY(mutex_) = false;
  std::list<Entry> entries_ GUARDED_BY(mutex_);
  Mutex joining_;  // taken before mutex_: a second close() waits for the first
  Thread accepting_ GUARDED_BY(joining_);
};

}  // namespace shoal::rpc
