// One segment on its way to the bucket: the bytes in memory while the PUT runs. At most uploads_max
// exist at a time.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "data/journal.h"

namespace shoal::data {

struct Upload {
  explicit Upload(JournalPtr what) : journal(std::move(what)) {}

  const JournalPtr journal;
  std::unique_ptr<std::byte[]> bytes;  // of the file
  uint64_t length = 0;
  // Of a large writer's segment: what the frames of the slice must be, and which are known not to
  // be; whose it is.
  std::vector<uint32_t> frame_crcs;
  std::vector<uint32_t> damaged_frames;
  Ino ino = 0;
  std::string tail;  // end record and footer when `bytes` does not hold them

  uint64_t object_bytes() const { return length + tail.size(); }
  ByteView file_bytes() const { return {bytes.get(), length}; }
  // Only in a large writer's segment: the record header before its slice.
  ByteView slice_header() const {
    return file_bytes().subspan(format::kExternalRecordAt, format::kRecordHeaderBytes);
  }
  void set_slice_header(std::string_view header) {
    std::memcpy(bytes.get() + format::kExternalRecordAt, header.data(), header.size());
  }
};

}  // namespace shoal::data
