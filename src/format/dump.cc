#include "format/dump.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "format/fields_internal.h"

namespace shoal::format {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kCrcBytes = 4;

uint32_t part_crc(std::string_view header, std::string_view body, uint32_t seed) {
  return crc32c(as_bytes(body), crc32c(as_bytes(header.substr(kCrcBytes)), seed));
}

size_t plain_bytes_of(std::string_view key, std::string_view value) {
  return key.size() + value.size() + 16;
}

Status damaged(const Decoder& in, std::string_view what) {
  return in.ok() && in.remaining() == 0
             ? Status()
             : Status(error(EBADMSG, "the {} is damaged; copy the dump again", what));
}

}  // namespace

uint32_t dump_seed(const Uuid& dump) {
  std::string bytes;
  Encoder out(bytes);
  encode_uuid(out, dump);
  return crc32c(as_bytes(bytes));
}

std::string encode_dump_part(const DumpPartHeader& header, uint32_t seed, std::string_view body) {
  CHECK(body.size() <= kDumpBodyBytesMax && body.size() == header.body_bytes);
  std::string part;
  part.reserve(kDumpPartHeaderBytes + body.size());
  Encoder out(part);
  out.le32(0);
  out.u8(kVersion);
  out.u8(static_cast<uint8_t>(header.part));
  out.le16(0);
  out.le32(header.body_bytes);
  out.le64(header.number);
  std::string crc;
  Encoder(crc).le32(part_crc(part, body, seed));
  part.replace(0, kCrcBytes, crc);
  part += body;
  return part;
}

Result<DumpPartHeader> decode_dump_part_header(std::string_view bytes) {
  CHECK(bytes.size() == kDumpPartHeaderBytes);
  Decoder in(bytes.substr(kCrcBytes));
  const uint8_t version = in.u8();
  if (version > kVersion) {
    return error(ENOTSUP, "the dump is of version {}: made by a newer shoal; use that one",
                 version);
  }
  DumpPartHeader header;
  const uint8_t part = in.u8();
  const uint16_t reserved = in.le16();
  header.body_bytes = in.le32();
  header.number = in.le64();
  if (version != kVersion || part < 1 || part > 3 || reserved != 0 ||
      header.body_bytes > kDumpBodyBytesMax) {
    in.fail();
  }
  TRY(damaged(in, "header of a part"));
  header.part = static_cast<DumpPart>(part);
  return header;
}

Status check_dump_part(std::string_view header, std::string_view body, uint32_t seed) {
  CHECK(header.size() == kDumpPartHeaderBytes);
  if (Decoder(header).le32() == part_crc(header, body, seed)) return {};
  return error(EBADMSG, "it is damaged (its checksum is wrong); copy the dump again");
}

std::string encode_dump_header(const DumpHeader& header) {
  std::string body;
  Encoder out(body);
  encode_uuid(out, header.id);
  encode_time(out, header.made);
  out.string(encode_volume(header.volume));
  return body;
}

Result<DumpHeader> decode_dump_header(std::string_view body) {
  Decoder in(body);
  DumpHeader header;
  header.id = decode_uuid(in);
  header.made = decode_time(in);
  const std::string_view volume = in.string();
  TRY(damaged(in, "header"));
  TRY_ASSIGN(header.volume, decode_volume(volume));
  return header;
}

void DumpChunk::add(std::string_view key, Stamp stamp, std::string_view value) {
  CHECK(body_.empty() || key > last_);
  const auto [mine, theirs] = std::mismatch(key.begin(), key.end(), last_.begin(), last_.end());
  const auto shared = static_cast<size_t>(mine - key.begin());
  Encoder out(body_);
  out.varint(shared);
  out.string(key.substr(shared));
  out.varint(stamp);
  out.string(value);
  last_ = key;
  plain_bytes_ += plain_bytes_of(key, value);
}

std::string DumpChunk::take() {
  last_.clear();
  plain_bytes_ = 0;
  return std::exchange(body_, {});
}

Result<std::vector<DumpItem>> decode_dump_chunk(std::string_view body) {
  Decoder in(body);
  std::vector<DumpItem> items;
  size_t plain_bytes = 0;
  while (in.ok() && in.remaining() > 0) {
    const std::string_view last = items.empty() ? std::string_view() : items.back().key;
    const uint64_t shared = in.varint();
    const std::string_view own = in.string();
    DumpItem item;
    item.stamp = in.varint();
    item.value = in.string();
    if (shared > last.size() || shared + own.size() > kEngineKeyBytesMax ||
        item.value.size() > kEngineValueBytesMax) {
      in.fail();
      break;
    }
    item.key.reserve(shared + own.size());
    item.key.append(last.substr(0, shared)).append(own);
    plain_bytes += plain_bytes_of(item.key, item.value);
    if (item.key <= last || plain_bytes > kDumpChunkPlainBytesMax) in.fail();
    items.push_back(std::move(item));
  }
  if (items.empty()) in.fail();
  TRY(damaged(in, "chunk"));
  return items;
}

std::string encode_dump_footer(const DumpFooter& footer) {
  std::string body;
  Encoder out(body);
  out.varint(footer.chunks);
  out.varint(footer.totals.keys);
  out.varint(footer.totals.bytes);
  out.varint(footer.totals.by_letter.size());
  for (const auto& [letter, count] : footer.totals.by_letter) {
    out.u8(static_cast<uint8_t>(letter));
    out.varint(count);
  }
  out.raw({reinterpret_cast<const char*>(footer.totals.digest.data()), kDumpDigestBytes});
  return body;
}

Result<DumpFooter> decode_dump_footer(std::string_view body) {
  Decoder in(body);
  DumpFooter footer;
  footer.chunks = in.varint();
  footer.totals.keys = in.varint();
  footer.totals.bytes = in.varint();
  const uint64_t letters = in.varint();
  if (letters > 256) in.fail();
  for (uint64_t i = 0; i < letters && in.ok(); ++i) {
    const char letter = static_cast<char>(in.u8());
    footer.totals.by_letter.emplace_back(letter, in.varint());
  }
  const std::string_view digest = in.raw(kDumpDigestBytes);
  TRY(damaged(in, "footer"));
  std::copy(digest.begin(), digest.end(), footer.totals.digest.begin());
  return footer;
}

std::string encode_load(const LoadRecord& load) {
  std::string value;
  Encoder out(value);
  out.u8(kVersion);
  encode_uuid(out, load.dump);
  encode_uuid(out, load.volume);
  out.string(load.name);
  out.varint(load.chunks);
  return value;
}

Result<LoadRecord> decode_load(std::string_view value) {
  Decoder in(value);
  const uint8_t version = in.u8();
  if (version > kVersion) {
    return error(ENOTSUP, "a load of format {} is under way: by a newer shoal; use that one",
                 version);
  }
  LoadRecord load;
  load.dump = decode_uuid(in);
  load.volume = decode_uuid(in);
  load.name = in.string();
  load.chunks = in.varint();
  if (version != kVersion) in.fail();
  TRY(in.finish("record of a load"));
  return load;
}

}  // namespace shoal::format
