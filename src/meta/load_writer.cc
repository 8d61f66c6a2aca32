#include "meta/load_writer.h"

#include "base/check.h"
#include "base/limits.h"
#include "format/keys.h"

namespace shoal::meta {
namespace {

constexpr size_t kBatchBytes = kBatchBytesMax / 2;  // a chunk more still fits
constexpr int kTriesMax = 10;
constexpr uint64_t kStampsOfLoad = uint64_t{1} << 32;  // sequences that no owner of the epoch draws

size_t cost(const engine::Item& item) { return item.key.size() + item.value.size() + 16; }

Status check_empty(engine::KvEngine& engine) {
  TRY_ASSIGN(const engine::Page page, engine.scan(nullptr, "", "", 1));
  if (page.items.empty()) return {};
  return error(EEXIST, "{} holds keys already, and they are no volume; load into an empty place",
               engine.describe());
}

}  // namespace

LoadWriter::LoadWriter(engine::KvEngine& engine, const format::DumpHeader& header,
                       size_t ingest_bytes)
    : engine_(engine),
      bulk_(engine.capabilities().bulk_ingest),
      ingest_bytes_(ingest_bytes),
      stamps_(((header.volume.epoch + 1) << kStampSequenceBits) + kStampsOfLoad),
      record_{header.id, header.volume.uuid, header.volume.name, 0} {}

Result<LoadWriter> LoadWriter::begin(engine::KvEngine& engine, const format::DumpHeader& header,
                                     size_t ingest_bytes) {
  LoadWriter writer(engine, header, ingest_bytes);
  for (int tries = 0;; ++tries) {
    TRY_ASSIGN(const auto found, engine.get(nullptr, format::load_key()));
    if (found) {
      TRY_ASSIGN(const format::LoadRecord record, format::decode_load(found->value));
      if (record.dump != header.id) {
        return error(EEXIST,
                     "the load of volume '{}' from another dump ({}) is not finished here; go on "
                     "with that one, or give it up with --start-over",
                     record.name, record.dump.to_string());
      }
      writer.record_ = record;
      writer.record_value_ = found->value;
      writer.record_stamp_ = found->stamp;
      return writer;
    }
    if (tries == kTriesMax) return error(EIO, "{} takes no writes; try again", engine.describe());
    TRY(check_empty(engine));
    engine::Batch batch(writer.stamps_);
    batch.insert(format::load_key(), format::encode_load(writer.record_));
    TRY(engine.commit(batch));  // whatever came of it, the next look tells
  }
}

Status LoadWriter::add(DumpedChunk chunk) {
  if (chunk.number <= record_.chunks) return {};
  CHECK(chunk.number == std::max(last_chunk_, record_.chunks) + 1);
  last_chunk_ = chunk.number;
  for (format::DumpItem& item : chunk.items) {
    const bool counter = item.stamp == 0;
    engine::Item own{std::move(item.key), item.stamp, std::move(item.value)};
    if (counter) TRY(engine::decode_counter(own.value));
    (counter ? counters_bytes_ : items_bytes_) += cost(own);
    (counter ? counters_ : items_).push_back(std::move(own));
  }
  const bool full = bulk_ ? items_bytes_ >= ingest_bytes_ || counters_bytes_ >= kBatchBytes : true;
  return full ? flush() : Status();
}

Status LoadWriter::flush() {
  if (last_chunk_ <= record_.chunks) return {};
  if (bulk_) {
    TRY(ingest());
    items_.clear();
  }
  TRY(commit());
  items_.clear();
  counters_.clear();
  items_bytes_ = counters_bytes_ = 0;
  return {};
}

Status LoadWriter::ingest() {
  if (items_.empty()) return {};
  const Status ingested = engine_.ingest(items_);
  if (ingested.ok() || !ingested.error().is(EEXIST)) return ingested;
  TRY(drop_ingested());
  return items_.empty() ? Status() : engine_.ingest(items_);
}

// An earlier load was interrupted between its ingest and M. (It may have gathered fewer chunks.)
Status LoadWriter::drop_ingested() {
  std::vector<engine::Item> absent;
  for (size_t at = 0; at < items_.size(); at += kPageEntriesMax) {
    const size_t end = std::min(items_.size(), at + kPageEntriesMax);
    std::vector<std::string> keys;
    for (size_t i = at; i < end; ++i) keys.push_back(items_[i].key);
    TRY_ASSIGN(const auto found, engine_.get_many(nullptr, keys));
    for (size_t i = at; i < end; ++i) {
      const auto& there = found[i - at];
      if (!there) {
        absent.push_back(std::move(items_[i]));
        continue;
      }
      if (there->stamp == items_[i].stamp && there->value == items_[i].value) continue;
      return error(EEXIST,
                   "{} holds keys that this load did not put there; load "
                   "again with --start-over",
                   engine_.describe());
    }
  }
  items_ = std::move(absent);
  return {};
}

Result<bool> LoadWriter::attempt(const std::string& after) {
  engine::Batch batch(stamps_ + last_chunk_);
  for (const engine::Item& item : items_) {
    batch.add({engine::Write::Kind::kInsert, item.key, item.value, 0, item.stamp});
  }
  for (const engine::Item& item : counters_) {
    TRY_ASSIGN(const int64_t value, engine::decode_counter(item.value));
    batch.merge_add(item.key, value);
  }
  batch.update(format::load_key(), after, record_stamp_);
  TRY_ASSIGN(const engine::CommitResult result, engine_.commit(batch));
  return result.kind == engine::CommitResult::Kind::kCommitted;
}

Status LoadWriter::commit() {
  format::LoadRecord record = record_;
  record.chunks = last_chunk_;
  const std::string after = format::encode_load(record);
  for (int tries = 0;; ++tries) {
    TRY_ASSIGN(bool committed, attempt(after));
    if (!committed) {  // it may have happened all the same
      TRY_ASSIGN(const auto found, engine_.get(nullptr, format::load_key()));
      committed = found && found->value == after;
      if (!committed && (!found || found->value != record_value_)) {
        return error(EBUSY, "another process loads into {} at the same time; let one do it",
                     engine_.describe());
      }
    }
    if (committed) break;
    if (tries == kTriesMax)
      return error(EIO, "{} takes no writes; run the load again to go on", engine_.describe());
  }
  record_ = std::move(record);
  record_value_ = after;
  record_stamp_ = stamps_ + last_chunk_;
  return {};
}

}  // namespace shoal::meta
