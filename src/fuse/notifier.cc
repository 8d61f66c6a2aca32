#include "fuse/notifier.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/log.h"
#include "fuse/reply.h"

namespace shoal::fuse {
namespace {

int notify(Transport& transport, int code, ByteView head, ByteView tail) {
  fuse_out_header header{};
  header.len = static_cast<uint32_t>(sizeof header + head.size() + tail.size());
  header.error = code;
  const std::array<ByteView, 3> parts{Reply::bytes_of(header), head, tail};
  return transport.write(std::span(parts).first(head.empty() ? 1 : tail.empty() ? 2 : 3));
}

}  // namespace

Notifier::Notifier(Transport& transport, NodeIds nodes, GivenOut& given_out)
    : transport_(transport),
      nodes_(nodes),
      given_out_(given_out),
      thread_("fuse-notify", [this] { run(); }) {}

Notifier::~Notifier() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
  MutexLock lock(mutex_);
  std::deque<Item> left = std::exchange(queue_, {});
  lock.unlock();
  for (const Item& item : left) {
    if (item.then) item.then();
  }
}

void Notifier::invalidate_attributes(Ino ino) {
  enqueue({.node = nodes_.node(ino)}, IfFull::kGrow);
}

void Notifier::invalidate_pages(Ino ino, uint64_t offset, uint64_t length) {
  Item item{.node = nodes_.node(ino),
            .offset = static_cast<int64_t>(offset),
            .length = static_cast<int64_t>(length)};
  if (length == 0) {
    MutexLock lock(mutex_);
    const auto [queued, fresh] = pages_queued_.try_emplace(item.node, item.offset);
    if (!fresh) {
      queued->second = std::min(queued->second, item.offset);
      return;
    }
  }
  enqueue(std::move(item), IfFull::kGrow);
}

void Notifier::invalidate_entry(Ino parent, const std::string& name) {
  enqueue({.node = nodes_.node(parent), .name = name}, IfFull::kWait);
}

void Notifier::entry_soon(uint64_t directory, std::string_view name) {
  enqueue({.node = directory, .name = std::string(name)}, IfFull::kGrow);
}

void Notifier::invalidate_everything() {
  const GivenOut::Taken taken = given_out_.take();
  if (given_out_.names_spared()) increase_epoch();
  for (const auto& [directory, name] : taken.names)
    enqueue({.node = directory, .name = name}, IfFull::kWait);
  for (const uint64_t node : taken.nodes) enqueue({.node = node}, IfFull::kWait);
}

void Notifier::when_dropped(std::function<void()> done) {
  enqueue({.then = std::move(done)}, IfFull::kGrow);
}

bool Notifier::increase_epoch() { return notify(transport_, kNotifyIncEpoch, {}, {}) == 0; }

void Notifier::attributes_now(uint64_t node) { send({.node = node}); }

void Notifier::enqueue(Item item, IfFull if_full) {
  MutexLock lock(mutex_);
  while (if_full == IfFull::kWait && queue_.size() >= kQueuedMax && !stopping_)
    changed_.wait(mutex_);
  if (stopping_) {
    lock.unlock();
    if (item.then) item.then();
    return;
  }
  queue_.push_back(std::move(item));
  changed_.notify_all();
}

void Notifier::run() {
  MutexLock lock(mutex_);
  while (!stopping_) {
    if (queue_.empty()) {
      changed_.wait(mutex_);
      continue;
    }
    Item item = std::move(queue_.front());
    queue_.pop_front();
    if (item.offset >= 0 && item.length == 0) {
      const auto queued = pages_queued_.find(item.node);
      if (queued != pages_queued_.end()) {
        item.offset = queued->second;
        pages_queued_.erase(queued);
      }
    }
    changed_.notify_all();
    lock.unlock();
    item.then ? item.then() : send(item);
    lock.lock();
  }
}

void Notifier::send(const Item& item) {
  int code = 0;
  if (item.name.empty()) {
    fuse_notify_inval_inode_out out{};
    out.ino = item.node;
    out.off = item.offset;
    out.len = item.length;
    code = notify(transport_, FUSE_NOTIFY_INVAL_INODE, Reply::bytes_of(out), {});
  } else {
    fuse_notify_inval_entry_out out{};
    out.parent = item.node;
    out.namelen = static_cast<uint32_t>(item.name.size());
    // The name's NUL goes too and is not counted.
    code = notify(transport_, FUSE_NOTIFY_INVAL_ENTRY, Reply::bytes_of(out),
                  std::as_bytes(std::span(item.name.c_str(), item.name.size() + 1)));
  }
  // ENOENT: the kernel does not know the inode or name, so nothing of it is cached. ENOTCONN,
  // ENODEV: unmounted.
  if (code != 0 && code != ENOENT && code != ENOTCONN && code != ENODEV) {
    log(LogLevel::kWarn, "the kernel refused an invalidation of node {}: {}", item.node,
        errno_name(code));
  }
}

}  // namespace shoal::fuse
