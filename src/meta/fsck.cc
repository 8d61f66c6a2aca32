#include "meta/fsck.h"

#include "engine/for_each.h"
#include "format/keys.h"
#include "meta/change.h"
#include "meta/fsck_state.h"

namespace shoal::meta {
namespace {

constexpr size_t kProblemsMax = 1'000;
constexpr uint64_t kProgressKeys = 100'000;
constexpr std::string_view kKnownLetters = "IDEXALBWROGSNHKQUTZYCFVP";

}  // namespace

Status FsckState::each(std::string_view prefix,
                       const std::function<Status(const engine::Item&)>& visit) {
  return engine::for_each_with(engine, token.get(), prefix,
                               [&](const engine::Item& item) -> Result<engine::Visit> {
                                 TRY(visit(item));
                                 if (++keys_read_ % kProgressKeys == 0 && options.progress)
                                   options.progress(keys_read_);
                                 return engine::Visit::kContinue;
                               });
}

void FsckState::add(FsckProblem found) {
  ++report.problems_total;
  if (report.problems.size() < kProblemsMax) report.problems.push_back(std::move(found));
}

void FsckState::repairable(std::string what, std::string key, std::optional<std::string> value) {
  add({std::move(what), false, true});
  repairs_.push_back({std::move(key), std::move(value), report.problems.size() - 1});
}

Status FsckState::repair() {
  if (!options.repair || repairs_.empty()) return {};
  // Blind writes: nobody else has the engine. The stamp is the greatest of an epoch nobody took.
  TRY_ASSIGN(const auto record, engine.get(nullptr, format::format_record_key()));
  if (!record) return error(ENOENT, "the volume's format record is gone; nothing can be repaired");
  const uint64_t epoch = record->stamp >> kStampSequenceBits;
  uint64_t sequence = (uint64_t{1} << kStampSequenceBits) - 1 - repairs_.size();
  for (const Repair& one : repairs_) {
    engine::Batch batch(epoch << kStampSequenceBits | sequence++);
    if (one.value) {
      batch.put(one.key, *one.value);
    } else {
      batch.remove(one.key);
    }
    TRY_ASSIGN(const engine::CommitResult result, engine.commit(batch));
    if (result.kind != engine::CommitResult::Kind::kCommitted)
      return error(EIO, "a repair was not committed");
    report.problems[one.problem].repaired = true;
  }
  return engine.sync();
}

Status fsck_usage(FsckState& state) {
  int64_t expected[kUsageSlots] = {};
  for (const auto& [ino, inode] : state.inodes) {
    expected[kUsedBytes] += static_cast<int64_t>(inode.allocated);
    expected[kInodes] += 1;
    if ((inode.flags & format::kFlagTrashed) == 0) continue;
    expected[kTrashBytes] += static_cast<int64_t>(inode.allocated);
    expected[kTrashInodes] += 1;
  }
  static constexpr const char* kNames[] = {"bytes", "inodes", "trash bytes", "trash inodes"};
  for (uint16_t slot = 0; slot < kUsageSlots; ++slot) {
    const std::string key = format::usage_key(0, slot);
    TRY_ASSIGN(const int64_t value, engine::read_counter(state.engine, state.token.get(), key));
    if (value == expected[slot]) continue;
    state.repairable(
        fmt::format("usage of {} is {}, counted {}", kNames[slot], value, expected[slot]), key,
        engine::encode_counter(expected[slot]));
  }
  // Letters that this version does not know, by hopping from one to the next.
  std::string begin;
  for (;;) {
    TRY_ASSIGN(const engine::Page page, state.engine.scan(state.token.get(), begin, "", 1));
    if (page.items.empty()) return {};
    const std::string letter = page.items.front().key.substr(0, 1);
    if (kKnownLetters.find(letter[0]) == std::string_view::npos) {
      state.problem(fmt::format("keys that begin with {:#04x} are unknown",
                                static_cast<unsigned char>(letter[0])));
    }
    begin = engine::prefix_end(letter);
    if (begin.empty()) return {};
  }
}

Result<FsckReport> fsck(engine::KvEngine& engine, const FsckOptions& options) {
  FsckState state(engine, options);
  state.token = engine.read_token();
  TRY_ASSIGN(const auto volume, engine.get(state.token.get(), format::format_record_key()));
  if (!volume) return error(ENOENT, "the engine holds no volume");
  TRY(format::decode_volume(volume->value));
  TRY(fsck_inodes(state));
  TRY(fsck_waiting(state));
  TRY(fsck_data(state));
  TRY(fsck_names(state));
  TRY(fsck_usage(state));
  state.token.reset();
  TRY(state.repair());
  return std::move(state.report);
}

}  // namespace shoal::meta
