// A std::map of version chains. A chain holds the newest version and those older ones that a live
// token can still see, so a token costs nothing but the versions written over while it lives. One
// lock: commits exclude everything, reads share.
#include "engine/memory/memory_engine.h"

#include <map>
#include <set>

#include "engine/rules.h"
#include "sys/mutex.h"

namespace shoal::engine {
namespace {

struct Version {
  uint64_t commit = 0;  // the number of the commit that wrote it
  bool present = false;
  Stamp stamp = 0;
  std::string value;
};

using Chain = std::vector<Version>;  // ascending by commit, never empty

class MemoryEngine final : public KvEngine {
 public:
  // A token must not outlive its engine.
  ~MemoryEngine() override { CHECK(live_tokens_.empty()); }

  std::unique_ptr<ReadToken> read_token() override;
  Result<std::optional<Versioned>> get(const ReadToken* token, std::string_view key) override;
  Result<std::vector<std::optional<Versioned>>> get_many(
      const ReadToken* token, const std::vector<std::string>& keys) override;
  Result<Page> scan(const ReadToken* token, std::string_view begin, std::string_view end,
                    size_t limit) override;
  Result<std::optional<Item>> last(const ReadToken* token, std::string_view begin,
                                   std::string_view end) override;
  Result<CommitResult> commit(const Batch& batch) override;
  Status sync() override { return {}; }
  Status ingest(const std::vector<Item>& items) override;
  Capabilities capabilities() const override {
    return {.native_merge = true, .durable_on_commit = false, .bulk_ingest = true};
  }
  std::string describe() const override { return "memory (nothing is durable)"; }
  Result<uint64_t> disk_bytes() override { return uint64_t{0}; }

 private:
  class Token;
  using Map = std::map<std::string, Chain, std::less<>>;

  Result<uint64_t> moment(const ReadToken* token) const REQUIRES_SHARED(mutex_);
  const Version* visible(const Chain& chain, uint64_t moment) const;
  const Version* find(std::string_view key, uint64_t moment) const REQUIRES_SHARED(mutex_);
  bool holds(const Write& write) const REQUIRES_SHARED(mutex_);
  void apply(const Write& write, Stamp stamp) REQUIRES(mutex_);
  void store(const std::string& key, Version version) REQUIRES(mutex_);
  void prune(Map::iterator at) REQUIRES(mutex_);
  void release(uint64_t moment);

  SharedMutex mutex_;
  Map map_ GUARDED_BY(mutex_);
  uint64_t commits_ GUARDED_BY(mutex_) = 0;
  std::multiset<uint64_t> live_tokens_ GUARDED_BY(mutex_);  // the moments they read at
  std::set<std::string> unpruned_ GUARDED_BY(mutex_);       // keys with versions only tokens see
};

class MemoryEngine::Token final : public ReadToken {
 public:
  Token(MemoryEngine& owner, uint64_t moment) : engine(owner), at(moment) {}
  ~Token() override { engine.release(at); }
  MemoryEngine& engine;
  const uint64_t at;
};

std::unique_ptr<ReadToken> MemoryEngine::read_token() {
  WriteLock lock(mutex_);
  live_tokens_.insert(commits_);
  return std::make_unique<Token>(*this, commits_);
}

void MemoryEngine::release(uint64_t moment) {
  WriteLock lock(mutex_);
  live_tokens_.erase(live_tokens_.find(moment));
  std::set<std::string> candidates;
  candidates.swap(unpruned_);
  for (const std::string& key : candidates) {
    const auto at = map_.find(key);
    if (at != map_.end()) prune(at);
  }
}

Result<uint64_t> MemoryEngine::moment(const ReadToken* token) const {
  if (token == nullptr) return commits_;
  const auto* own = dynamic_cast<const Token*>(token);
  if (own == nullptr || &own->engine != this)
    return error(EINVAL, "a read token of another engine");
  return own->at;
}

const Version* MemoryEngine::visible(const Chain& chain, uint64_t moment) const {
  for (auto version = chain.rbegin(); version != chain.rend(); ++version) {
    if (version->commit <= moment) return version->present ? &*version : nullptr;
  }
  return nullptr;
}

const Version* MemoryEngine::find(std::string_view key, uint64_t moment) const {
  const auto at = map_.find(key);
  return at == map_.end() ? nullptr : visible(at->second, moment);
}

Result<std::optional<Versioned>> MemoryEngine::get(const ReadToken* token, std::string_view key) {
  ReadLock lock(mutex_);
  TRY_ASSIGN(const uint64_t at, moment(token));
  const Version* version = find(key, at);
  if (version == nullptr) return std::optional<Versioned>();
  return std::optional<Versioned>({version->stamp, version->value});
}

Result<std::vector<std::optional<Versioned>>> MemoryEngine::get_many(
    const ReadToken* token, const std::vector<std::string>& keys) {
  ReadLock lock(mutex_);
  TRY_ASSIGN(const uint64_t at, moment(token));
  std::vector<std::optional<Versioned>> found(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    const Version* version = find(keys[i], at);
    if (version != nullptr) found[i] = Versioned{version->stamp, version->value};
  }
  return found;
}

Result<Page> MemoryEngine::scan(const ReadToken* token, std::string_view begin,
                                std::string_view end, size_t limit) {
  TRY(check_scan_limit(limit));
  ReadLock lock(mutex_);
  TRY_ASSIGN(const uint64_t at, moment(token));
  Page page;
  for (auto entry = map_.lower_bound(begin); entry != map_.end(); ++entry) {
    if (!end.empty() && entry->first >= end) break;
    const Version* version = visible(entry->second, at);
    if (version == nullptr) continue;
    if (page.items.size() == limit) {
      page.more = true;
      break;
    }
    page.items.push_back({entry->first, version->stamp, version->value});
  }
  return page;
}

Result<std::optional<Item>> MemoryEngine::last(const ReadToken* token, std::string_view begin,
                                               std::string_view end) {
  ReadLock lock(mutex_);
  TRY_ASSIGN(const uint64_t at, moment(token));
  auto entry = end.empty() ? map_.end() : map_.lower_bound(end);
  while (entry != map_.begin()) {
    --entry;
    if (entry->first < begin) break;
    const Version* version = visible(entry->second, at);
    if (version != nullptr) {
      return std::optional<Item>({entry->first, version->stamp, version->value});
    }
  }
  return std::optional<Item>();
}

bool MemoryEngine::holds(const Write& write) const {
  const Version* now = find(write.key, commits_);
  switch (write.kind) {
    case Write::Kind::kInsert:
      return now == nullptr;
    case Write::Kind::kUpdate:
    case Write::Kind::kErase:
    case Write::Kind::kCheck:
      return now != nullptr && now->stamp == write.expected;
    case Write::Kind::kPut:
    case Write::Kind::kRemove:
    case Write::Kind::kMergeAdd:
    case Write::Kind::kMergeMax:
      break;
  }
  return true;
}

Result<CommitResult> MemoryEngine::commit(const Batch& batch) {
  TRY(check_batch(batch));
  WriteLock lock(mutex_);
  CommitResult result;
  for (const Write& write : batch.writes()) {
    if (!holds(write)) result.conflicts.push_back(write.key);
  }
  if (!result.conflicts.empty()) {
    result.kind = CommitResult::Kind::kConflict;
    return result;
  }
  ++commits_;
  for (const Write& write : batch.writes()) apply(write, batch.stamp_of(write));
  return result;
}

void MemoryEngine::apply(const Write& write, Stamp stamp) {
  switch (write.kind) {
    case Write::Kind::kCheck:
      return;
    case Write::Kind::kInsert:
    case Write::Kind::kUpdate:
    case Write::Kind::kPut:
      return store(write.key, {commits_, true, stamp, write.value});
    case Write::Kind::kErase:
    case Write::Kind::kRemove:
      return store(write.key, {commits_, false, 0, {}});
    case Write::Kind::kMergeAdd:
    case Write::Kind::kMergeMax: {
      const Version* now = find(write.key, commits_);
      const std::string base = now == nullptr ? encode_counter(0) : now->value;
      std::string value = merged_value(write.kind, base, decode_counter(write.value).value());
      return store(write.key, {commits_, true, 0, std::move(value)});
    }
  }
}

void MemoryEngine::store(const std::string& key, Version version) {
  const auto at = map_.try_emplace(key).first;
  at->second.push_back(std::move(version));
  prune(at);
}

// Drops what neither the latest state nor a live token can see.
void MemoryEngine::prune(Map::iterator at) {
  Chain& chain = at->second;
  const uint64_t oldest = live_tokens_.empty() ? commits_ : *live_tokens_.begin();
  size_t first = chain.size() - 1;
  while (first > 0 && chain[first].commit > oldest) --first;
  chain.erase(chain.begin(), chain.begin() + static_cast<ptrdiff_t>(first));
  if (chain.size() > 1) {
    unpruned_.insert(at->first);
  } else if (!chain.front().present) {
    map_.erase(at);
  }
}

Status MemoryEngine::ingest(const std::vector<Item>& items) {
  TRY(check_ingest(items));
  WriteLock lock(mutex_);
  for (const Item& item : items) {
    if (find(item.key, commits_) != nullptr) {
      return error(EEXIST, "key {} of an ingest is there already", to_hex(as_bytes(item.key)));
    }
  }
  ++commits_;
  for (const Item& item : items) store(item.key, {commits_, true, item.stamp, item.value});
  return {};
}

}  // namespace

std::unique_ptr<KvEngine> make_memory_engine() { return std::make_unique<MemoryEngine>(); }

}  // namespace shoal::engine
