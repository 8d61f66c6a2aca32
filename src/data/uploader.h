// One segment on its way to the bucket: the bytes in memory while the PUT runs. At most uploads_max
// exist at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "data/journal.h"

namespace shoal::data {

struct Upload {
  explicit Upload(JournalPtr what) : journal(std::move(what)) {}

  const JournalPtr journal;
  std::unique_ptr<std::byte[]> bytes;  // of the file
  uint64_t length = 0;
  std::string tail;  // end record and footer when `bytes` does not hold them

  uint64_t object_bytes() const { return length + tail.size(); }
  ByteView file_bytes() const { return {bytes.get(), length}; }
};

}  // namespace shoal::data
