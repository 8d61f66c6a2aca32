#include "engine/postgres/wire.h"

#include "base/coding.h"

namespace shoal::engine::postgres {
namespace {

// Fixed for ever in PostgreSQL's catalog.
constexpr uint32_t kByteaOid = 17;
constexpr uint32_t kInt8Oid = 20;

void array_header(Encoder& out, size_t count, uint32_t element) {
  out.be32(count == 0 ? 0 : 1);  // dimensions
  out.be32(0);                   // no nulls
  out.be32(element);
  if (count == 0) return;
  out.be32(static_cast<uint32_t>(count));
  out.be32(1);  // the first index
}

void field(Encoder& out, std::string_view bytes) {
  out.be32(static_cast<uint32_t>(bytes.size()));
  out.raw(bytes);
}

void field(Encoder& out, int64_t value) {
  out.be32(sizeof value);
  out.be64(static_cast<uint64_t>(value));
}

}  // namespace

std::string encode_integer(int64_t value) {
  std::string bytes;
  Encoder(bytes).be64(static_cast<uint64_t>(value));
  return bytes;
}

std::string encode_bytes_array(const std::vector<std::string_view>& values) {
  std::string bytes;
  Encoder out(bytes);
  array_header(out, values.size(), kByteaOid);
  for (const std::string_view value : values) field(out, value);
  return bytes;
}

std::string encode_integer_array(const std::vector<int64_t>& values) {
  std::string bytes;
  Encoder out(bytes);
  array_header(out, values.size(), kInt8Oid);
  for (const int64_t value : values) field(out, value);
  return bytes;
}

std::string encode_copy(const std::vector<Item>& items) {
  std::string bytes;
  Encoder out(bytes);
  out.raw(std::string_view("PGCOPY\n\377\r\n\0", 11));
  out.be32(0);  // flags
  out.be32(0);  // no extension
  for (const Item& item : items) {
    out.be16(3);
    field(out, item.key);
    field(out, as_column(item.stamp));
    field(out, item.value);
  }
  out.be16(0xffff);
  return bytes;
}

}  // namespace shoal::engine::postgres
