// A request as it came from the kernel, as typed views into the bytes read. Nothing is copied but
// fixed-size structs, and nothing is believed: lengths, terminators and extensions are checked,
// because the fuzzer is a kernel too.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "fuse/kernel_abi.h"

namespace shoal::fuse {

struct Request {
  uint32_t opcode = 0;
  uint64_t unique = 0;
  uint64_t nodeid = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t pid = 0;
  ByteView arguments;  // behind the header, without the extensions; valid as long as the buffer
  ByteView extensions;
};

// EINVAL when `bytes` is not one whole request.
Result<Request> decode_request(ByteView bytes);

// The caller's supplementary groups that the kernel attached (CREATE_SUPP_GROUP: at most the parent
// directory's). EINVAL when an extension is malformed; unknown extensions are skipped.
Result<std::vector<uint32_t>> supplementary_groups(const Request& request);

// Reads arguments front to back. Once anything was missing ok() is false and everything reads as
// zero or empty, so that handlers read all first and check once.
class Arguments {
 public:
  explicit Arguments(ByteView bytes) : rest_(bytes) {}

  template <typename T>
  T fixed() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    const ByteView bytes = take(sizeof(T));
    if (ok_) std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }
  // The first `bytes_min` bytes must be there, the rest of T may be missing and is zero: structs
  // that grew.
  template <typename T>
  T fixed_at_least(size_t bytes_min) {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    if (rest_.size() < bytes_min) {
      fail();
      return value;
    }
    const ByteView bytes = take(rest_.size() < sizeof(T) ? rest_.size() : sizeof(T));
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  // Up to and without the next NUL; never empty.
  std::string_view name();
  ByteView bytes(size_t length) { return take(length); }
  bool ok() const { return ok_; }

 private:
  ByteView take(size_t length) {
    if (length > rest_.size()) {
      fail();
      return {};
    }
    const ByteView taken = rest_.first(length);
    rest_ = rest_.subspan(length);
    return taken;
  }
  void fail() {
    ok_ = false;
    rest_ = {};
  }
  ByteView rest_;
  bool ok_ = true;
};

// "LOOKUP"; the number when we do not know it. For logs.
std::string opcode_name(uint32_t opcode);

}  // namespace shoal::fuse
