#include "data/journal.h"

#include "base/crc32c.h"
#include "base/limits.h"

namespace shoal::data {

using format::RecordHeader;
using format::RecordKind;

void FrameIndex::add(uint64_t slice_offset, std::vector<uint32_t> crcs) {
  slices_.push_back({slice_offset, std::move(crcs)});
}

void FrameIndex::extend(uint64_t slice_offset, std::span<const uint32_t> crcs) {
  if (slices_.empty()) slices_.push_back({slice_offset, {}});
  CHECK(slices_.back().offset == slice_offset);
  slices_.back().crcs.insert(slices_.back().crcs.end(), crcs.begin(), crcs.end());
}

const std::vector<uint32_t>* FrameIndex::find(uint64_t slice_offset) const {
  const auto at =
      std::lower_bound(slices_.begin(), slices_.end(), slice_offset,
                       [](const Slice& slice, uint64_t offset) { return slice.offset < offset; });
  return at != slices_.end() && at->offset == slice_offset ? &at->crcs : nullptr;
}

void Journal::note_record(Ino ino, uint64_t new_end, std::chrono::nanoseconds now) {
  if (records == 0) first_record_at = now;
  ++records;
  ++uncommitted;
  end = new_end;
  note_ino(ino);
}

void Journal::sort_inos() {
  std::sort(inos.begin(), inos.end());
  inos.erase(std::unique(inos.begin(), inos.end()), inos.end());
  inos.shrink_to_fit();
}

namespace {

constexpr size_t kWindowBytes = 1 << 20;

struct Window {
  File& file;
  ByteBuffer bytes;
  uint64_t at = 0;
  size_t have = 0;

  Result<ByteView> get(uint64_t position, size_t n) {
    if (position < at || position + n > at + have) {
      const size_t want = std::max(n, kWindowBytes);
      if (bytes.size() < want) bytes.resize(want);
      have = 0;
      TRY_ASSIGN(const size_t got, file.read_at(position, MutableBytes(bytes).first(want)));
      at = position;
      have = got;
    }
    const size_t skip = position - at;
    return ByteView(bytes).subspan(std::min(skip, have), std::min(n, have - std::min(skip, have)));
  }
};

// The end record at `position`: sealed when its footer is whole.
Status scan_end(const ByteSource& source, const SegmentId& segment, uint64_t position,
                const RecordHeader& header, Scan& scan) {
  const uint64_t footer_at = position + format::kRecordHeaderBytes;
  TRY_ASSIGN(const ByteView footer, source(footer_at, header.payload_length));
  if (header.payload_length == 0 || footer.size() != header.payload_length) return {};
  if (crc32c(footer) != header.payload_crc || !format::decode_footer(footer, segment).ok())
    return {};
  scan.object_bytes = footer_at + footer.size();
  return {};
}

}  // namespace

ByteSource file_source(File& file) {
  auto window = std::make_shared<Window>(
      Window{file, {}, 0, 0});  // shared: std::function wants a copyable closure
  return [window](uint64_t position, size_t n) { return window->get(position, n); };
}

ByteSource memory_source(ByteView bytes) {
  return [bytes](uint64_t position, size_t n) -> Result<ByteView> {
    if (position >= bytes.size()) return ByteView();
    return bytes.subspan(position, std::min<uint64_t>(n, bytes.size() - position));
  };
}

Result<Scan> scan_records(const ByteSource& source, const SegmentId& segment, uint64_t limit,
                          const RecordVisitor& visit) {
  Scan scan;
  while (scan.end + format::kRecordHeaderBytes <= limit) {
    TRY_ASSIGN(const ByteView head, source(scan.end, format::kRecordHeaderBytes));
    const auto header = format::decode_record_header(head, segment);
    if (header.code() == ENOTSUP) return header.error();
    if (!header.ok()) return scan;
    const RecordHeader h = *header;
    if (h.kind == RecordKind::kEnd) {
      TRY(scan_end(source, segment, scan.end, h, scan));
      return scan;
    }
    const uint64_t payload_at = scan.end + format::kRecordHeaderBytes;
    if (payload_at + h.payload_length > limit) {
      scan.torn = true;
      return scan;
    }
    ByteView payload;
    if (h.payload_length > 0) {
      TRY_ASSIGN(payload, source(payload_at, h.payload_length));
    }
    if (payload.size() != h.payload_length || crc32c(payload) != h.payload_crc) {
      scan.torn = true;
      return scan;
    }
    TRY(visit(scan.end, h, payload));
    scan.end = payload_at + h.payload_length;
    scan.sequence_max = std::max(scan.sequence_max, h.sequence);
    ++scan.records;
  }
  return scan;
}

std::string encode_end(const format::Footer& footer, uint64_t end, const SegmentId& segment) {
  const std::string bytes =
      format::encode_footer(footer, end + format::kRecordHeaderBytes, segment);
  RecordHeader header;
  header.kind = RecordKind::kEnd;
  header.payload_length = static_cast<uint32_t>(bytes.size());
  header.payload_crc = crc32c(as_bytes(bytes));
  return format::encode_record_header(header, segment) + bytes;
}

std::string encode_bare_end(const SegmentId& segment) {
  RecordHeader header;
  header.kind = RecordKind::kEnd;
  return format::encode_record_header(header, segment);
}

Result<RecordHeader> read_record_header(File& file, const SegmentId& segment, uint64_t position) {
  std::array<std::byte, format::kRecordHeaderBytes> bytes;
  TRY_ASSIGN(const size_t n, file.read_at(position, bytes));
  return format::decode_record_header(ByteView(bytes).first(n), segment);
}

}  // namespace shoal::data
