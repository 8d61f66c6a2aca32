// What a handler saw, for the test that reads it: handlers run on the server's threads, and an
// answer that came over a socket orders nothing between them and the test. Tests only.
#pragma once

#include <string>
#include <vector>

#include "sys/mutex.h"

namespace shoal::object {

class Notes {
 public:
  void add(std::string note) {
    MutexLock lock(mutex_);
    notes_.push_back(std::move(note));
  }
  std::vector<std::string> all() const {
    MutexLock lock(mutex_);
    return notes_;
  }

 private:
  mutable Mutex mutex_;
  std::vector<std::string> notes_ GUARDED_BY(mutex_);
};

}  // namespace shoal::object
