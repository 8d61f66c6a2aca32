// OpenFile: one open(2) of a regular file by this mount. HandleTable: all of them, sharded.
// Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <unordered_map>
#include <vector>

#include "client/client.h"
#include "client/inode_table.h"
#include "sys/mutex.h"

namespace shoal::client {

struct OpenFile {
  HandleId id = 0;
  InodeRef inode;
  OpenOptions options;
  uint64_t errors_heard = 0;  // under the inode's latch
  // The version that the kernel's pages are of from the first request on that uses this handle: by
  // then it has dropped older ones. 0: nothing to note.
  std::atomic<Stamp> pages_of = 0;
  std::atomic<bool> locked = false;    // took a lock and did not let all go
  std::atomic<bool> dead = false;      // lost with its session; set under the inode's latch
  std::atomic<SessionId> session = 0;  // at which it is open

  Mutex mutex;
  std::shared_ptr<data::ReadPattern> pattern
      GUARDED_BY(mutex);  // made by the first read; shared with read-ahead
};
using OpenFilePtr =
    std::shared_ptr<OpenFile>;  // shared with calls under way while release() takes it out

class HandleTable {
 public:
  HandleId add(OpenFilePtr file) {
    const HandleId id = ++last_;
    file->id = id;
    Shard& at = shard(id);
    MutexLock lock(at.mutex);
    at.files.emplace(id, std::move(file));
    return id;
  }
  OpenFilePtr find(HandleId id) {  // null: unknown
    Shard& at = shard(id);
    MutexLock lock(at.mutex);
    const auto it = at.files.find(id);
    return it == at.files.end() ? nullptr : it->second;
  }
  OpenFilePtr remove(HandleId id) {
    Shard& at = shard(id);
    MutexLock lock(at.mutex);
    const auto it = at.files.find(id);
    if (it == at.files.end()) return nullptr;
    OpenFilePtr file = std::move(it->second);
    at.files.erase(it);
    return file;
  }
  std::vector<HandleId> ids() const {
    std::vector<HandleId> all;
    for (const Shard& at : shards_) {
      MutexLock lock(at.mutex);
      for (const auto& [id, file] : at.files) all.push_back(id);
    }
    return all;
  }
  size_t size() const {
    size_t count = 0;
    for (const Shard& at : shards_) {
      MutexLock lock(at.mutex);
      count += at.files.size();
    }
    return count;
  }

 private:
  struct alignas(64) Shard {
    mutable Mutex mutex;
    std::unordered_map<HandleId, OpenFilePtr> files GUARDED_BY(mutex);
  };
  Shard& shard(HandleId id) { return shards_[id % shards_.size()]; }
  std::atomic<HandleId> last_ = 0;
  std::array<Shard, 64> shards_;
};

}  // namespace shoal::client
