// Directories that this mount removed and the kernel may still hold: a program's working directory
// or open descriptor. The owner has dropped them (with the trash off at once), but fstat(2) has to
// go on answering, with no links.
//
// Thread-safe.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <unordered_map>

#include "base/ids.h"
#include "meta/types.h"
#include "sys/mutex.h"

namespace shoal::client {

class RemovedDirectories {
 public:
  static constexpr size_t kMax = 4096;  // the oldest goes first; it answers ENOENT then

  // `attr`: as the owner gave it when the name went. Others than directories are not kept.
  void add(const meta::Attr& attr);
  std::optional<meta::Attr> find(Ino ino) const;
  // The kernel holds it no more.
  void forgotten(Ino ino);
  size_t size() const;

 private:
  mutable Mutex mutex_;
  std::unordered_map<Ino, meta::Attr> attributes_ GUARDED_BY(mutex_);
  std::deque<Ino> order_ GUARDED_BY(mutex_);  // of adding; may name what was forgotten since
};

}  // namespace shoal::client
