// Reply: answers one request, exactly once. A value of a few words: it may be copied to be answered
// later on another thread (blocking locks); its buffer is the serving thread's and ends with the
// call.
#pragma once

#include <array>
#include <cstring>

#include "base/check.h"
#include "fuse/kernel_abi.h"
#include "fuse/transport.h"

namespace shoal::fuse {

class Reply {
 public:
  Reply(Transport& transport, uint64_t unique, MutableBytes buffer)
      : transport_(&transport), unique_(unique), buffer_(buffer) {}

  // Where a large payload may be put before ok(buffer().first(n)): no copy is made.
  MutableBytes buffer() const { return buffer_; }

  // All return 0 or ENOENT when the kernel had given the request up, so that the handler can undo
  // an open.
  int ok() const { return send(0, {}, {}); }
  int ok(ByteView payload) const { return send(0, payload, {}); }
  template <typename T>
  requires std::is_trivially_copyable_v<T> &&
      (!std::is_convertible_v<T, ByteView>)int ok(const T& payload) const {
    return send(0, bytes_of(payload), {});
  }
  template <typename T>
  int ok(const T& head, ByteView tail) const {
    return send(0, bytes_of(head), tail);
  }
  int fail(int code) const {
    CHECK(code > 0);
    return send(code, {}, {});
  }
  int status(const Status& status) const { return status.ok() ? ok() : fail(status.code()); }

  template <typename T>
  static ByteView bytes_of(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    return std::as_bytes(std::span(&value, 1));
  }

 private:
  int send(int code, ByteView head, ByteView tail) const {
    fuse_out_header header{};
    header.len = static_cast<uint32_t>(sizeof header + head.size() + tail.size());
    header.error = -code;
    header.unique = unique_;
    const std::array<ByteView, 3> parts{bytes_of(header), head, tail};
    const size_t count = head.empty() ? 1 : tail.empty() ? 2 : 3;
    return transport_->write(std::span(parts).first(count));
  }

  Transport* transport_;
  uint64_t unique_;
  MutableBytes buffer_;
};

}  // namespace shoal::fuse
