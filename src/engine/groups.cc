#include "engine/groups.h"

#include <algorithm>

#include "base/log.h"
#include "engine/rules.h"

namespace shoal::engine {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstRetry{10};
constexpr milliseconds kLastRetry{1'000};
constexpr milliseconds kReadRetry{200};
constexpr milliseconds kOpenOperationsMax{200};  // that a group waits for their notes

}  // namespace

thread_local Groups::Operation Groups::operation_;

std::string part_key(const std::string& key, uint32_t part) {
  if (part == 0) return key;
  std::string longer = key;
  longer += static_cast<char>(part >> 8);
  longer += static_cast<char>(part & 0xff);
  return longer;
}

Groups::Groups(KvEngine& under, Executor& executor, GroupOptions options)
    : under_(under), executor_(executor), options_(std::move(options)), next_(options_.next) {
  for (const GroupOptions::Kept& kept : options_.kept) notes_.add(kept.n, kept.notes, kept.parts);
}

Status Groups::broken_error() const {
  return broken_.empty() ? Status() : Status(error(EIO, "{}", broken_));
}

Status Groups::healthy() const {
  MutexLock lock(mutex_);
  return broken_error();
}

Status Groups::wait_for_engine(const std::string& why) {
  MutexLock lock(mutex_);
  if (trouble_.empty()) {
    log(LogLevel::kWarn, "{}: {}; trying again", under_.describe(), why);
    trouble_ = why;
  }
  changed_.wait_for(mutex_, kReadRetry);
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
    const bool open = !groups.empty() && has_room(*groups.back());
    if (open && groups.back()->fold.add(batch, kGroupBatchBytesMax)) break;
    // An operation that holds a group back must not wait for that group's end.
    if (groups.size() < kGroupsMax || must_not_wait()) {
      groups.push_back(std::make_shared<Group>());
      CHECK(groups.back()->fold.add(batch, kGroupBatchBytesMax));
      break;
    }
    changed_.wait(mutex_);
  }
  const std::shared_ptr<Group>& group = pending_.groups().back();
  group->last = ++accepted_;
  group->stamp = last_stamp_ = batch.stamp();
  if (operation_.groups == this) join(group);
  const bool post = takes_a_task();
  lock.unlock();
  if (post) post_run();
  return CommitResult{};
}

void Groups::post_run() {
  executor_.post([self = shared_from_this()] { self->run(); });
}

// --- operations and their notes ---

void Groups::join(const std::shared_ptr<Group>& group) {
  operation_.committed = true;
  if (operation_.joined == group) return;
  if (operation_.joined != nullptr && --operation_.joined->open == 0) changed_.notify_all();
  ++group->open;
  operation_.joined = group;
}

void Groups::begin_operation() {
  CHECK(operation_.groups == nullptr);
  operation_.groups = this;
  operation_.committed = false;
}

uint64_t Groups::end_operation(std::string note) {
  CHECK(operation_.groups == this);
  Operation operation = std::exchange(operation_, {});
  if (!operation.committed) return 0;
  MutexLock lock(mutex_);
  std::shared_ptr<Group> group = operation.joined;
  if (group != nullptr && --group->open == 0) changed_.notify_all();
  if (group == nullptr || group->sent) {  // it has waited since: the note goes with what goes next
    auto& groups = pending_.groups();
    if (groups.empty() || !has_room(*groups.back())) groups.push_back(std::make_shared<Group>());
    group = groups.back();
    group->last = ++accepted_;
    if (group->stamp == 0) group->stamp = last_stamp_;
  }
  group->note_bytes += note.size();
  group->notes.push_back(std::move(note));
  // The group's number, before it has one: groups go in order, one number each.
  uint64_t number = next_;
  for (const auto& before : pending_.groups()) {
    if (before == group) break;
    ++number;
  }
  const bool post = takes_a_task();
  lock.unlock();
  if (post) post_run();
  return number;
}

void Groups::leave_group() {
  if (operation_.groups != this || operation_.joined == nullptr) return;
  MutexLock lock(mutex_);
  if (--operation_.joined->open == 0) changed_.notify_all();
  operation_.joined = nullptr;
}

void Groups::forget_note(uint64_t n) {
  MutexLock lock(mutex_);
  if (n < next_) {
    notes_.forget(n);
    return;
  }
  forgotten_early_.push_back(n);  // before its group is underneath
}

// nullptr: there is nothing to do.
std::shared_ptr<Group> Groups::begin_sending() {
  MutexLock lock(mutex_);
  bool waited = false;
  for (;;) {
    if (!broken_.empty() || pending_.groups().empty()) {
      scheduled_ = false;
      return nullptr;
    }
    Group& first = *pending_.groups().front();
    first.closing = true;
    if (holds_ == 0 && (first.open == 0 || waited)) break;
    // An operation may wait for another one's lock, whose holder waits for this very group.
    waited = !changed_.wait_for(mutex_, kOpenOperationsMax) && holds_ == 0;
  }
  const std::shared_ptr<Group> group = pending_.groups().front();
  if (!group->sent) {
    group->number = next_;
    for (const auto& [n, parts] : notes_.take_dead(next_)) {
      const std::string key = options_.key_of(n);
      for (uint32_t part = 0; part < parts; ++part) group->dead.push_back(part_key(key, part));
    }
  }
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
  const std::string key = options_.key_of(group.number);
  const std::vector<std::string> parts = pack_notes(group.notes);
  for (uint32_t part = 0; part < parts.size(); ++part)
    batch.insert(part_key(key, part), parts[part]);
  for (const std::string& dead : group.dead) batch.remove(dead);
  if (fence_stamp_ != 0 && group.fold.find(options_.fence) == nullptr)
    batch.check(options_.fence, fence_stamp_);
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
        notes_.add(group.number, group.notes.size(),
                   static_cast<uint32_t>(pack_notes(group.notes).size()));
        for (const uint64_t n : forgotten_early_) {
          if (n == group.number) notes_.forget(n);
        }
        std::erase_if(forgotten_early_, [&](uint64_t n) { return n <= group.number; });
        durable_ = group.last;
        sending_ = false;
        trouble_.clear();
        if (const Write* write = group.fold.find(options_.fence);
            write != nullptr && write->kind != Write::Kind::kCheck)
          fence_stamp_ = write->stamp;
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

}  // namespace shoal::engine
