// A commit is one statement, alone in its transaction, and so one round trip (statements.h).
//
//   acknowledged                     committed, and so is everything that was visible before
//   serialization failure, deadlock  it certainly did not happen: once more
//   a key not as expected            it certainly did not happen: look which key; if all are as
//                                    expected by now, once more
//   any other ERROR                  it certainly did not happen
//   anything else                    unknown
//
// A batch that was unknown and now conflicts had happened, or its own key would be absent. But the
// server may have given up waiting for its standby, and a conflict waits for none. So before a
// conflict is told while anything is in doubt, a write to the barrier row is waited for: its place
// in the log is behind all that was visible.
#include "engine/postgres/committer.h"

#include <algorithm>

#include "base/log.h"
#include "engine/postgres/errors.h"
#include "engine/postgres/statements.h"
#include "engine/postgres/wire.h"
#include "engine/rules.h"

namespace shoal::engine::postgres {
namespace {

// A batch that lost against another one loses again until that has ended, which may take as long as
// a disk or a standby takes to write. So after a few attempts there are pauses between them.
constexpr int kAttemptsAtOnce = 5;
constexpr int kPauseMsMax = 20;
constexpr int kAttemptsMax = 5'000;

constexpr size_t kUnknownMax = 10'000;

bool once_more(const Answer& answer) { return answer.state == "40001" || answer.state == "40P01"; }

bool as_expected(const Write& write, const std::optional<Stamp>& found) {
  switch (write.kind) {
    case Write::Kind::kInsert:
      return !found.has_value();
    case Write::Kind::kUpdate:
    case Write::Kind::kErase:
    case Write::Kind::kCheck:
      return found.has_value() && *found == write.expected;
    case Write::Kind::kPut:
    case Write::Kind::kRemove:
    case Write::Kind::kMergeAdd:
    case Write::Kind::kMergeMax:
      break;
  }
  return true;
}

CommitResult unknown() { return {CommitResult::Kind::kUnknown, {}}; }

}  // namespace

Result<CommitResult> Committer::commit(const Batch& batch) {
  TRY(check_batch(batch));
  if (batch.empty()) return CommitResult{};
  Pool::Lease lease = pool_.take();
  return settle(batch.stamp(), try_to_commit(lease, batch));
}

// An Error means "certainly not", which of a batch that was sent before nobody can say.
Result<CommitResult> Committer::settle(Stamp stamp, Result<CommitResult> result) {
  MutexLock lock(mutex_);
  if (!result.ok()) {
    if (!unknown_.contains(stamp)) return result;
    log(LogLevel::kDebug, "a commit is still unknown: {}", result.error().text());
    return unknown();
  }
  switch (result->kind) {
    case CommitResult::Kind::kCommitted:
      in_doubt_ = false;
      unknown_.erase(stamp);
      break;
    case CommitResult::Kind::kConflict:
      unknown_.erase(stamp);
      break;
    case CommitResult::Kind::kUnknown:
      in_doubt_ = true;
      unknown_.insert(stamp);
      // Nobody sent the oldest ones again for so long that nobody will.
      if (unknown_.size() > kUnknownMax) unknown_.erase(unknown_.begin());
      break;
  }
  return result;
}

Result<CommitResult> Committer::try_to_commit(Pool::Lease& lease, const Batch& batch) {
  const Statement statement = commit_statement(target_.prefix, batch);
  const std::chrono::nanoseconds begun = clock_.since_boot();
  for (int attempt = 0; may_repeat(attempt, begun); ++attempt) {
    TRY_ASSIGN(Connection* const connection, lease.ready());
    const Answer answer = connection->execute(statement.sql, statement.parameters);
    if (answer.kind == Answer::Kind::kLost || answer.wait_cancelled) {
      log(LogLevel::kWarn, "{}: a commit is unknown: {}", target_.shown,
          answer.wait_cancelled ? "its wait for the standby was cancelled" : answer.text);
      if (answer.kind == Answer::Kind::kLost) lease.discard();
      return unknown();
    }
    if (answer.kind == Answer::Kind::kDone) return CommitResult{};
    if (once_more(answer)) {
      repeated_.fetch_add(1, std::memory_order_relaxed);
      continue;
    }
    if (answer.state == "25006") lease.discard();  // the primary is another server now
    if (answer.state != kMissed && answer.state != kDuplicate) {
      return answer_error(target_, answer, "committing");
    }
    TRY_ASSIGN(std::vector<std::string> keys, conflicts(*connection, batch));
    if (keys.empty()) continue;
    if (!pass_barrier(*connection)) {
      lease.discard();
      return unknown();
    }
    return CommitResult{CommitResult::Kind::kConflict, std::move(keys)};
  }
  return error(EAGAIN, "{}: other writers kept a commit back for {} ms; is another owner at work?",
               target_.shown, repeat_for_.count());
}

// Pauses before a repetition, unless it has taken too long already.
bool Committer::may_repeat(int attempt, std::chrono::nanoseconds since) {
  if (attempt < kAttemptsAtOnce) return true;
  if (attempt >= kAttemptsMax || clock_.since_boot() - since > repeat_for_) return false;
  MutexLock lock(pause_mutex_);
  pause_.wait_for(pause_mutex_,
                  std::chrono::milliseconds(std::min(attempt - kAttemptsAtOnce + 1, kPauseMsMax)));
  return true;
}

Result<std::vector<std::string>> Committer::conflicts(Connection& connection, const Batch& batch) {
  std::vector<std::string_view> keys;
  for (const Write& write : batch.writes()) keys.emplace_back(write.key);
  const Statement statement = get_statement(target_.prefix, keys);
  const Answer answer = connection.execute(statement.sql, statement.parameters);
  if (answer.kind != Answer::Kind::kDone) {
    return answer_error(target_, answer, "looking for the conflict of a commit");
  }
  std::vector<std::optional<Stamp>> found(keys.size());
  for (size_t row = 0; row < answer.rows.size(); ++row) {
    TRY_ASSIGN(const size_t position, answer.rows.index(row, 0, found.size()));
    TRY_ASSIGN(const int64_t stamp, answer.rows.integer(row, 1));
    found[position] = as_stamp(stamp);
  }
  std::vector<std::string> conflicting;
  for (size_t i = 0; i < keys.size(); ++i) {
    const Write& write = batch.writes()[i];
    if (!as_expected(write, found[i])) conflicting.push_back(write.key);
  }
  return conflicting;
}

// True when nothing that is visible can be lost any more.
bool Committer::pass_barrier(Connection& connection) {
  {
    MutexLock lock(mutex_);
    if (!in_doubt_) return true;
  }
  const std::string sql =
      fmt::format("UPDATE \"{}\".volume SET barrier = barrier + 1", target_.prefix);
  const std::chrono::nanoseconds begun = clock_.since_boot();
  Answer answer = connection.query(sql);
  for (int attempt = 1; once_more(answer) && may_repeat(attempt, begun); ++attempt) {
    answer = connection.query(sql);
  }
  if (answer.kind != Answer::Kind::kDone || answer.wait_cancelled) {
    log(LogLevel::kWarn, "{}: a conflict is not known to be durable: {}", target_.shown,
        answer.text);
    return false;
  }
  MutexLock lock(mutex_);
  in_doubt_ = false;
  return true;
}

}  // namespace shoal::engine::postgres
