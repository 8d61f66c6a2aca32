#include "format/locks.h"

#include "format/fields_internal.h"

namespace shoal::format {
namespace {

constexpr size_t kLockBytesMin = 8;  // a byte for each field at least

}  // namespace

std::string encode_locks(const std::vector<HeldLock>& locks) {
  std::string value;
  Encoder out(value);
  out.u8(kRecordFormat);
  out.varint(locks.size());
  for (const HeldLock& lock : locks) {
    out.varint(lock.session);
    out.u8(lock.kind);
    out.u8(lock.write ? 1 : 0);
    out.varint(lock.start);
    out.varint(lock.end);
    out.varint(lock.owner);
    out.varint(lock.handle);
    out.varint(lock.pid);
  }
  return value;
}

Result<std::vector<HeldLock>> decode_locks(std::string_view value) {
  Decoder in(value);
  TRY(decode_format(in, "lock"));
  const uint64_t count = in.varint();
  if (count > in.remaining() / kLockBytesMin) in.fail();
  std::vector<HeldLock> locks;
  for (uint64_t i = 0; in.ok() && i < count; ++i) {
    HeldLock lock;
    lock.session = in.varint();
    lock.kind = in.u8();
    lock.write = decode_bool(in);
    lock.start = in.varint();
    lock.end = in.varint();
    lock.owner = in.varint();
    lock.handle = in.varint();
    const uint64_t pid = in.varint();
    if (pid > 0xffffffffu || lock.end < lock.start) in.fail();
    lock.pid = static_cast<uint32_t>(pid);
    locks.push_back(lock);
  }
  TRY(in.finish("locks"));
  return locks;
}

}  // namespace shoal::format
