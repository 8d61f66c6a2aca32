// Operation: one data operation of an inode's uncommitted list, and the list itself.
//
// Its life (design §2): buffered (bytes in memory only) → journaled (Staging has it; bytes still
// kept, in case the journal fails) → durable (bytes dropped) → committed, when it leaves the list.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "data/staging.h"

namespace shoal::client {

// Bytes that only grow at their end: what was handed out once never moves and never changes, so
// readers copy from it without the inode's latch.
struct Chunk {
  explicit Chunk(size_t room) : capacity(room), bytes(new std::byte[room]) {}
  const size_t capacity;
  size_t size = 0;  // under the latch
  const std::unique_ptr<std::byte[]> bytes;
};
using ChunkPtr = std::shared_ptr<Chunk>;  // shared with reads in flight

class Operation {
 public:
  uint64_t id = 0;  // within the inode: ascending without gaps, in list order
  format::RecordKind kind = format::RecordKind::kData;
  uint16_t flags = 0;
  bool sealed = false;  // handed to the journal: nothing may be merged into it any more
  bool journaled = false;
  bool append = false;  // on a shared volume: where it goes is decided by the owner, until then it
                        // is laid at the end that this mount knows
  uint64_t offset = 0;  // kTruncate: the new size; kTimes: seconds of the ctime
  uint64_t length = 0;  // kTimes: nanoseconds of the ctime
  uint64_t reserved = 0;  // bytes taken from the space pool
  Time mtime, atime;
  std::vector<ChunkPtr> chunks;  // empty once durable
  data::Journaled place;         // when journaled

  bool is_data() const { return kind == format::RecordKind::kData; }
  // The part of the file the overlay may hold pieces of this operation for.
  uint64_t overlay_end() const {
    return kind == format::RecordKind::kTruncate
               ? ~uint64_t{0}
               : offset + length;  // kTimes has none: any range does
  }

  void append_bytes(ByteView bytes) {
    while (!bytes.empty()) {
      if (chunks.empty() || chunks.back()->size == chunks.back()->capacity) {
        // A lone small write gets what it needs; a stream doubles, so that it costs few allocations
        // and no copies.
        const size_t doubled = chunks.empty() ? 0 : 2 * chunks.back()->capacity;
        chunks.push_back(std::make_shared<Chunk>(
            std::max(bytes.size(), std::min(doubled, kRecordBytesMax / 2))));
      }
      Chunk& last = *chunks.back();
      const size_t part = std::min(bytes.size(), last.capacity - last.size);
      std::memcpy(last.bytes.get() + last.size, bytes.data(), part);
      last.size += part;
      bytes = bytes.subspan(part);
    }
  }
};

// Operations in order, addressed by id.
class OperationList {
 public:
  bool empty() const { return head_ == operations_.size(); }
  size_t size() const { return operations_.size() - head_; }
  uint64_t first_id() const { return next_id_ - size(); }
  uint64_t next_id() const { return next_id_; }
  uint64_t last_id() const { return next_id_ - 1; }  // 0 when there never was one

  bool contains(uint64_t id) const { return id >= first_id() && id < next_id_; }
  Operation& at(uint64_t id) {
    CHECK(contains(id));
    return *operations_[head_ + (id - first_id())];
  }
  const Operation& at(uint64_t id) const { return const_cast<OperationList*>(this)->at(id); }
  Operation& back() { return at(last_id()); }

  Operation& push_back() {
    operations_.push_back(std::make_unique<Operation>());
    operations_.back()->id = next_id_++;
    return *operations_.back();
  }
  std::unique_ptr<Operation> pop_front() {
    CHECK(!empty());
    std::unique_ptr<Operation> first = std::move(operations_[head_++]);
    if (empty()) {
      std::vector<std::unique_ptr<Operation>>().swap(operations_);
      head_ = 0;
    } else if (head_ > 64 && head_ > operations_.size() / 2) {
      operations_.erase(operations_.begin(),
                        operations_.begin() + static_cast<std::ptrdiff_t>(head_));
      head_ = 0;
    }
    return first;
  }

 private:
  std::vector<std::unique_ptr<Operation>> operations_;  // from head_ on
  size_t head_ = 0;
  uint64_t next_id_ = 1;
};

}  // namespace shoal::client
