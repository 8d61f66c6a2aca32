#include "engine/group_commit.h"

#include <algorithm>

#include "base/log.h"
#include "engine/pending.h"
#include "engine/rules.h"
#include "sys/mutex.h"

namespace shoal::engine {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstRetry{10};
constexpr milliseconds kLastRetry{1'000};

// Shared with the tasks that send, which may outlive the engine by one wake-up.
class Groups : public std::enable_shared_from_this<Groups> {
 public:
  Groups(KvEngine& under, Executor& executor, GroupOptions options)
      : under_(under), executor_(executor), options_(std::move(options)), next_(options_.next) {}

  Result<CommitResult> accept(const Batch& batch);
  void when_durable(std::function<void(Status)> done);
  void stop(const std::string& why);
  std::string trouble() const;

  std::optional<Pending::View> view(std::string_view key) const;
  std::map<std::string, Pending::View> views(std::string_view begin, std::string_view end) const;
  Status healthy() const;

  // While one lives no group is under way: what is underneath and what is pending are one state.
  class Hold {
   public:
    explicit Hold(Groups& groups);
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    Groups& groups_;
  };

 private:
  struct Waiter {
    uint64_t last = 0;
    std::function<void(Status)> done;
  };
  enum class Sent { kDone, kAgain, kBroken };

  void run();  // a task: sends groups until there are none, or one has to wait
  std::shared_ptr<Group> begin_sending();
  Batch batch_of(const Group& group) const;
  Sent send(Group& group, std::string& why);
  void sent(Sent outcome, const Group& group, const std::string& why);
  Status broken_error() const REQUIRES(mutex_);
  std::vector<Waiter> take_waiters() REQUIRES(mutex_);

  KvEngine& under_;
  Executor& executor_;
  const GroupOptions options_;
  mutable Mutex mutex_;
  CondVar changed_;
  Pending pending_ GUARDED_BY(mutex_);
  uint64_t next_ GUARDED_BY(mutex_);  // n of the group that goes next
  uint64_t accepted_ GUARDED_BY(mutex_) = 0;
  uint64_t durable_ GUARDED_BY(mutex_) = 0;
  unsigned holds_ GUARDED_BY(mutex_) = 0;
  bool scheduled_ GUARDED_BY(mutex_) = false;  // a task will send
  bool sending_ GUARDED_BY(mutex_) = false;    // a task uses `under_`, or a group is doubtful
  bool calling_ GUARDED_BY(mutex_) = false;    // a task uses `under_`
  std::string broken_ GUARDED_BY(mutex_);
  std::string trouble_ GUARDED_BY(mutex_);
  std::vector<Waiter> waiters_ GUARDED_BY(mutex_);  // ascending
};

Status Groups::broken_error() const {
  return broken_.empty() ? Status() : Status(error(EIO, "{}", broken_));
}

Status Groups::healthy() const {
  MutexLock lock(mutex_);
  return broken_error();
}

std::string Groups::trouble() const {
  MutexLock lock(mutex_);
  return broken_.empty() ? trouble_ : broken_;
}

std::optional<Pending::View> Groups::view(std::string_view key) const {
  MutexLock lock(mutex_);
  return pending_.view(key);
}

std::map<std::string, Pending::View> Groups::views(std::string_view begin,
                                                   std::string_view end) const {
  MutexLock lock(mutex_);
  return pending_.views(begin, end);
}

Groups::Hold::Hold(Groups& groups) : groups_(groups) {
  MutexLock lock(groups_.mutex_);
  while (groups_.sending_ && groups_.broken_.empty()) groups_.changed_.wait(groups_.mutex_);
  ++groups_.holds_;
}

Groups::Hold::~Hold() {
  MutexLock lock(groups_.mutex_);
  if (--groups_.holds_ == 0) groups_.changed_.notify_all();
}

Result<CommitResult> Groups::accept(const Batch& batch) {
  MutexLock lock(mutex_);
  for (;;) {
    TRY(broken_error());
    std::vector<std::string> wrong = pending_.conflicts(batch);
    if (!wrong.empty()) return CommitResult{CommitResult::Kind::kConflict, std::move(wrong)};
    auto& groups = pending_.groups();
    const bool open = !groups.empty() && !groups.back()->sent;
    if (open && groups.back()->fold.add(batch, kGroupBatchBytesMax)) break;
    if (groups.size() < kGroupsMax) {
      groups.push_back(std::make_shared<Group>());
      CHECK(groups.back()->fold.add(batch, kGroupBatchBytesMax));
      break;
    }
    changed_.wait(mutex_);
  }
  Group& group = *pending_.groups().back();
  group.last = ++accepted_;
  group.stamp = batch.stamp();
  if (scheduled_) return CommitResult{};
  scheduled_ = true;
  lock.unlock();
  executor_.post([self = shared_from_this()] { self->run(); });
  return CommitResult{};
}

// nullptr: there is nothing to do.
std::shared_ptr<Group> Groups::begin_sending() {
  MutexLock lock(mutex_);
  while (holds_ > 0 && broken_.empty()) changed_.wait(mutex_);
  if (!broken_.empty() || pending_.groups().empty()) {
    scheduled_ = false;
    return nullptr;
  }
  const std::shared_ptr<Group> group = pending_.groups().front();
  group->number = next_;
  group->sent = sending_ = calling_ = true;
  return group;
}

void Groups::run() {
  while (const std::shared_ptr<Group> group = begin_sending()) {
    std::string why;
    const Sent outcome = send(*group, why);
    sent(outcome, *group, why);
    if (outcome != Sent::kAgain) continue;
    const auto delay = std::min(kLastRetry, kFirstRetry * (1 << std::min(group->tries, 10u)));
    executor_.post_after(delay, [self = shared_from_this()] { self->run(); });
    return;
  }
}

Batch Groups::batch_of(const Group& group) const {
  Batch batch(group.stamp);
  for (const auto& [key, write] : group.fold.writes()) batch.add(write);
  batch.insert(options_.key_of(group.number), {});
  if (group.number > options_.next) batch.remove(options_.key_of(group.number - 1));
  return batch;
}

Groups::Sent Groups::send(Group& group, std::string& why) {
  ++group.tries;
  const Result<CommitResult> result = under_.commit(batch_of(group));
  if (!result.ok()) {
    why = result.error().text();
    const bool hopeless = result.code() == EINVAL || result.code() == E2BIG;
    return hopeless ? Sent::kBroken : Sent::kAgain;
  }
  if (result->kind == CommitResult::Kind::kCommitted) return Sent::kDone;
  if (result->kind == CommitResult::Kind::kUnknown) {
    group.doubtful = true;
    why = "the outcome of a commit is unknown";
    return Sent::kAgain;
  }
  const std::vector<std::string>& keys = result->conflicts;
  const bool there =
      std::find(keys.begin(), keys.end(), options_.key_of(group.number)) != keys.end();
  if (there && group.doubtful) return Sent::kDone;
  why = fmt::format("key {} is not what this owner wrote: a second owner, or a fault of ours",
                    keys.empty() ? "?" : to_hex(as_bytes(keys.front())));
  return Sent::kBroken;
}

void Groups::sent(Sent outcome, const Group& group, const std::string& why) {
  std::vector<Waiter> told;
  Status status;
  {
    MutexLock lock(mutex_);
    calling_ = false;
    switch (outcome) {
      case Sent::kDone:
        ++next_;
        durable_ = group.last;
        sending_ = false;
        trouble_.clear();
        if (!pending_.groups().empty()) pending_.groups().pop_front();
        break;
      case Sent::kAgain:
        sending_ = group.doubtful;  // else all is known, and reads need not wait
        if (trouble_.empty()) log(LogLevel::kWarn, "{}: {}; trying again", under_.describe(), why);
        trouble_ = why;
        break;
      case Sent::kBroken:
        sending_ = false;
        if (broken_.empty()) broken_ = why;
        break;
    }
    told = take_waiters();
    status = broken_error();
    changed_.notify_all();
  }
  for (const Waiter& waiter : told) {
    const bool durable = outcome == Sent::kDone && waiter.last <= group.last;
    waiter.done(durable ? Status() : status);
  }
}

std::vector<Groups::Waiter> Groups::take_waiters() {
  auto end = waiters_.begin();
  while (end != waiters_.end() && (!broken_.empty() || end->last <= durable_)) ++end;
  std::vector<Waiter> told(std::make_move_iterator(waiters_.begin()), std::make_move_iterator(end));
  waiters_.erase(waiters_.begin(), end);
  return told;
}

void Groups::when_durable(std::function<void(Status)> done) {
  Status status;
  {
    MutexLock lock(mutex_);
    status = broken_error();
    if (status.ok() && durable_ < accepted_) {
      waiters_.push_back({accepted_, std::move(done)});
      return;
    }
  }
  done(status);
}

void Groups::stop(const std::string& why) {
  std::vector<Waiter> told;
  {
    MutexLock lock(mutex_);
    if (broken_.empty()) broken_ = why;
    changed_.notify_all();
    while (calling_) changed_.wait(mutex_);
    told = take_waiters();
  }
  for (const Waiter& waiter : told) waiter.done(error(EIO, "{}", why));
}

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
  void stop(const std::string& why) override { groups_->stop(why); }
  bool broken() const override { return !groups_->healthy().ok(); }
  std::string trouble() const override { return groups_->trouble(); }

 private:
  using Views = std::map<std::string, Pending::View>;
  // The views of a range and a hold when what is underneath has to be read together with them.
  Views views(std::string_view begin, std::string_view end,
              std::optional<Groups::Hold>& hold) const;

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
  const auto waiting = std::make_shared<Waiting>();
  groups_->when_durable([waiting](Status status) {
    MutexLock lock(waiting->mutex);
    waiting->status = std::move(status);
    waiting->told.notify_all();
  });
  MutexLock lock(waiting->mutex);
  while (!waiting->status) waiting->told.wait(waiting->mutex);
  return *waiting->status;
}

Result<std::optional<Versioned>> GroupCommitEngine::get(const ReadToken* token,
                                                        std::string_view key) {
  TRY(groups_->healthy());
  if (token != nullptr) return under_.get(token, key);
  std::optional<Pending::View> view = groups_->view(key);
  if (!view) return under_.get(nullptr, key);
  if (view->known) return view->state;
  const Groups::Hold hold(*groups_);
  view = groups_->view(key);
  TRY_ASSIGN(std::optional<Versioned> under, under_.get(nullptr, key));
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
  TRY_ASSIGN(auto under, under_.get_many(nullptr, missing));
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
    TRY_ASSIGN(Page under, under_.scan(nullptr, from, end, limit));
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
      TRY_ASSIGN(base, under_.get(nullptr, view->first));
    }
    if (auto state = over(view->second, std::move(base)))
      best = Item{view->first, state->stamp, std::move(state->value)};
  }
  std::string before(end);
  for (;;) {
    TRY_ASSIGN(std::optional<Item> under, under_.last(nullptr, begin, before));
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
