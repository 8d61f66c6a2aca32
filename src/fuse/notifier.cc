#include "fuse/notifier.h"

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
  return transport.write(std::span(parts).first(tail.empty() ? 2 : 3));
}

}  // namespace

Notifier::Notifier(Transport& transport, NodeIds nodes)
    : transport_(transport), nodes_(nodes), thread_("fuse-notify", [this] { run(); }) {}

Notifier::~Notifier() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void Notifier::invalidate_attributes(Ino ino) { enqueue({.node = nodes_.node(ino)}); }

void Notifier::invalidate_pages(Ino ino, uint64_t offset, uint64_t length) {
  enqueue({.node = nodes_.node(ino),
           .offset = static_cast<int64_t>(offset),
           .length = static_cast<int64_t>(length)});
}

void Notifier::invalidate_entry(Ino parent, const std::string& name) {
  enqueue({.node = nodes_.node(parent), .name = name});
}

void Notifier::attributes_now(uint64_t node) { send({.node = node}); }

void Notifier::enqueue(Item item) {
  MutexLock lock(mutex_);
  while (queue_.size() >= kQueuedMax && !stopping_) changed_.wait(mutex_);
  if (stopping_) return;
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
    const Item item = std::move(queue_.front());
    queue_.pop_front();
    changed_.notify_all();
    lock.unlock();
    send(item);
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
