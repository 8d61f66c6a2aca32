#include <system_error>
#include <utility>

#include "base/log.h"
#include "rpc/acceptor_internal.h"

namespace shoal::rpc {
namespace {

// Out of descriptors, say: accept() would fail again at once.
constexpr std::chrono::milliseconds kPauseAfterFailure{100};

}  // namespace

Acceptor::Acceptor(std::unique_ptr<Listener> listener, std::string name, size_t threads_max,
                   WhenFull when_full, Admit admit)
    : listener_(std::move(listener)),
      name_(std::move(name)),
      threads_max_(threads_max),
      when_full_(when_full),
      admit_(std::move(admit)) {
  accepting_ = Thread(name_, [this] { accept_loop(); });
}

Acceptor::~Acceptor() { stop(); }

void Acceptor::accept_loop() {
  for (;;) {
    Result<std::unique_ptr<Connection>> connection = listener_->accept();
    if (!connection.ok()) {
      if (connection.error().is(ECANCELED)) return;
      log(LogLevel::kWarn, "{}: {}", name_, connection.error().text());
      MutexLock lock(mutex_);
      if (!closed_) changed_.wait_for(mutex_, kPauseAfterFailure);
      continue;
    }
    if (!wait_for_room()) continue;
    if (std::shared_ptr<Served> served = admit_(std::move(*connection))) start(served);
  }
}

bool Acceptor::wait_for_room() {
  for (;;) {
    reap();
    MutexLock lock(mutex_);
    if (closed_) return false;
    if (entries_.size() < threads_max_) return true;
    if (when_full_ == WhenFull::kClose) return false;
    bool any_done = false;
    for (const Entry& entry : entries_) any_done = any_done || entry.done;
    if (!any_done) changed_.wait(mutex_);
  }
}

void Acceptor::start(const std::shared_ptr<Served>& served) {
  MutexLock lock(mutex_);
  Entry& entry = entries_.emplace_back();
  entry.served = served;
  try {
    entry.thread = Thread(name_, [this, &entry, served = served.get()] {
      served->serve();
      MutexLock done_lock(mutex_);
      entry.done = true;
      changed_.notify_all();
    });
    return;
  } catch (const std::system_error& e) {
    log(LogLevel::kWarn,
        "{}: no thread for a connection ({}); raise the limit of processes (ulimit -u)", name_,
        e.what());
    entries_.pop_back();
  }
  lock.unlock();
  served->stop();
}

std::list<Acceptor::Entry> Acceptor::take_done() {
  std::list<Entry> taken;
  for (auto it = entries_.begin(); it != entries_.end();) {
    auto next = std::next(it);
    if (it->done) taken.splice(taken.end(), entries_, it);
    it = next;
  }
  return taken;
}

void Acceptor::reap() {
  std::list<Entry> taken;
  {
    MutexLock lock(mutex_);
    taken = take_done();
  }
  for (Entry& entry : taken) entry.thread.join();
}

void Acceptor::close() {
  MutexLock only_one(joining_);
  {
    MutexLock lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  listener_->close();
  accepting_.join();
}

void Acceptor::stop() {
  close();
  std::list<Entry> rest;
  {
    MutexLock lock(mutex_);
    // Spliced, not copied: the threads hold references to their entries.
    rest.splice(rest.end(), entries_);
  }
  for (Entry& entry : rest) entry.served->stop();
  for (Entry& entry : rest) entry.thread.join();
}

}  // namespace shoal::rpc
