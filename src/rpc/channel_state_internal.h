// What a channel is made of; shared with tasks on the executor that may outlive the handle.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "rpc/channel.h"
#include "rpc/link_internal.h"
#include "sys/gate.h"
#include "sys/mutex.h"

namespace shoal::rpc {

class ChannelState final : public Link::Receiver,
                           public std::enable_shared_from_this<ChannelState> {
 public:
  ChannelState(Seams seams, ChannelOptions options, std::string address,
               std::unique_ptr<Connection> connection, Agreed agreed);

  const Agreed& agreed() const { return agreed_; }
  Status usable() const;
  uint64_t start(uint16_t method, std::string body, const CallOptions& options, Channel::Done done);
  void cancel(uint64_t id);
  void close();  // goodbye

  void read();  // the reading thread's work: until the end
  void tick() { link_.tick(); }
  void end(Error why) { link_.end(std::move(why)); }
  void shut() { gate_.shut(); }

  Status admit(const FrameHeader& header) override;
  Status receive(const FrameHeader& header, std::string body) override;

 private:
  using Nanoseconds = std::chrono::nanoseconds;
  struct Pending {
    Channel::Done done;  // empty: nobody waits any more, but its credit is still out
    uint64_t bytes = 0;
    Nanoseconds deadline{0};  // by the boot clock; 0: none
    bool cancelled = false;   // and the server was told
  };
  struct Waiting {
    FrameHeader header;
    std::string body;
  };

  bool has_credit(uint64_t bytes) const REQUIRES(mutex_);
  bool dispatch(uint64_t id, FrameHeader header, std::string body) REQUIRES(mutex_);
  std::vector<Channel::Done> dispatch_waiting() REQUIRES(mutex_);
  Channel::Done take_pending(uint64_t id) REQUIRES(mutex_);
  void schedule_deadlines() EXCLUDES(mutex_);
  void pass_deadlines();
  Status take_answer(const FrameHeader& header, std::string body);
  Status take_goodbye(const FrameHeader& header, const std::string& text);
  Status take_notification(uint16_t method, std::string body);
  void deliver_notifications();
  void finish(const Error& why);
  Error no_more() const REQUIRES(mutex_);

  const Seams seams_;
  const ChannelOptions options_;
  const std::string address_;
  const std::unique_ptr<Connection> connection_;
  const Agreed agreed_;
  Gate gate_;  // everything that runs on the executor passes it
  Link link_;

  mutable Mutex mutex_;
  uint64_t last_id_ GUARDED_BY(mutex_) = 0;
  std::unordered_map<uint64_t, Pending> pending_ GUARDED_BY(mutex_);  // sent ones and waiting ones
  std::map<uint64_t, Waiting> waiting_ GUARDED_BY(mutex_);            // in order
  uint32_t sent_ GUARDED_BY(mutex_) = 0;                              // unanswered
  uint64_t sent_bytes_ GUARDED_BY(mutex_) = 0;
  std::set<std::pair<Nanoseconds, uint64_t>> deadlines_ GUARDED_BY(mutex_);
  std::optional<Nanoseconds> alarm_ GUARDED_BY(mutex_);  // when pass_deadlines will run
  std::optional<Error> leaving_ GUARDED_BY(mutex_);      // a goodbye, either side's
  bool ours_ GUARDED_BY(mutex_) = false;                 // we said it
  std::optional<Error> ended_ GUARDED_BY(mutex_);

  Mutex notes_mutex_;
  std::deque<std::pair<uint16_t, std::string>> notes_ GUARDED_BY(notes_mutex_);
  uint32_t notes_owed_ GUARDED_BY(notes_mutex_) = 0;  // received, credit not given back
  bool delivering_ GUARDED_BY(notes_mutex_) = false;
};

}  // namespace shoal::rpc
