// A Transport whose kernel is a test: requests are queued by push(), replies and notifications are
// kept.
#pragma once

#include <cstring>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fuse/kernel_abi.h"
#include "fuse/transport.h"
#include "sys/mutex.h"

namespace shoal::fuse {

struct FakeReply {
  int error = 0;  // an errno value, 0 = success
  std::string payload;
};
struct FakeNotification {
  int code = 0;  // FUSE_NOTIFY_*
  std::string payload;
};

class FakeTransport final : public Transport {
 public:
  Result<size_t> read(MutableBytes into) override {
    MutexLock lock(mutex_);
    ++readers_;
    serving_.erase(std::this_thread::get_id());
    changed_.notify_all();
    while (requests_.empty() && !closed_) changed_.wait(mutex_);
    --readers_;
    if (requests_.empty()) return Error(ENODEV);
    const std::string request = std::move(requests_.front());
    requests_.pop_front();
    serving_.insert(std::this_thread::get_id());
    changed_.notify_all();
    if (request.size() > into.size()) return Error(EIO);
    std::memcpy(into.data(), request.data(), request.size());
    return request.size();
  }

  int write(std::span<const ByteView> parts) override {
    std::string all;
    for (const ByteView part : parts) all += as_text(part);
    fuse_out_header header;
    if (all.size() < sizeof header) return EINVAL;
    std::memcpy(&header, all.data(), sizeof header);
    if (header.len != all.size()) return EINVAL;
    MutexLock lock(mutex_);
    if (header.unique == 0 && header.error == kNotifyIncEpoch) {
      if (!takes_epoch_) return EINVAL;  // as kernels that do not know it
      ++epochs_;
    } else if (header.unique == 0) {
      notifications_.push_back({header.error, all.substr(sizeof header)});
    } else {
      if (replies_.contains(header.unique)) return EINVAL;
      replies_[header.unique] = {-header.error, all.substr(sizeof header)};
    }
    changed_.notify_all();
    return write_error_;
  }

  void push(std::string request) {
    MutexLock lock(mutex_);
    requests_.push_back(std::move(request));
    changed_.notify_all();
  }
  void close() {  // as an unmount
    MutexLock lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  // Waits for the reply and takes it.
  FakeReply take_reply(uint64_t unique) {
    MutexLock lock(mutex_);
    while (!replies_.contains(unique)) changed_.wait(mutex_);
    FakeReply reply = std::move(replies_[unique]);
    replies_.erase(unique);
    return reply;
  }
  bool has_reply(uint64_t unique) {
    MutexLock lock(mutex_);
    return replies_.contains(unique);
  }
  std::vector<FakeNotification> take_notifications() {
    MutexLock lock(mutex_);
    return std::exchange(notifications_, {});
  }
  FakeNotification wait_notification() {  // the oldest
    MutexLock lock(mutex_);
    while (notifications_.empty()) changed_.wait(mutex_);
    FakeNotification first = std::move(notifications_.front());
    notifications_.erase(notifications_.begin());
    return first;
  }
  void wait_readers(int count) {  // until exactly so many threads wait in read()
    MutexLock lock(mutex_);
    while (readers_ != count || !requests_.empty()) changed_.wait(mutex_);
  }
  void wait_idle() {  // until every thread that took a request has come back for another
    MutexLock lock(mutex_);
    while (!requests_.empty() || !serving_.empty()) changed_.wait(mutex_);
  }
  int readers() {
    MutexLock lock(mutex_);
    return readers_;
  }
  void take_epochs() {
    MutexLock lock(mutex_);
    takes_epoch_ = true;
  }
  int epochs() {
    MutexLock lock(mutex_);
    return epochs_;
  }
  void set_write_error(int code) {  // later writes are recorded, but answered with this
    MutexLock lock(mutex_);
    write_error_ = code;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  std::deque<std::string> requests_ GUARDED_BY(mutex_);
  std::map<uint64_t, FakeReply> replies_ GUARDED_BY(mutex_);
  std::vector<FakeNotification> notifications_ GUARDED_BY(mutex_);
  std::set<std::thread::id> serving_ GUARDED_BY(mutex_);
  int readers_ GUARDED_BY(mutex_) = 0;
  int write_error_ GUARDED_BY(mutex_) = 0;
  bool takes_epoch_ GUARDED_BY(mutex_) = false;
  int epochs_ GUARDED_BY(mutex_) = 0;
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace shoal::fuse
