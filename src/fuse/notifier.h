// Notifier: tells the kernel what to drop from its caches. Its thread never serves requests:
// dropping an entry waits for the directory's lock and dropping pages waits for READs in flight, so
// a serving thread that did it could wait for itself. The exception is attributes_now(), which
// takes no such lock and is called before a reply leaves.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "client/client.h"
#include "fuse/attributes.h"
#include "fuse/given_out.h"
#include "fuse/transport.h"
#include "sys/mutex.h"
#include "sys/thread.h"

namespace shoal::fuse {

class Notifier final : public client::InvalidationSink {
 public:
  // `transport` and `given_out` outlive it.
  Notifier(Transport& transport, NodeIds nodes, GivenOut& given_out);
  ~Notifier() override;  // what is queued is dropped: the mount is gone or going

  // client::InvalidationSink; queued, in order. Entries, and all that is given out, wait while
  // kQueuedMax are queued; nothing else does: pages of a file that are queued already are not
  // queued twice.
  void invalidate_attributes(Ino ino) override;
  void invalidate_pages(Ino ino, uint64_t offset, uint64_t length) override;
  void invalidate_entry(Ino parent, const std::string& name) override;
  void invalidate_everything() override;
  void entry_soon(uint64_t directory, std::string_view name);  // never waits
  void when_dropped(std::function<void()> done) override;

  // Whether the kernel forgets all names at once when it is told to; it does so.
  bool increase_epoch();

  // In the calling thread, which may be serving a request: when it returns the kernel asks again
  // for the attributes.
  void attributes_now(uint64_t node);

  static constexpr size_t kQueuedMax = 65'536;

 private:
  struct Item {
    uint64_t node = 0;
    int64_t offset = -1;  // < 0: attributes only
    int64_t length = 0;
    std::string name;            // not empty: the entry `name` of directory `node`
    std::function<void()> then;  // set: nothing but this
  };
  enum class IfFull { kWait, kGrow };
  void enqueue(Item item, IfFull if_full);
  void run();
  void send(const Item& item);

  Transport& transport_;
  const NodeIds nodes_;
  GivenOut& given_out_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<Item> queue_ GUARDED_BY(mutex_);
  // Whole files (from an offset on) in the queue: where that begins.
  std::unordered_map<uint64_t, int64_t> pages_queued_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  Thread thread_;  // last: it uses what is above
};

}  // namespace shoal::fuse
