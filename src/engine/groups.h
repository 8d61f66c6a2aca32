// Groups: batches on their way underneath: which group takes the next one, when a group goes, what
// its outcome means, and which notes of operations it carries. Private to GroupCommit.
//
// Thread-safe. Shared with the tasks that send, which may outlive the engine by one wake-up.
#pragma once

#include <utility>

#include "engine/group_commit.h"
#include "engine/notes.h"
#include "engine/pending.h"
#include "sys/mutex.h"

namespace shoal::engine {

class Groups : public std::enable_shared_from_this<Groups> {
 public:
  Groups(KvEngine& under, Executor& executor, GroupOptions options);

  Result<CommitResult> accept(const Batch& batch);
  void begin_operation();
  uint64_t end_operation(std::string note);
  void leave_group();  // the operation of this thread, if any, is about to wait
  void forget_note(uint64_t n);
  void when_durable(std::function<void(Status)> done);
  void stop(const std::string& why);
  std::string trouble() const;

  std::optional<Pending::View> view(std::string_view key) const;
  std::map<std::string, Pending::View> views(std::string_view begin, std::string_view end) const;
  Status healthy() const;
  // A read failed because of `why`, which may pass. EIO when the engine broke or was stopped.
  Status wait_for_engine(const std::string& why);

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
  // What a thread does between begin_operation() and end_operation().
  struct Operation {
    Groups* groups = nullptr;  // null: none is under way
    std::shared_ptr<Group> joined;
    bool committed = false;
  };
  static thread_local Operation operation_;

  bool has_room(const Group& group) const REQUIRES(mutex_) {
    return !group.sent && !group.closing && group.note_bytes <= kGroupNotesBytesMax;
  }
  void join(const std::shared_ptr<Group>& group) REQUIRES(mutex_);
  bool must_not_wait() const { return operation_.groups == this && operation_.joined != nullptr; }
  // True when the caller has to post a task that sends, under no lock.
  bool takes_a_task() REQUIRES(mutex_) { return !std::exchange(scheduled_, true); }
  void post_run();

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
  NotesAlive notes_ GUARDED_BY(mutex_);
  std::vector<uint64_t> forgotten_early_ GUARDED_BY(mutex_);
  Stamp last_stamp_ GUARDED_BY(mutex_) = 0;
  Stamp fence_stamp_ = 0;  // of the fence's key as a group wrote it; by who sends only
};

}  // namespace shoal::engine
