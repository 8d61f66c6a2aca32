#include "engine/group_commit.h"

#include <algorithm>

#include "engine/groups.h"
#include "engine/rules.h"

namespace shoal::engine {
namespace {

class GroupCommitEngine final : public GroupCommit {
 public:
  GroupCommitEngine(KvEngine& under, Executor& executor, GroupOptions options)
      : under_(under), groups_(std::make_shared<Groups>(under, executor, std::move(options))) {}
  ~GroupCommitEngine() override { groups_->stop("the engine is closed"); }

  std::unique_ptr<ReadToken> read_token() override {
    sync().ignore("reads with the token tell");
    return under_.read_token();
  }
  Result<std::optional<Versioned>> get(const ReadToken* token, std::string_view key) override;
  Result<std::vector<std::optional<Versioned>>> get_many(
      const ReadToken* token, const std::vector<std::string>& keys) override;
  Result<Page> scan(const ReadToken* token, std::string_view begin, std::string_view end,
                    size_t limit) override;
  Result<std::optional<Item>> last(const ReadToken* token, std::string_view begin,
                                   std::string_view end) override;
  Result<CommitResult> commit(const Batch& batch) override;
  Status sync() override;
  Status ingest(const std::vector<Item>& items) override {
    TRY(sync());
    return under_.ingest(items);
  }
  Capabilities capabilities() const override {
    Capabilities capabilities = under_.capabilities();
    capabilities.durable_on_commit = false;
    return capabilities;
  }
  std::string describe() const override { return under_.describe(); }
  Result<uint64_t> disk_bytes() override { return under_.disk_bytes(); }
  void when_durable(std::function<void(Status)> done) override {
    groups_->when_durable(std::move(done));
  }
  void begin_operation() override { groups_->begin_operation(); }
  uint64_t end_operation(std::string note) override {
    return groups_->end_operation(std::move(note));
  }
  void forget_note(uint64_t n) override { groups_->forget_note(n); }
  void stop(const std::string& why) override { groups_->stop(why); }
  bool broken() const override { return !groups_->healthy().ok(); }
  std::string trouble() const override { return groups_->trouble(); }

 private:
  using Views = std::map<std::string, Pending::View>;
  // The views of a range and a hold when what is underneath has to be read together with them.
  Views views(std::string_view begin, std::string_view end,
              std::optional<Groups::Hold>& hold) const;

  // While the engine cannot be reached, a reader waits as a writer does: until it can, or stop().
  template <typename Read>
  auto patiently(const Read& read) -> decltype(read()) {
    for (;;) {
      auto result = read();
      if (result.ok() || !is_away(result.code())) return result;
      TRY(groups_->wait_for_engine(result.error().text()));
    }
  }
  static bool is_away(int code) {
    return code == ENOTCONN || code == ETIMEDOUT || code == ECONNRESET;
  }

  KvEngine& under_;
  const std::shared_ptr<Groups> groups_;
};

Result<CommitResult> GroupCommitEngine::commit(const Batch& batch) {
  TRY(check_batch(batch));
  if (batch.bytes() > kGroupBatchBytesMax)
    return error(E2BIG, "a batch of {} bytes; at most {}", batch.bytes(), kGroupBatchBytesMax);
  if (batch.empty()) return CommitResult{};
  return groups_->accept(batch);
}

Status GroupCommitEngine::sync() {
  struct Waiting {
    Mutex mutex;
    CondVar told;
    std::optional<Status> status;
  };
  groups_->leave_group();
  const auto waiting = std::make_shared<Waiting>();
  groups_->when_durable([waiting](Status status) {
    MutexLock lock(waiting->mutex);
    waiting->status = std::move(status);
    waiting->told.notify_all();
  });
  MutexLock lock(waiting->mutex);
  while (!waiting->status) waiting->told.wait(waiting->mutex);
  TRY(*waiting->status);
  lock.unlock();
  return under_.capabilities().durable_on_commit ? Status() : under_.sync();
}

Result<std::optional<Versioned>> GroupCommitEngine::get(const ReadToken* token,
                                                        std::string_view key) {
  TRY(groups_->healthy());
  if (token != nullptr) return under_.get(token, key);
  std::optional<Pending::View> view = groups_->view(key);
  if (!view) return patiently([&] { return under_.get(nullptr, key); });
  if (view->known) return view->state;
  const Groups::Hold hold(*groups_);
  view = groups_->view(key);
  TRY_ASSIGN(std::optional<Versioned> under, patiently([&] { return under_.get(nullptr, key); }));
  return view ? over(*view, std::move(under)) : std::move(under);
}

Result<std::vector<std::optional<Versioned>>> GroupCommitEngine::get_many(
    const ReadToken* token, const std::vector<std::string>& keys) {
  TRY(groups_->healthy());
  if (token != nullptr) return under_.get_many(token, keys);
  std::vector<std::optional<Versioned>> found(keys.size());
  std::vector<std::string> missing;
  std::vector<size_t> places;
  for (size_t i = 0; i < keys.size(); ++i) {
    std::optional<Pending::View> view = groups_->view(keys[i]);
    if (view && view->known) {
      found[i] = std::move(view->state);
    } else if (view) {
      TRY_ASSIGN(found[i], get(nullptr, keys[i]));
    } else {
      missing.push_back(keys[i]);
      places.push_back(i);
    }
  }
  if (missing.empty()) return found;
  TRY_ASSIGN(auto under, patiently([&] { return under_.get_many(nullptr, missing); }));
  for (size_t i = 0; i < places.size(); ++i) found[places[i]] = std::move(under[i]);
  return found;
}

GroupCommitEngine::Views GroupCommitEngine::views(std::string_view begin, std::string_view end,
                                                  std::optional<Groups::Hold>& hold) const {
  Views views = groups_->views(begin, end);
  const bool all_known =
      std::all_of(views.begin(), views.end(), [](const auto& entry) { return entry.second.known; });
  if (all_known) return views;
  hold.emplace(*groups_);
  return groups_->views(begin, end);
}

Result<Page> GroupCommitEngine::scan(const ReadToken* token, std::string_view begin,
                                     std::string_view end, size_t limit) {
  TRY(groups_->healthy());
  TRY(check_scan_limit(limit));
  if (token != nullptr) return under_.scan(token, begin, end, limit);
  if (!end.empty() && begin >= end) return Page{};
  Page page;
  std::string from(begin);
  for (;;) {
    std::optional<Groups::Hold> hold;
    const Views views = this->views(from, end, hold);
    TRY_ASSIGN(Page under, patiently([&] { return under_.scan(nullptr, from, end, limit); }));
    // Beyond the last key underneath nothing is known when there are more.
    const std::string known_to = under.more ? under.items.back().key : std::string();
    auto view = views.begin();
    const auto stop = under.more ? views.upper_bound(known_to) : views.end();
    auto item = under.items.begin();
    while (item != under.items.end() || view != stop) {
      const bool both = item != under.items.end() && view != stop && item->key == view->first;
      const bool from_view =
          view != stop && (item == under.items.end() || view->first <= item->key);
      std::optional<Item> next;
      if (from_view) {
        std::optional<Versioned> base;
        if (both) base = Versioned{item->stamp, std::move(item->value)};
        if (auto state = over(view->second, std::move(base)))
          next = Item{view->first, state->stamp, std::move(state->value)};
        ++view;
        if (both) ++item;
      } else {
        next = std::move(*item++);
      }
      if (!next) continue;
      if (page.items.size() == limit) {
        page.more = true;
        return page;
      }
      page.items.push_back(*std::move(next));
    }
    if (!under.more) return page;
    from = known_to + '\0';
  }
}

Result<std::optional<Item>> GroupCommitEngine::last(const ReadToken* token, std::string_view begin,
                                                    std::string_view end) {
  TRY(groups_->healthy());
  if (token != nullptr) return under_.last(token, begin, end);
  if (!end.empty() && begin >= end) return std::optional<Item>();
  std::optional<Groups::Hold> hold;
  const Views views = this->views(begin, end, hold);
  std::optional<Item> best;
  for (auto view = views.rbegin(); view != views.rend() && !best; ++view) {
    std::optional<Versioned> base;
    if (!view->second.known) {
      TRY_ASSIGN(base, patiently([&] { return under_.get(nullptr, view->first); }));
    }
    if (auto state = over(view->second, std::move(base)))
      best = Item{view->first, state->stamp, std::move(state->value)};
  }
  std::string before(end);
  for (;;) {
    TRY_ASSIGN(std::optional<Item> under,
               patiently([&] { return under_.last(nullptr, begin, before); }));
    if (!under || (best && under->key <= best->key)) return best;
    if (!views.contains(under->key)) return under;
    before = std::move(under->key);  // removed here: `best` would be it otherwise
    if (before <= begin) return best;
  }
}

}  // namespace

std::unique_ptr<GroupCommit> make_group_commit(KvEngine& under, Executor& executor,
                                               GroupOptions options) {
  return std::make_unique<GroupCommitEngine>(under, executor, std::move(options));
}

}  // namespace shoal::engine
