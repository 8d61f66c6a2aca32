#include "base/coding.h"
#include "base/crc32c.h"
#include "cache/index_log.h"

namespace shoal::cache {
namespace {

constexpr std::string_view kMagic = "shoalidx";
constexpr size_t kCrcBytes = 4;

void seal(std::string& out, size_t begin) {
  out.resize(begin + kIndexRecordBytes - kCrcBytes);
  Encoder(out).le32(crc32c(as_bytes(out).subspan(begin)));
}

bool is_sealed(std::string_view bytes) {
  const std::string_view content = bytes.substr(0, kIndexRecordBytes - kCrcBytes);
  return Decoder(bytes.substr(content.size())).le32() == crc32c(as_bytes(content));
}

}  // namespace

std::string encode_index_header() {
  std::string out(kMagic);
  Encoder encoder(out);
  encoder.u8(kIndexVersion);
  encoder.raw(std::string_view("\0\0\0", 3));
  encoder.le32(kBlockBytes);
  encoder.le32(kUnitBytes);
  seal(out, 0);
  return out;
}

Status check_index_header(std::string_view bytes) {
  if (bytes.size() < kIndexRecordBytes || bytes.substr(0, kMagic.size()) != kMagic) {
    return error(EBADMSG, "not an index of a Shoal cache");
  }
  const auto version = static_cast<uint8_t>(bytes[kMagic.size()]);
  if (version != kIndexVersion) {
    return error(EBADMSG, "index version {} is not {}, the one known here", version, kIndexVersion);
  }
  if (bytes.substr(0, kIndexRecordBytes) != encode_index_header())
    return error(EBADMSG, "broken index header");
  return {};
}

void encode_index_record(const IndexRecord& record, std::string& out) {
  const size_t begin = out.size();
  Encoder encoder(out);
  encoder.u8(static_cast<uint8_t>(record.kind));
  encoder.u8(record.part);
  encoder.le16(0);
  encoder.le32(record.slot);
  encoder.le32(record.chunk_bytes);
  encoder.le64(record.key.high);
  encoder.le64(record.key.low);
  for (const uint64_t word : record.units) encoder.le64(word);
  seal(out, begin);
}

bool decode_index_record(std::string_view bytes, IndexRecord* record) {
  CHECK(bytes.size() == kIndexRecordBytes);
  if (!is_sealed(bytes)) return false;
  Decoder decoder(bytes);
  const uint8_t kind = decoder.u8();
  record->kind = static_cast<IndexRecord::Kind>(kind);
  record->part = decoder.u8();
  const uint16_t zero = decoder.le16();
  record->slot = decoder.le32();
  record->chunk_bytes = decoder.le32();
  record->key.high = decoder.le64();
  record->key.low = decoder.le64();
  for (uint64_t& word : record->units) word = decoder.le64();
  if ((kind != 1 && kind != 2) || record->part >= kIndexParts || zero != 0) return false;
  if (record->chunk_bytes == 0 || record->chunk_bytes > kBlockBytes) return false;
  // No unit behind the end of the chunk.
  const uint32_t units = (record->chunk_bytes + kUnitBytes - 1) / kUnitBytes;
  for (uint32_t i = 0; i < record->units.size(); ++i) {
    const uint32_t first = (record->part * static_cast<uint32_t>(record->units.size()) + i) * 64;
    const uint64_t allowed = units <= first        ? 0
                             : units - first >= 64 ? ~uint64_t{0}
                                                   : (uint64_t{1} << (units - first)) - 1;
    if ((record->units[i] & ~allowed) != 0) return false;
  }
  return true;
}

void encode_units(const SlotTable::Entry& entry, const UnitSet& set, UnitRange range,
                  std::string& out) {
  UnitSet inside;
  inside.add(range);
  IndexRecord record;
  record.slot = entry.slot;
  record.chunk_bytes = entry.chunk_bytes;
  record.key = entry.key;
  for (uint8_t part = 0; part < kIndexParts; ++part) {
    record.part = part;
    uint64_t any = 0;
    for (size_t i = 0; i < record.units.size(); ++i) {
      const size_t word = part * record.units.size() + i;
      any |= record.units[i] = set.word(word) & inside.word(word);
    }
    if (any != 0) encode_index_record(record, out);
  }
}

void encode_drop(const SlotTable::Entry& entry, std::string& out) {
  IndexRecord record;
  record.kind = IndexRecord::Kind::kDrop;
  record.slot = entry.slot;
  record.chunk_bytes = entry.chunk_bytes;
  record.key = entry.key;
  encode_index_record(record, out);
}

}  // namespace shoal::cache
