#include "meta/dump.h"

#include <ctime>

#include "base/check.h"
#include "engine/for_each.h"
#include "format/keys.h"
#include "meta/travelling.h"

namespace shoal::meta {
namespace {

constexpr uint64_t kProgressKeys = 50'000;

struct Found {
  format::Volume volume;
  Stamp stamp = 0;
};

Result<Found> find(engine::KvEngine& engine) {
  TRY_ASSIGN(const auto found, engine.get(nullptr, format::format_record_key()));
  if (!found) return error(ENOENT, "no volume here; make one with `shoal format`");
  TRY_ASSIGN(format::Volume volume, format::decode_volume(found->value));
  return Found{std::move(volume), found->stamp};
}

Error taken(const format::Volume& volume) {
  return error(ESTALE, "another process opened volume '{}' during the dump; dump it again",
               volume.name);
}

std::string day_text(const Time& time) {
  const time_t seconds = time.seconds;
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text;
}

// The owner that the caller let go ended all others.
Status check_no_orphans(engine::KvEngine& engine) {
  TRY_ASSIGN(const engine::Page page, engine.scan(nullptr, "O", engine::prefix_end("O"), 1));
  if (page.items.empty()) return {};
  return error(EBUSY, "a file without a name is held open; unmount the volume everywhere first");
}

// Numbers and seals the parts of one dump.
class Stream {
 public:
  Stream(const DumpSink& sink, const Uuid& dump) : sink_(sink), seed_(format::dump_seed(dump)) {}

  Status begin(std::string_view header) {
    TRY(put(format::kDumpMagic));
    return part(format::DumpPart::kHeader, 0, header);
  }
  Status part(format::DumpPart part, std::string_view body) {
    return this->part(part, seed_, body);
  }
  uint64_t next_number() const { return number_; }
  uint64_t bytes() const { return bytes_; }

 private:
  Status part(format::DumpPart part, uint32_t seed, std::string_view body) {
    return put(format::encode_dump_part({part, static_cast<uint32_t>(body.size()), number_++}, seed,
                                        body));
  }
  Status put(std::string_view bytes) {
    bytes_ += bytes.size();
    return sink_(as_bytes(bytes));
  }

  const DumpSink& sink_;
  const uint32_t seed_;
  uint64_t number_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace

Status check_nothing_staged(engine::KvEngine& engine) {
  uint64_t staged = 0;
  uint32_t number = 0;
  const auto look = [&](const engine::Item& item) -> Result<engine::Visit> {
    TRY_ASSIGN(const auto segment, format::decode_segment(item.value));
    using State = format::Segment::State;
    if (segment.state == State::kStaging ||
        (segment.state == State::kStored && !segment.complete)) {
      ++staged;
      number = segment.store;
    }
    return engine::Visit::kContinue;
  };
  TRY(engine::for_each_with(engine, nullptr, format::segment_prefix(), look));
  if (staged == 0) return {};
  std::string where = fmt::format("staging folder {}", number);
  const auto name = [&](const engine::Item& item) -> Result<engine::Visit> {
    TRY_ASSIGN(const auto store, format::decode_store(item.value));
    if (store.number != number) return engine::Visit::kContinue;
    where = fmt::format("{} of host {}", store.path, store.host);
    return engine::Visit::kStop;
  };
  TRY(engine::for_each_with(engine, nullptr, format::store_prefix(), name));
  return error(EBUSY,
               "{} segments are not whole in the bucket yet, the last one lies in {}; mount the "
               "volume there and unmount it with shoal umount, which stores them",
               staged, where);
}

Status check_no_session(engine::KvEngine& engine, Sessions which) {
  const auto look = [&](const engine::Item& item) -> Result<engine::Visit> {
    TRY_ASSIGN(const auto session, format::decode_session(item.value));
    if (which == Sessions::kOutliving && !session.outlives_owner) return engine::Visit::kContinue;
    return error(EBUSY,
                 "the volume is mounted on host {} ({}); unmount it there, or let a meta server "
                 "find that the mount is gone",
                 session.host, session.description);
  };
  return engine::for_each_with(engine, nullptr, "S", look);
}

Status check_not_moved(const format::Volume& volume) {
  if (!volume.moved) return {};
  return error(ESTALE,
               "volume '{}' was moved away from here by shoal dump --move on {}; mount it where it "
               "was loaded, or take it back, for good, by mounting it here with --take-over",
               volume.name, day_text(*volume.moved));
}

Result<DumpReport> dump(engine::KvEngine& engine, const Clock& clock, Random& random,
                        const DumpSink& sink, const DumpOptions& options) {
  TRY_ASSIGN(Found before, find(engine));
  TRY(check_letters(engine));
  TRY(check_nothing_staged(engine));
  TRY(check_no_session(engine, Sessions::kAny));
  TRY(check_no_orphans(engine));
  DumpReport report;
  report.header = {random.uuid(), clock.now(), std::move(before.volume)};
  report.header.volume.moved.reset();  // the copy is where it moved to
  Stream stream(sink, report.header.id);
  TRY(stream.begin(format::encode_dump_header(report.header)));

  Tally tally;
  format::DumpChunk chunk;
  const auto put = [&](const engine::Item& item) -> Status {
    tally.add(item.key, item.stamp, item.value);
    chunk.add(item.key, item.stamp, item.value);
    if (options.progress && tally.keys() % kProgressKeys == 0) options.progress(tally.keys());
    return chunk.plain_bytes() < options.chunk_bytes
               ? Status()
               : stream.part(format::DumpPart::kChunk, chunk.take());
  };
  TRY(each_travelling(engine, put));
  if (!chunk.empty()) TRY(stream.part(format::DumpPart::kChunk, chunk.take()));

  // Without a newer owner nothing can have changed since the epoch was taken.
  TRY_ASSIGN(const Found after, find(engine));
  if (after.stamp != before.stamp) return taken(report.header.volume);
  report.footer = {stream.next_number() - 1, tally.finish()};
  TRY(stream.part(format::DumpPart::kFooter, format::encode_dump_footer(report.footer)));
  report.stream_bytes = stream.bytes();
  return report;
}

Status move_away(engine::KvEngine& engine, const DumpReport& dumped, const Clock& clock) {
  TRY_ASSIGN(Found now, find(engine));
  const format::Volume& volume = dumped.header.volume;
  if (now.volume.epoch != volume.epoch || now.volume.lineage != volume.lineage)
    return taken(volume);
  now.volume.moved = clock.now();
  // The last stamp of an epoch whose owner is gone.
  const Stamp stamp = ((volume.epoch + 1) << kStampSequenceBits) - 1;
  if (now.stamp == stamp) return {};  // it was moved before, and the reply was lost
  engine::Batch batch(stamp);
  batch.update(format::format_record_key(), format::encode_volume(now.volume), now.stamp);
  TRY_ASSIGN(const engine::CommitResult result, engine.commit(batch));
  if (result.kind == engine::CommitResult::Kind::kConflict) return taken(volume);
  if (result.kind == engine::CommitResult::Kind::kUnknown) {
    return error(EIO,
                 "whether volume '{}' is marked as moved is not known: the engine lost the reply; "
                 "look with shoal status, or dump it again",
                 volume.name);
  }
  return engine.sync();
}

}  // namespace shoal::meta
