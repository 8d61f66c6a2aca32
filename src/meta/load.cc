#include "meta/load.h"

#include "base/check.h"
#include "format/keys.h"
#include "meta/load_writer.h"
#include "meta/travelling.h"

namespace shoal::meta {
namespace {

constexpr uint64_t kProgressKeys = 50'000;
constexpr int kTriesMax = 10;

std::string difference(const format::DumpTotals& found, const format::DumpTotals& told) {
  if (found.keys != told.keys) return fmt::format("{} keys, {} are due", found.keys, told.keys);
  for (const auto& [letter, count] : told.by_letter) {
    const uint64_t counted = count_of(found, letter);
    if (counted != count) {
      return fmt::format("{} keys that begin with {}, {} are due", counted, letter, count);
    }
  }
  return "other bytes";
}

// Everything is in the engine as the dump says: F is due. True when it is written.
Result<bool> write_volume(engine::KvEngine& engine, const format::Volume& volume) {
  TRY_ASSIGN(const auto load, engine.get(nullptr, format::load_key()));
  if (!load) {  // an attempt whose reply was lost
    TRY_ASSIGN(const auto there, engine.get(nullptr, format::format_record_key()));
    return there && there->value == format::encode_volume(volume);
  }
  engine::Batch batch(volume.epoch << kStampSequenceBits);
  batch.insert(format::format_record_key(), format::encode_volume(volume));
  batch.erase(format::load_key(), load->stamp);
  TRY_ASSIGN(const engine::CommitResult result, engine.commit(batch));
  return result.kind == engine::CommitResult::Kind::kCommitted;
}

Status verify(engine::KvEngine& engine, const format::DumpTotals& told) {
  Tally tally;
  TRY(check_letters(engine));
  TRY(each_travelling(engine, [&](const engine::Item& item) -> Status {
    tally.add(item.key, item.stamp, item.value);
    return {};
  }));
  const format::DumpTotals found = tally.finish();
  if (found == told) return {};
  return error(EIO,
               "the engine does not hold what was loaded into it: {}; load it "
               "again with --start-over",
               difference(found, told));
}

}  // namespace

Status check_no_load(engine::KvEngine& engine) {
  TRY_ASSIGN(const auto found, engine.get(nullptr, format::load_key()));
  if (!found) return {};
  TRY_ASSIGN(const format::LoadRecord load, format::decode_load(found->value));
  return error(EINPROGRESS,
               "the load of volume '{}' ({}) from dump {} is not finished here; run shoal load "
               "with that dump again to go on, or another one with --start-over",
               load.name, load.volume.to_string(), load.dump.to_string());
}

Result<LoadReport> load(engine::KvEngine& engine, DumpReader& reader, Random& random,
                        const LoadOptions& options) {
  const format::DumpHeader& header = reader.header();
  LoadReport report;
  report.volume = header.volume;
  report.volume.epoch += 1;
  report.volume.lineage_before = header.volume.lineage;
  report.volume.lineage = random.u64();
  report.volume.moved.reset();

  TRY_ASSIGN(const auto taken, engine.get(nullptr, format::format_record_key()));
  if (taken) {
    TRY_ASSIGN(const format::Volume volume, format::decode_volume(taken->value));
    return error(EEXIST,
                 "there is a volume already ('{}', {}); load into a place that holds nothing",
                 volume.name, volume.uuid.to_string());
  }
  TRY_ASSIGN(LoadWriter writer, LoadWriter::begin(engine, header, options.ingest_bytes));
  report.chunks_before = writer.done();

  Tally tally;
  for (;;) {
    TRY_ASSIGN(std::optional<DumpedChunk> chunk, reader.next());
    if (!chunk) break;
    for (const format::DumpItem& item : chunk->items) {
      if (!travels(item.key)) {
        return error(ENOTSUP,
                     "the dump holds keys that begin with {:#04x}: made by a newer shoal; use "
                     "that one",
                     static_cast<unsigned char>(item.key[0]));
      }
      tally.add(item.key, item.stamp, item.value);
      if (options.progress && tally.keys() % kProgressKeys == 0) options.progress(tally.keys());
    }
    TRY(writer.add(std::move(*chunk)));
  }
  TRY(writer.flush());
  report.footer = reader.footer();
  const format::DumpTotals read = tally.finish();
  if (read != report.footer.totals) {
    return error(EBADMSG, "the dump is not what its footer says: {}; make a new one",
                 difference(read, report.footer.totals));
  }
  TRY(verify(engine, report.footer.totals));
  for (int tries = 0;; ++tries) {
    TRY_ASSIGN(const bool written, write_volume(engine, report.volume));
    if (written) break;
    if (tries == kTriesMax)
      return error(EIO, "the volume's record could not be written; load it again to go on");
  }
  TRY(engine.sync());
  return report;
}

}  // namespace shoal::meta
