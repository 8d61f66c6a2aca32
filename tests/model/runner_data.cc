// Operations on the bytes of open files.
#include "operands.h"
#include "runner.h"

namespace shoal::model {

using meta::Caller;

void Runner::data(const Op& op) {
  Handle* handle = this->handle(op.n[0]);
  if (handle == nullptr) return;
  Node& node = *handle->node;
  const uint64_t offset = offset_of(op.n[1]);
  const uint64_t length = length_of(op.n[2]);
  const Who by = who(op.n[3]);
  const Caller as = caller(by);
  const bool kill = by.uid != 0;
  using Kind = client::FallocateMode::Kind;
  switch (op.kind) {
    case OpKind::kWrite:
      return write(op, false);
    case OpKind::kAppend:
      return write(op, true);
    case OpKind::kStream:
      return stream(op);
    case OpKind::kTruncate: {
      const uint64_t size = op.n[1] % 5 == 0 ? 0 : offset_of(op.n[1] / 5);
      model_.truncate(node, size, kill);
      client::SetAttrRequest request;
      request.attr.kill_privileges = kill;
      request.size = size;
      if (op.n[2] % 2 == 0) request.handle = handle->id;
      const auto got = world_.client().setattr(as, node.ino, request);
      if (same(0, got.code())) compare(*got, node);
      return;
    }
    case OpKind::kPunch:
      model_.punch(node, offset, length, kill);
      same(0,
           world_.client().fallocate(as, handle->id, {Kind::kPunch, true}, offset, length).code());
      return;
    case OpKind::kZero: {
      const bool keep = op.n[4] % 2 == 0;
      model_.zero(node, offset, length, keep, kill);
      same(0,
           world_.client().fallocate(as, handle->id, {Kind::kZero, keep}, offset, length).code());
      return;
    }
    case OpKind::kAllocate: {
      const bool keep = op.n[4] % 2 == 0;
      model_.allocate(node, offset + length, keep, kill);
      same(0, world_.client()
                  .fallocate(as, handle->id, {Kind::kAllocate, keep}, offset, length)
                  .code());
      return;
    }
    case OpKind::kCopyRange:
      return copy_range(op);
    case OpKind::kRead:
      return read(op);
    case OpKind::kSeek:
      return seek(op);
    case OpKind::kFsync:
      same(0, world_.client().fsync(handle->id, op.n[1] % 2 == 0).code());
      return;
    default:
      return;
  }
}

void Runner::write(const Op& op, bool append) {
  Handle* handle = this->handle(op.n[0]);
  Node& node = *handle->node;
  const std::string bytes = pattern(op.n[4], length_of(op.n[2]));
  uint64_t offset = append ? node.data.size() : offset_of(op.n[1]);
  if (handle->append) offset = node.data.size();
  if (offset + bytes.size() > kFileBytesMaxHere) return;
  const Who by = who(op.n[3]);
  const bool kill = by.uid != 0;
  model_.write(node, offset, bytes, kill);
  const uint64_t asked =
      handle->append ? op.n[1] % 1000 : offset;  // an O_APPEND handle does not care
  const auto got = world_.client().write(caller(by), handle->id, asked, as_bytes(bytes), kill);
  if (same(0, got.code()) && got->bytes != bytes.size()) fail("a short write");
}

// Writes on at the end, record by record: what a large writer does.
void Runner::stream(const Op& op) {
  Handle* handle = this->handle(op.n[0]);
  Node& node = *handle->node;
  for (uint32_t i = 0; i < 2 + op.n[1] % 3; ++i) {
    const size_t length = 66'000 + (op.n[2] + i) % 3 * 2'560 + (op.n[3] % 2) * (op.n[4] % 9'000);
    const std::string bytes = pattern(op.n[4] + i, length);
    const uint64_t offset = node.data.size();
    if (offset + bytes.size() > kFileBytesMaxHere) return;
    model_.write(node, offset, bytes, false);
    const auto got = world_.client().write(caller({}), handle->id, offset, as_bytes(bytes), false);
    if (!same(0, got.code())) return;
    if (got->bytes != bytes.size()) return fail("a short write");
    if (!same(0, world_.client().flush(handle->id, 1).code())) return;
  }
}

void Runner::copy_range(const Op& op) {
  Handle* to = handle(op.n[0]);
  Handle* from = handle(op.n[3]);
  const uint64_t from_offset = offset_of(op.n[1]);
  const uint64_t to_offset = offset_of(op.n[4]);
  const uint64_t length = length_of(op.n[2]);
  int64_t expected = 0;
  if (!to->append)
    expected = model_.copy(*from->node, from_offset, *to->node, to_offset, length, false);
  const auto got =
      world_.client().copy_range(caller({}), from->id, from_offset, to->id, to_offset, length);
  if (to->append) {
    same(EBADF, got.code());
  } else if (same(expected < 0 ? EINVAL : 0, got.code()) &&
             got->bytes != static_cast<uint64_t>(expected)) {
    fail(fmt::format("copied {} bytes, must be {}", got->bytes, expected));
  }
}

void Runner::read(const Op& op) {
  Handle* handle = this->handle(op.n[0]);
  const std::string& data = handle->node->data;
  const uint64_t offset = offset_of(op.n[1]);
  std::string bytes(length_of(op.n[2]), '?');
  const auto got = world_.client().read(handle->id, offset, as_mutable_bytes(bytes));
  if (!same(0, got.code())) return;
  bytes.resize(*got);
  const std::string expected = offset < data.size() ? data.substr(offset, length_of(op.n[2])) : "";
  if (bytes != expected)
    fail(fmt::format("read {} bytes at {}: other bytes, {} of them", expected.size(), offset,
                     bytes.size()));
}

// A hole may be anywhere where zeros are; what is not zero is no hole.
void Runner::seek(const Op& op) {
  Handle* handle = this->handle(op.n[0]);
  const std::string& data = handle->node->data;
  const uint64_t offset = offset_of(op.n[1]);
  const auto next_data = world_.client().seek_data(handle->id, offset);
  const auto next_hole = world_.client().seek_hole(handle->id, offset);
  if (offset >= data.size()) {
    same(ENXIO, next_data.code());
    same(ENXIO, next_hole.code());
    return;
  }
  if (!same(0, next_hole.code())) return;
  if (!next_data.ok() && !same(ENXIO, next_data.code())) return;
  const uint64_t first = next_data.ok() ? *next_data : data.size();
  if (first > data.size() || *next_hole > data.size()) return fail("seek: behind the end");
  for (uint64_t i = offset; i < first; ++i) {
    if (data[i] != '\0')
      return fail(fmt::format("seek_data({}) = {} skips byte {}", offset, first, i));
  }
  if (*next_hole < data.size() && data[*next_hole] != '\0') return fail("seek_hole found a byte");
}

}  // namespace shoal::model
