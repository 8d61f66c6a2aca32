// Notifier: tells the kernel what to drop from its caches. Its thread never serves requests:
// dropping an entry waits for the directory's lock and dropping pages waits for READs in flight, so
// a serving thread that did it could wait for itself. The exception is attributes_now(), which
// takes no such lock and is called before a reply leaves.
#pragma once

#include <deque>
#include <string>

#include "client/client.h"
#include "fuse/attributes.h"
#include "fuse/transport.h"
#include "sys/mutex.h"
#include "sys/thread.h"

namespace shoal::fuse {

class Notifier final : public client::InvalidationSink {
 public:
  // `transport` outlives it.
  Notifier(Transport& transport, NodeIds nodes);
  ~Notifier() override;  // what is queued is dropped: the mount is gone or going

  // client::InvalidationSink; queued, in order. Waits while kQueuedMax are queued.
  void invalidate_attributes(Ino ino) override;
  void invalidate_pages(Ino ino, uint64_t offset, uint64_t length) override;
  void invalidate_entry(Ino parent, const std::string& name) override;

  // In the calling thread, which may be serving a request: when it returns the kernel asks again
  // for the attributes.
  void attributes_now(uint64_t node);

  static constexpr size_t kQueuedMax = 65'536;

 private:
  struct Item {
    uint64_t node = 0;
    int64_t offset = -1;  // < 0: attributes only
    int64_t length = 0;
    std::string name;  // not empty: the entry `name` of directory `node`
  };
  void enqueue(Item item);
  void run();
  void send(const Item& item);

  Transport& transport_;
  const NodeIds nodes_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<Item> queue_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  Thread thread_;  // last: it uses what is above
};

}  // namespace shoal::fuse
