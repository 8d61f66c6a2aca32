#include "engine/postgres/testing/spread_engine.h"

#include <atomic>

namespace shoal::engine::postgres {
namespace {

class SpreadEngine final : public KvEngine {
 public:
  explicit SpreadEngine(std::vector<std::unique_ptr<PostgresEngine>> engines)
      : engines_(std::move(engines)) {}

  std::unique_ptr<ReadToken> read_token() override {
    KvEngine& engine = any();
    return std::make_unique<Token>(engine, engine.read_token());
  }
  Result<std::optional<Versioned>> get(const ReadToken* token, std::string_view key) override {
    return of(token).get(inner(token), key);
  }
  Result<std::vector<std::optional<Versioned>>> get_many(
      const ReadToken* token, const std::vector<std::string>& keys) override {
    return of(token).get_many(inner(token), keys);
  }
  Result<Page> scan(const ReadToken* token, std::string_view begin, std::string_view end,
                    size_t limit) override {
    return of(token).scan(inner(token), begin, end, limit);
  }
  Result<std::optional<Item>> last(const ReadToken* token, std::string_view begin,
                                   std::string_view end) override {
    return of(token).last(inner(token), begin, end);
  }
  Result<CommitResult> commit(const Batch& batch) override { return any().commit(batch); }
  Status sync() override { return any().sync(); }
  Status ingest(const std::vector<Item>& items) override { return any().ingest(items); }
  Capabilities capabilities() const override { return engines_[0]->capabilities(); }
  std::string describe() const override { return "spread over " + engines_[0]->describe(); }
  Result<uint64_t> disk_bytes() override { return any().disk_bytes(); }

 private:
  struct Token final : ReadToken {
    Token(KvEngine& e, std::unique_ptr<ReadToken> i) : engine(e), inner(std::move(i)) {}
    KvEngine& engine;
    const std::unique_ptr<ReadToken> inner;
  };

  KvEngine& any() { return *engines_[next_.fetch_add(1) % engines_.size()]; }
  KvEngine& of(const ReadToken* token) {
    return token == nullptr ? any() : static_cast<const Token*>(token)->engine;
  }
  static const ReadToken* inner(const ReadToken* token) {
    return token == nullptr ? nullptr : static_cast<const Token*>(token)->inner.get();
  }

  const std::vector<std::unique_ptr<PostgresEngine>> engines_;
  std::atomic<size_t> next_ = 0;
};

}  // namespace

std::unique_ptr<KvEngine> make_spread_engine(std::vector<std::unique_ptr<PostgresEngine>> engines) {
  return std::make_unique<SpreadEngine>(std::move(engines));
}

}  // namespace shoal::engine::postgres
