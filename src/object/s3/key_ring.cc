#include "object/s3/key_ring.h"

#include "base/log.h"

namespace shoal::object {
namespace {

constexpr std::chrono::seconds kAskAgain{5};  // a source that caches answers at once
constexpr std::chrono::seconds kFailureLasts{1};

}  // namespace

KeyRing::KeyRing(std::unique_ptr<CredentialsSource> source, Clock& clock,
                 std::function<void()> arrived)
    : source_(std::move(source)),
      clock_(clock),
      arrived_(std::move(arrived)),
      thread_("s3-keys", [this] { run(); }) {}

KeyRing::~KeyRing() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

bool KeyRing::is_usable(const Credentials& credentials) const {
  return credentials.expires == Time{} || clock_.now() < credentials.expires;
}

Result<std::optional<Credentials>> KeyRing::current() {
  MutexLock lock(mutex_);
  const std::chrono::nanoseconds age = clock_.since_boot() - fetched_;
  const bool usable = last_.has_value() && last_->ok() && !refused_ && is_usable(**last_);
  const bool failed = last_.has_value() && !last_->ok() && age < kFailureLasts;
  if (!wanted_ && !failed && (!usable || age >= kAskAgain)) {
    wanted_ = true;
    changed_.notify_all();
  }
  if (usable) return std::optional<Credentials>(**last_);
  if (failed) return last_->error();
  return std::optional<Credentials>();
}

void KeyRing::expired(const Credentials& refused) {
  MutexLock lock(mutex_);
  // Several requests signed with the same old keys fail together: only the first counts.
  if (!last_.has_value() || !last_->ok()) return;
  if ((*last_)->access_key != refused.access_key ||
      (*last_)->session_token != refused.session_token)
    return;
  refused_ = true;
}

void KeyRing::run() {
  MutexLock lock(mutex_);
  while (!stopping_) {
    if (!wanted_) {
      changed_.wait(mutex_);
      continue;
    }
    const bool refused = refused_;
    lock.unlock();
    if (refused) source_->expired();
    Result<Credentials> fetched = source_->get();
    lock.lock();
    fetched_ = clock_.since_boot();
    wanted_ = false;
    const bool keeps_old =
        !fetched.ok() && !refused && last_.has_value() && last_->ok() && is_usable(**last_);
    if (keeps_old) {
      log(LogLevel::kWarn, "S3 credentials could not be refreshed, using the old ones: {}",
          fetched.error().text());
    } else {
      last_.emplace(std::move(fetched));
      refused_ = false;
    }
    lock.unlock();
    arrived_();
    lock.lock();
  }
}

}  // namespace shoal::object
