#include "data/repack.h"

#include <algorithm>

#include "base/crc32c.h"
#include "base/limits.h"
#include "base/log.h"
#include "format/segment.h"

namespace shoal::data {
namespace {

using format::Segment;
using meta::Maintenance;
using meta::SegmentInfo;

constexpr uint64_t kShortSegmentBytes = 16 << 20;
constexpr size_t kMovesPerCall = 500;

bool thin(const SegmentInfo& info) {
  return static_cast<uint64_t>(info.live_bytes) * 2 <= info.record.length;
}

// Stored, complete, not empty, and worth rewriting.
Result<std::vector<SegmentInfo>> candidates(Maintenance& maintenance) {
  std::vector<SegmentInfo> chosen;
  std::vector<SegmentInfo> short_ones;
  uint64_t short_bytes = 0;
  SegmentId after{};
  for (;;) {
    TRY_ASSIGN(const std::vector<SegmentInfo> page, maintenance.segments(after, kPageEntriesMax));
    if (page.empty()) break;
    after = page.back().id;
    for (const SegmentInfo& info : page) {
      if (info.record.state != Segment::State::kStored || !info.record.complete ||
          info.live_bytes <= 0)
        continue;
      if (thin(info)) {
        chosen.push_back(info);
      } else if (info.record.length < kShortSegmentBytes) {
        short_ones.push_back(info);
        short_bytes += static_cast<uint64_t>(info.live_bytes);
      }
    }
  }
  if (short_ones.size() > 1 && short_bytes >= kShortSegmentBytes) {
    chosen.insert(chosen.end(), short_ones.begin(), short_ones.end());
  }
  return chosen;
}

// Inodes that wrote into the segment, by its own footer.
Result<std::vector<Ino>> writers_of(object::ObjectStore& store, const Uuid& volume,
                                    const SegmentInfo& info) {
  const std::string key = format::segment_object_key(volume, info.id);
  const uint64_t size = info.record.length;
  TRY_ASSIGN(
      const std::string tail,
      object::get_and_wait(store, key, size - format::kFooterTailBytes, format::kFooterTailBytes));
  TRY_ASSIGN(const format::FooterPlace place, format::find_footer(as_bytes(tail), size));
  TRY_ASSIGN(const std::string bytes, object::get_and_wait(store, key, place.offset, place.length));
  TRY_ASSIGN(const format::Footer footer, format::decode_footer(as_bytes(bytes), info.id));
  std::vector<Ino> writers;
  for (const format::FooterRecord& record : footer.records) writers.push_back(record.header.ino);
  std::sort(writers.begin(), writers.end());
  writers.erase(std::unique(writers.begin(), writers.end()), writers.end());
  return writers;
}

// A segment being put together in memory: the copies and what is to point at them once it is
// stored.
class Copy {
 public:
  Copy(const Uuid& volume, uint64_t lineage, const Uuid& store, const SegmentId& id) : id_(id) {
    bytes_ = format::encode_segment_header({volume, lineage, store, id, false, 0});
  }

  bool has_room(uint64_t length) const {
    return bytes_.size() + length + format::kRecordHeaderBytes <= kSegmentBytesMax ||
           moves_.empty();
  }
  bool empty() const { return moves_.empty(); }
  const SegmentId& id() const { return id_; }
  const std::vector<Maintenance::Move>& moves() const { return moves_; }

  // Appends one slice with the extent's bytes.
  void add(const Maintenance::Reference& reference, std::string_view slice) {
    format::RecordHeader header;
    header.kind = format::RecordKind::kData;
    header.payload_length = static_cast<uint32_t>(slice.size());
    header.payload_crc = crc32c(as_bytes(slice));
    header.frame_bytes = format::frame_bytes_for(slice.size());
    header.ino = reference.ino;
    header.parent = reference.parent;
    header.offset = reference.extent.offset;
    header.length = slice.size();
    const uint64_t position = bytes_.size();
    bytes_ += format::encode_record_header(header, id_);
    bytes_ += slice;
    const std::vector<uint32_t> crcs = format::frame_crcs(as_bytes(slice));
    footer_.records.push_back({position, header, static_cast<uint32_t>(footer_.frame_crcs.size())});
    footer_.frame_crcs.insert(footer_.frame_crcs.end(), crcs.begin(), crcs.end());
    footer_.data_bytes += slice.size();
    Maintenance::Move move;
    move.ino = reference.ino;
    move.from = reference.extent;
    move.to.segment = id_;
    move.to.offset = position + format::kRecordHeaderBytes;
    move.to.length = slice.size();
    if (crcs.size() == 1) move.to.crc = crcs.front();
    moves_.push_back(std::move(move));
  }

  std::string finish() {
    bytes_ += format::encode_footer(footer_, bytes_.size(), id_);
    return std::move(bytes_);
  }

 private:
  SegmentId id_;
  std::string bytes_;
  format::Footer footer_;
  std::vector<Maintenance::Move> moves_;
};

class Repacker {
 public:
  Repacker(meta::Metadata& metadata, Maintenance& maintenance, object::ObjectStore& store,
           Reader& reader, Staging& staging, const Uuid& volume, uint64_t lineage)
      : metadata_(metadata),
        maintenance_(maintenance),
        store_(store),
        reader_(reader),
        staging_(staging),
        volume_(volume),
        lineage_(lineage) {
    request_.caller.kernel_checked = true;
  }

  Status copy(const Maintenance::Reference& reference) {
    std::string slice(reference.extent.length, '\0');
    const Status read = reader_.read(reference.extent.target, reference.extent.first,
                                     as_mutable_bytes(slice), ReadMode::kRandom);
    if (!read.ok()) {
      // Corrupt or gone: it stays where it is, for its reader to hear of it.
      log(LogLevel::kError, "repack: inode {} at {}: {}", reference.ino, reference.extent.offset,
          read.error().text());
      return {};
    }
    if (copy_ != nullptr && !copy_->has_room(slice.size())) TRY(store());
    if (copy_ == nullptr) {
      copy_ =
          std::make_unique<Copy>(volume_, lineage_, staging_.uuid(), staging_.draw_segment_id());
      TRY(metadata_.segment_open(request_, copy_->id(), staging_.number()));
    }
    copy_->add(reference, slice);
    return {};
  }

  // Puts the segment into the bucket, then lets the extents point at it (I1), those that did not
  // change meanwhile.
  Status store() {
    if (copy_ == nullptr) return {};
    const std::unique_ptr<Copy> copy = std::move(copy_);
    const std::string bytes = copy->finish();
    object::CallOptions options;
    options.priority = object::Priority::kBackground;
    options.deadline = std::chrono::minutes(10);
    TRY(object::put_and_wait(store_, format::segment_object_key(volume_, copy->id()),
                             as_bytes(bytes), options));
    TRY(metadata_.segment_stored(request_, copy->id(), bytes.size(), /*complete=*/true));
    const std::vector<Maintenance::Move>& moves = copy->moves();
    for (size_t begin = 0; begin < moves.size(); begin += kMovesPerCall) {
      const size_t end = std::min(moves.size(), begin + kMovesPerCall);
      TRY_ASSIGN(const size_t moved, maintenance_.move_extents(
                                         request_, {moves.begin() + static_cast<ptrdiff_t>(begin),
                                                    moves.begin() + static_cast<ptrdiff_t>(end)}));
      report_.extents_moved += moved;
    }
    for (const Maintenance::Move& move : moves) report_.bytes_moved += move.from.length;
    return {};
  }

  RepackReport& report() { return report_; }

 private:
  meta::Metadata& metadata_;
  Maintenance& maintenance_;
  object::ObjectStore& store_;
  Reader& reader_;
  Staging& staging_;
  const Uuid volume_;
  const uint64_t lineage_;
  meta::Request request_;
  std::unique_ptr<Copy> copy_;
  RepackReport report_;
};

}  // namespace

Result<RepackReport> repack(meta::Metadata& metadata, Maintenance& maintenance,
                            object::ObjectStore& store, Reader& reader, Staging& staging,
                            const Uuid& volume,
                            const std::function<void(uint64_t segments)>& progress) {
  TRY_ASSIGN(const std::vector<SegmentInfo> chosen, candidates(maintenance));
  std::vector<Maintenance::Reference> references;
  for (const SegmentInfo& info : chosen) {
    TRY_ASSIGN(const std::vector<Ino> writers, writers_of(store, volume, info));
    TRY_ASSIGN(std::vector<Maintenance::Reference> found, maintenance.references(info.id, writers));
    references.insert(references.end(), found.begin(), found.end());
  }
  std::sort(references.begin(), references.end(), [](const auto& a, const auto& b) {
    return std::tie(a.parent, a.ino, a.extent.offset) < std::tie(b.parent, b.ino, b.extent.offset);
  });
  TRY_ASSIGN(const format::Volume record, metadata.volume());
  Repacker repacker(metadata, maintenance, store, reader, staging, volume, record.lineage);
  for (const Maintenance::Reference& reference : references) TRY(repacker.copy(reference));
  TRY(repacker.store());
  TRY(metadata.sync());
  repacker.report().segments = chosen.size();
  if (progress) progress(chosen.size());
  return repacker.report();
}

}  // namespace shoal::data
