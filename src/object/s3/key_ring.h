// The credentials to sign with, fetched on a thread of their own because a source may block for
// seconds.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "object/s3/s3_store.h"
#include "sys/clock.h"
#include "sys/mutex.h"
#include "sys/thread.h"

namespace shoal::object {

class KeyRing {
 public:
  // `arrived` runs on the ring's thread when a fetch ended, so that whoever waits looks again.
  KeyRing(std::unique_ptr<CredentialsSource> source, Clock& clock, std::function<void()> arrived);
  ~KeyRing();

  // Ready: the credentials. Nothing: they are being fetched, `arrived` will run. Error: the last
  // fetch failed; the next call after a second starts another.
  Result<std::optional<Credentials>> current() EXCLUDES(mutex_);
  // The server refused those of `access_key` and `session_token` as expired.
  void expired(const Credentials& refused) EXCLUDES(mutex_);

 private:
  void run() EXCLUDES(mutex_);
  bool is_usable(const Credentials& credentials) const;

  std::unique_ptr<CredentialsSource> source_;  // the thread's, after construction
  Clock& clock_;
  const std::function<void()> arrived_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool wanted_ GUARDED_BY(mutex_) = false;   // a fetch was asked for or is under way
  bool refused_ GUARDED_BY(mutex_) = false;  // tell the source before the next fetch
  std::optional<Result<Credentials>> last_ GUARDED_BY(mutex_);
  std::chrono::nanoseconds fetched_ GUARDED_BY(mutex_){0};
  Thread thread_;
};

}  // namespace shoal::object
