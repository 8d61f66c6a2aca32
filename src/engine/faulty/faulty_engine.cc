#include "engine/faulty/faulty_engine.h"

#include <atomic>

namespace shoal::engine {
namespace {

class FaultyEngine final : public KvEngine {
 public:
  FaultyEngine(KvEngine& under, std::function<Fault(Call, uint64_t)> decide)
      : under_(under), decide_(std::move(decide)) {}

  std::unique_ptr<ReadToken> read_token() override { return under_.read_token(); }

  Result<std::optional<Versioned>> get(const ReadToken* token, std::string_view key) override {
    TRY(before(Call::kGet));
    return under_.get(token, key);
  }

  Result<std::vector<std::optional<Versioned>>> get_many(
      const ReadToken* token, const std::vector<std::string>& keys) override {
    TRY(before(Call::kGet));
    return under_.get_many(token, keys);
  }

  Result<Page> scan(const ReadToken* token, std::string_view begin, std::string_view end,
                    size_t limit) override {
    TRY(before(Call::kScan));
    return under_.scan(token, begin, end, limit);
  }

  Result<std::optional<Item>> last(const ReadToken* token, std::string_view begin,
                                   std::string_view end) override {
    TRY(before(Call::kScan));
    return under_.last(token, begin, end);
  }

  Result<CommitResult> commit(const Batch& batch) override;

  Status sync() override {
    if (Status status = before(Call::kSync); !status.ok()) {
      dead_ = true;
      return status;
    }
    return under_.sync();
  }

  Status ingest(const std::vector<Item>& items) override {
    TRY(before(Call::kCommit));
    return under_.ingest(items);
  }

  Capabilities capabilities() const override { return under_.capabilities(); }
  std::string describe() const override { return "faulty over " + under_.describe(); }
  Result<uint64_t> disk_bytes() override { return under_.disk_bytes(); }

 private:
  Result<Fault> next(Call call) {
    if (dead_) return error(EIO, "injected: a sync failed before");
    return decide_(call, calls_.fetch_add(1));
  }
  // For calls that can only fail outright.
  Status before(Call call) {
    TRY_ASSIGN(const Fault fault, next(call));
    if (fault == Fault::kError) return error(EIO, "injected");
    return {};
  }

  KvEngine& under_;
  const std::function<Fault(Call, uint64_t)> decide_;
  std::atomic<uint64_t> calls_ = 0;
  std::atomic<bool> dead_ = false;
};

Result<CommitResult> FaultyEngine::commit(const Batch& batch) {
  TRY_ASSIGN(const Fault fault, next(Call::kCommit));
  switch (fault) {
    case Fault::kNone:
      break;
    case Fault::kError:
      return error(EIO, "injected");
    case Fault::kConflict:
      // A batch that expects nothing of any key can not conflict in life either.
      if (batch.empty()) break;
      return CommitResult{CommitResult::Kind::kConflict, {batch.writes().front().key}};
    case Fault::kUnknownApplied: {
      // Only the reply is lost: what the engine refuses has no effect either way.
      TRY_ASSIGN([[maybe_unused]] const CommitResult lost, under_.commit(batch));
      return CommitResult{CommitResult::Kind::kUnknown, {}};
    }
    case Fault::kUnknownDropped:
      return CommitResult{CommitResult::Kind::kUnknown, {}};
  }
  return under_.commit(batch);
}

}  // namespace

std::unique_ptr<KvEngine> make_faulty_engine(KvEngine& under,
                                             std::function<Fault(Call, uint64_t)> decide) {
  return std::make_unique<FaultyEngine>(under, std::move(decide));
}

}  // namespace shoal::engine
