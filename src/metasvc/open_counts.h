// OpenCounts: what a session has open, read off its requests and their answers, for the owner that
// comes after the one that knew. Private to metasvc/. Thread-safe.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "meta/session_keeper.h"
#include "sys/mutex.h"

namespace shoal::metasvc {

class OpenCounts {
 public:
  // A request was answered well: what it opened is open, what it released is not. (One that was not
  // answered yet comes again, after the next owner was told what is open.)
  void answered(uint16_t method, const std::string& body, const std::string& reply);
  std::vector<meta::HeldOpen> all() const;
  void clear() {
    MutexLock lock(mutex_);
    open_.clear();
  }

 private:
  void add(Ino ino, bool write, int by);

  mutable Mutex mutex_;
  std::unordered_map<Ino, meta::HeldOpen> open_ GUARDED_BY(mutex_);
};

}  // namespace shoal::metasvc
