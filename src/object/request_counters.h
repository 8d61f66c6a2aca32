// RequestCounts that many threads add to.
#pragma once

#include <atomic>

#include "object/object_store.h"

namespace shoal::object {

struct RequestCounters {
  std::atomic<uint64_t> put{0}, get{0}, head{0}, remove{0}, list{0}, multipart{0}, retries{0},
      bytes_out{0}, bytes_in{0};

  RequestCounts read() const {
    RequestCounts counts;
    counts.put = put;
    counts.get = get;
    counts.head = head;
    counts.remove = remove;
    counts.list = list;
    counts.multipart = multipart;
    counts.retries = retries;
    counts.bytes_out = bytes_out;
    counts.bytes_in = bytes_in;
    return counts;
  }
};

inline uint64_t total_bytes(const std::vector<ByteView>& spans) {
  uint64_t sum = 0;
  for (const ByteView& span : spans) sum += span.size();
  return sum;
}

}  // namespace shoal::object
