// A toy file system in memory behind client::Client: for tests of this folder, which care about
// what reaches the client and what becomes of its answers. Right about names, bytes and locks on
// whole files; ignorant of permissions, quota and durability.
#pragma once

#include <algorithm>
#include <atomic>
#include <list>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "client/client.h"
#include "sys/mutex.h"
#include "sys/on_behalf.h"

namespace shoal::fuse {

class FakeClient final : public client::Client {
 public:
  using Attr = meta::Attr;
  using Caller = meta::Caller;

  FakeClient() {
    Node& root = nodes_[kRootIno];
    root.attr.ino = kRootIno;
    root.attr.mode = 0040755;
    root.attr.nlink = 2;
    root.attr.parent = kRootIno;
  }

  // What tests look at and turn.
  struct Seen {
    Caller caller;             // of the last call that has one
    client::OpenOptions open;  // of the last open or create
    client::SetAttrRequest setattr;
    meta::Lock lock;  // of the last lock call
    std::vector<client::HandleId> written_handles;
    bool kill_sgid = false;
    bool exclusive = false;
    uint64_t flush_owner = 0;
    int released = 0;
    int flush_alls = 0;
  };
  Seen seen() {
    MutexLock lock(mutex_);
    return seen_;
  }
  // The next call of anything that can fail fails with it, once.
  void fail_next(int code) {
    MutexLock lock(mutex_);
    fail_ = code;
  }
  void set_keep_cache(bool keep) { keep_cache_ = keep; }
  void set_killed_privileges(bool killed) { killed_ = killed; }
  // read() of offset `kBlockedOffset` waits until unblock().
  static constexpr uint64_t kBlockedOffset = 12'345;
  void unblock() {
    MutexLock lock(mutex_);
    unblocked_ = true;
    changed_.notify_all();
  }
  client::InvalidationSink* sink() { return sink_; }
  size_t open_handles() {
    MutexLock lock(mutex_);
    return handles_.size();
  }
  size_t waiting_locks() {
    MutexLock lock(mutex_);
    return waiting_.size();
  }
  void wait_until_lock_waits() {
    MutexLock lock(mutex_);
    while (waiting_.empty()) changed_.wait(mutex_);
  }

  void set_invalidation_sink(client::InvalidationSink* sink) override { sink_ = sink; }
  bool shared() const override { return shared_now; }
  void session_lost(SessionId) override {}
  std::atomic<bool> shared_now = false;
  std::atomic<bool> direct = false;

  // --- names ---
  Result<Attr> lookup(const Caller& who, Ino parent, std::string_view name) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    TRY_ASSIGN(const Ino ino, child(parent, name));
    return nodes_[ino].attr;
  }
  Result<Attr> getattr(const Caller& who, Ino ino) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    const auto found = nodes_.find(ino);
    if (found == nodes_.end()) return Error(ENOENT);
    return found->second.attr;
  }
  Result<Attr> setattr(const Caller& who, Ino ino, const client::SetAttrRequest& request) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    seen_.setattr = request;
    TRY_ASSIGN(Node* const node, find(ino));
    const meta::SetAttr& change = request.attr;
    if (change.mode) node->attr.mode = (node->attr.mode & 0170000) | *change.mode;
    if (change.uid) node->attr.uid = *change.uid;
    if (change.gid) node->attr.gid = *change.gid;
    if (change.mtime && !change.mtime->now) node->attr.mtime = change.mtime->time;
    if (change.atime && !change.atime->now) node->attr.atime = change.atime->time;
    if (change.flags) node->attr.flags = *change.flags;
    if (change.kill_privileges) node->attr.mode &= ~06000u;
    if (request.size) resize(*node, *request.size);
    return node->attr;
  }
  Result<Attr> mknod(const Caller& who, Ino parent, std::string_view name, uint32_t mode,
                     uint64_t rdev) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    TRY_ASSIGN(Node* const node, make(who, parent, name, mode & ~who.umask));
    node->attr.rdev = rdev;
    return node->attr;
  }
  Result<Attr> mkdir(const Caller& who, Ino parent, std::string_view name, uint32_t mode) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    TRY_ASSIGN(Node* const node, make(who, parent, name, 0040000 | (mode & ~who.umask)));
    node->attr.nlink = 2;
    ++nodes_[parent].attr.nlink;
    return node->attr;
  }
  Result<Attr> symlink(const Caller& who, Ino parent, std::string_view name,
                       std::string_view target) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    TRY_ASSIGN(Node* const node, make(who, parent, name, 0120777));
    node->data = target;
    node->attr.size = target.size();
    return node->attr;
  }
  Result<Attr> link(const Caller& who, Ino ino, Ino parent, std::string_view name) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    TRY_ASSIGN(Node* const node, find(ino));
    TRY_ASSIGN(Node* const directory, find(parent));
    if (!directory->children.try_emplace(std::string(name), ino).second) return Error(EEXIST);
    ++node->attr.nlink;
    return node->attr;
  }
  Status unlink(const Caller& who, Ino parent, std::string_view name) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    return remove(parent, name);
  }
  Status rmdir(const Caller& who, Ino parent, std::string_view name) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    TRY_ASSIGN(const Ino ino, child(parent, name));
    if (!nodes_[ino].children.empty()) return Error(ENOTEMPTY);
    --nodes_[parent].attr.nlink;
    nodes_[ino].attr.nlink = 1;
    return remove(parent, name);
  }
  Status rename(const Caller& who, Ino parent, std::string_view name, Ino new_parent,
                std::string_view new_name, meta::RenameMode mode) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    TRY_ASSIGN(const Ino ino, child(parent, name));
    const Result<Ino> target = child(new_parent, new_name);
    if (mode == meta::RenameMode::kNoReplace && target.ok()) return Error(EEXIST);
    if (mode == meta::RenameMode::kExchange) {
      if (!target.ok()) return Error(ENOENT);
      nodes_[parent].children[std::string(name)] = *target;
    } else {
      if (target.ok() && *target != ino) TRY(remove(new_parent, new_name));
      nodes_[parent].children.erase(std::string(name));
    }
    TRY(find(new_parent).ok() ? Status() : Status(Error(ENOENT)));
    nodes_[new_parent].children[std::string(new_name)] = ino;
    return {};
  }
  Result<std::string> readlink(const Caller& who, Ino ino) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    TRY_ASSIGN(const Node* const node, find(ino));
    if ((node->attr.mode & 0170000) != 0120000) return Error(EINVAL);
    return node->data;
  }
  Result<meta::DirPage> readdir(const Caller& who, Ino ino, std::string_view after, size_t limit,
                                bool with_attributes) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    TRY_ASSIGN(const Node* const node, find(ino));
    meta::DirPage page;
    for (auto entry = node->children.upper_bound(std::string(after)); entry != node->children.end();
         ++entry) {
      if (page.entries.size() == limit) {
        page.more = true;
        break;
      }
      const Attr& attr = nodes_[entry->second].attr;
      meta::DirEntry& out = page.entries.emplace_back();
      out.name = entry->first;
      out.type = static_cast<uint8_t>(attr.mode >> 12);
      out.ino = entry->second;
      if (with_attributes) out.attr = attr;
    }
    return page;
  }
  void forgotten(Ino) override {}
  void named_by_others(Ino, const std::string&, Ino) override {}
  Result<client::StatFs> statfs() override {
    MutexLock lock(mutex_);
    TRY(enter({}));
    return client::StatFs{4096, 1000, 600, 100, 100 - nodes_.size() % 100};
  }

  // --- extended attributes ---
  Result<std::string> getxattr(const Caller& who, Ino ino, std::string_view name) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    TRY_ASSIGN(const Node* const node, find(ino));
    const auto found = node->xattrs.find(std::string(name));
    if (found == node->xattrs.end()) return Error(ENODATA);
    return found->second;
  }
  Result<std::vector<std::string>> listxattr(const Caller& who, Ino ino) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    TRY_ASSIGN(const Node* const node, find(ino));
    std::vector<std::string> names;
    for (const auto& [name, value] : node->xattrs) names.push_back(name);
    return names;
  }
  Status setxattr(const Caller& who, Ino ino, std::string_view name, std::string_view value,
                  meta::Metadata::XattrMode mode, bool kill_sgid) override {
    using Mode = meta::Metadata::XattrMode;
    MutexLock lock(mutex_);
    TRY(enter(who));
    TRY_ASSIGN(Node* const node, find(ino));
    seen_.kill_sgid = kill_sgid;
    const bool there = node->xattrs.contains(std::string(name));
    if (mode == Mode::kCreate && there) return Error(EEXIST);
    if (mode == Mode::kReplace && !there) return Error(ENODATA);
    node->xattrs[std::string(name)] = value;
    return {};
  }
  Status removexattr(const Caller& who, Ino ino, std::string_view name) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    TRY_ASSIGN(Node* const node, find(ino));
    if (node->xattrs.erase(std::string(name)) == 0) return Error(ENODATA);
    return {};
  }

  // --- files ---
  Result<client::OpenedFile> open(const Caller& who, Ino ino,
                                  const client::OpenOptions& options) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    TRY_ASSIGN(Node* const node, find(ino));
    if (options.truncate) resize(*node, 0);
    return opened(*node, options);
  }
  Result<client::OpenedFile> create(const Caller& who, Ino parent, std::string_view name,
                                    uint32_t mode, const client::OpenOptions& options,
                                    bool exclusive) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    seen_.exclusive = exclusive;
    if (const Result<Ino> there = child(parent, name); there.ok()) {
      if (exclusive) return Error(EEXIST);
      return opened(nodes_[*there], options);
    }
    TRY_ASSIGN(Node* const node, make(who, parent, name, 0100000 | (mode & 07777 & ~who.umask)));
    return opened(*node, options);
  }
  Result<client::OpenedFile> create_unnamed(const Caller& who, Ino parent, uint32_t mode,
                                            const client::OpenOptions& options) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    TRY(find(parent).ok() ? Status() : Status(Error(ENOENT)));
    Node& node = nodes_[++last_ino_];
    node.attr.ino = last_ino_;
    node.attr.mode = 0100000 | (mode & 07777);
    return opened(node, options);
  }
  Result<size_t> read(client::HandleId handle, uint64_t offset, MutableBytes into) override {
    MutexLock lock(mutex_);
    TRY(enter({}));
    while (offset == kBlockedOffset && !unblocked_) changed_.wait(mutex_);
    TRY_ASSIGN(const Node* const node, of_handle(handle));
    if (offset >= node->data.size()) return size_t{0};
    const size_t n = std::min<size_t>(into.size(), node->data.size() - offset);
    std::copy_n(as_bytes(node->data).data() + offset, n, into.data());
    return n;
  }
  Result<Written> write(const Caller& who, client::HandleId handle, uint64_t offset, ByteView bytes,
                        bool kill_privileges) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    TRY_ASSIGN(Node* const node, of_handle(handle));
    seen_.written_handles.push_back(handle);
    if (handles_[handle].append) offset = node->data.size();
    if (offset + bytes.size() > kToyBytesMax) return Error(EFBIG);
    if (offset + bytes.size() > node->data.size()) resize(*node, offset + bytes.size());
    node->data.replace(offset, bytes.size(), as_text(bytes));
    if (kill_privileges) node->attr.mode &= ~06000u;
    return Written{bytes.size(), kill_privileges && killed_};
  }
  Status flush(client::HandleId handle, uint64_t lock_owner) override {
    MutexLock lock(mutex_);
    TRY(enter({}));
    seen_.flush_owner = lock_owner;
    TRY_ASSIGN(const Node* const node, of_handle(handle));
    drop_locks([&, ino = node->attr.ino](Ino on, const meta::Lock& held) {
      return on == ino && held.kind == meta::LockKind::kPosix && held.owner == lock_owner;
    });
    return grant(lock);
  }
  std::function<void()> in_fsync;  // called without the lock
  Status fsync(client::HandleId handle, bool) override {
    if (in_fsync) in_fsync();
    if (given_up()) return Error(EINTR);
    MutexLock lock(mutex_);
    TRY(enter({}));
    return of_handle(handle).ok() ? Status() : Status(Error(EBADF));
  }
  client::DurabilityClasses::Found durability_of(Ino) override { return {}; }
  Result<client::OpenedDirectory> open_directory(const client::Caller&, Ino ino) override {
    MutexLock lock(mutex_);
    TRY(enter({}));
    if (!find(ino).ok()) return Error(ENOENT);
    return client::OpenedDirectory{true, keep_cache_};
  }
  Status fsync_dir(Ino ino) override {
    MutexLock lock(mutex_);
    TRY(enter({}));
    return find(ino).ok() ? Status() : Status(Error(ENOENT));
  }
  Status release(client::HandleId handle) override {
    MutexLock lock(mutex_);
    ++seen_.released;
    if (handles_.erase(handle) == 0) return Error(EBADF);
    drop_locks([&](Ino, const meta::Lock& held) { return held.handle == handle; });
    return grant(lock);
  }
  Result<bool> fallocate(const Caller& who, client::HandleId handle, client::FallocateMode mode,
                         uint64_t offset, uint64_t length) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    TRY_ASSIGN(Node* const node, of_handle(handle));
    if (offset > kToyBytesMax || length > kToyBytesMax - offset) return Error(EFBIG);
    if (!mode.keep_size) resize(*node, std::max<uint64_t>(node->data.size(), offset + length));
    if (mode.kind != client::FallocateMode::Kind::kAllocate && offset < node->data.size()) {
      const size_t n = std::min<size_t>(length, node->data.size() - offset);
      node->data.replace(offset, n, n, '\0');
    }
    return Result<bool>(killed_.load());
  }
  Result<uint64_t> seek_data(client::HandleId handle, uint64_t offset) override {
    MutexLock lock(mutex_);
    TRY_ASSIGN(const Node* const node, of_handle(handle));
    if (offset >= node->data.size()) return Error(ENXIO);
    return offset;
  }
  Result<uint64_t> seek_hole(client::HandleId handle, uint64_t offset) override {
    MutexLock lock(mutex_);
    TRY_ASSIGN(const Node* const node, of_handle(handle));
    if (offset >= node->data.size()) return Error(ENXIO);
    return node->data.size();
  }
  Result<Written> copy_range(const Caller& who, client::HandleId from, uint64_t from_offset,
                             client::HandleId to, uint64_t to_offset, uint64_t length) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    TRY_ASSIGN(const Node* const source, of_handle(from));
    TRY_ASSIGN(Node* const target, of_handle(to));
    if (from_offset >= source->data.size()) return Written{};
    if (to_offset > kToyBytesMax) return Error(EFBIG);
    const std::string bytes = source->data.substr(from_offset, length);
    if (to_offset + bytes.size() > target->data.size()) resize(*target, to_offset + bytes.size());
    target->data.replace(to_offset, bytes.size(), bytes);
    return Written{bytes.size(), killed_};
  }
  Ino ino_of(client::HandleId handle) override {
    MutexLock lock(mutex_);
    const auto found = handles_.find(handle);
    return found == handles_.end() ? 0 : found->second.ino;
  }

  // --- locks ---
  Result<meta::Lock> lock_get(const Caller& who, Ino ino, const meta::Lock& wanted) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    if (const meta::Lock* const held = conflict(ino, wanted)) return *held;
    meta::Lock free = wanted;
    free.type = meta::LockType::kUnlock;
    return free;
  }
  Status lock_set(const Caller& who, Ino ino, const meta::Lock& wanted) override {
    MutexLock lock(mutex_);
    TRY(enter(who));
    seen_.lock = wanted;
    if (wanted.type != meta::LockType::kUnlock && conflict(ino, wanted) != nullptr)
      return Error(EAGAIN);
    take(ino, wanted);
    return grant(lock);
  }
  uint64_t lock_wait(const Caller& who, Ino ino, const meta::Lock& wanted,
                     std::function<void(Status)> done) override {
    MutexLock lock(mutex_);
    (void)enter(who).code();
    seen_.lock = wanted;
    const uint64_t ticket = ++last_ticket_;
    if (conflict(ino, wanted) == nullptr) {
      take(ino, wanted);
      lock.unlock();
      done({});
      return ticket;
    }
    waiting_.push_back({ticket, ino, wanted, std::move(done)});
    changed_.notify_all();
    return ticket;
  }
  void lock_cancel(uint64_t ticket) override {
    MutexLock lock(mutex_);
    const auto found = std::find_if(waiting_.begin(), waiting_.end(), [&](const Waiting& waiting) {
      return waiting.ticket == ticket;
    });
    if (found == waiting_.end()) return;
    const auto done = std::move(found->done);
    waiting_.erase(found);
    lock.unlock();
    done(Error(EINTR));
  }

  Status flush_all(bool, const std::function<void(const client::ClientStatus&)>&) override {
    MutexLock lock(mutex_);
    ++seen_.flush_alls;
    return enter({});
  }
  client::ClientStatus status() override { return {}; }
  Result<std::vector<format::Extent>> extents_of(const Caller&, Ino) override {
    return std::vector<format::Extent>{};
  }

 private:
  static constexpr uint64_t kToyBytesMax = 8 << 20;
  struct Node {
    Attr attr;
    std::map<std::string, Ino> children;
    std::map<std::string, std::string> xattrs;
    std::string data;
  };
  struct Handle {
    Ino ino = 0;
    bool append = false;
  };
  struct Waiting {
    uint64_t ticket = 0;
    Ino ino = 0;
    meta::Lock lock;
    std::function<void(Status)> done;
  };

  Status enter(const Caller& who) REQUIRES(mutex_) {
    seen_.caller = who;
    if (fail_ == 0) return {};
    return Error(std::exchange(fail_, 0));
  }
  Result<Node*> find(Ino ino) REQUIRES(mutex_) {
    const auto found = nodes_.find(ino);
    if (found == nodes_.end()) return Error(ENOENT);
    return &found->second;
  }
  Result<Ino> child(Ino parent, std::string_view name) REQUIRES(mutex_) {
    if (name.size() > kNameBytesMax) return Error(ENAMETOOLONG);
    TRY_ASSIGN(const Node* const directory, find(parent));
    if (!directory->attr.is_directory()) return Error(ENOTDIR);
    const auto found = directory->children.find(std::string(name));
    if (found == directory->children.end()) return Error(ENOENT);
    return found->second;
  }
  Result<Node*> make(const Caller& who, Ino parent, std::string_view name, uint32_t mode)
      REQUIRES(mutex_) {
    TRY_ASSIGN(Node* const directory, find(parent));
    if (!directory->attr.is_directory()) return Error(ENOTDIR);
    if (!directory->children.try_emplace(std::string(name), last_ino_ + 1).second)
      return Error(EEXIST);
    Node& node = nodes_[++last_ino_];
    node.attr.ino = last_ino_;
    node.attr.mode = mode;
    node.attr.uid = who.uid;
    node.attr.gid = who.gid;
    node.attr.nlink = 1;
    node.attr.parent = parent;
    node.attr.btime = {1'000'000'000, 7};
    return &node;
  }
  Status remove(Ino parent, std::string_view name) REQUIRES(mutex_) {
    TRY_ASSIGN(const Ino ino, child(parent, name));
    nodes_[parent].children.erase(std::string(name));
    --nodes_[ino].attr.nlink;  // kept for ever: handles may be open, and toys are short-lived
    return {};
  }
  void resize(Node& node, uint64_t size) REQUIRES(mutex_) {
    node.data.resize(std::min(size, kToyBytesMax));
    node.attr.size = node.data.size();
    node.attr.allocated = node.data.size();
  }
  client::OpenedFile opened(Node& node, const client::OpenOptions& options) REQUIRES(mutex_) {
    seen_.open = options;
    handles_[++last_handle_] = {node.attr.ino, options.append};
    return {last_handle_, node.attr, keep_cache_, direct};
  }
  Result<Node*> of_handle(client::HandleId handle) REQUIRES(mutex_) {
    const auto found = handles_.find(handle);
    if (found == handles_.end()) return Error(EBADF);
    return find(found->second.ino);
  }
  const meta::Lock* conflict(Ino ino, const meta::Lock& wanted) REQUIRES(mutex_) {
    for (const auto& [on, held] : locks_) {
      const bool overlap = held.start <= wanted.end && wanted.start <= held.end;
      const bool exclusive =
          held.type == meta::LockType::kWrite || wanted.type == meta::LockType::kWrite;
      if (on == ino && held.kind == wanted.kind && held.owner != wanted.owner && overlap &&
          exclusive) {
        return &held;
      }
    }
    return nullptr;
  }
  template <typename Which>
  void drop_locks(const Which& which) REQUIRES(mutex_) {
    locks_.remove_if([&](const auto& lock) { return which(lock.first, lock.second); });
  }
  void take(Ino ino, const meta::Lock& wanted) REQUIRES(mutex_) {
    drop_locks([&](Ino on, const meta::Lock& held) {
      return on == ino && held.kind == wanted.kind && held.owner == wanted.owner &&
             held.start <= wanted.end && wanted.start <= held.end;
    });
    if (wanted.type != meta::LockType::kUnlock) locks_.emplace_back(ino, wanted);
  }
  // Grants what has become free. `lock` is held before and after.
  Status grant(MutexLock& lock) NO_THREAD_SAFETY_ANALYSIS {
    for (auto waiting = waiting_.begin(); waiting != waiting_.end();) {
      if (conflict(waiting->ino, waiting->lock) != nullptr) {
        ++waiting;
        continue;
      }
      take(waiting->ino, waiting->lock);
      const auto done = std::move(waiting->done);
      waiting_.erase(waiting);
      lock.unlock();
      done({});
      lock.lock();
      waiting = waiting_.begin();
    }
    return {};
  }

  client::InvalidationSink* sink_ = nullptr;
  std::atomic<bool> keep_cache_{true};
  std::atomic<bool> killed_{true};
  Mutex mutex_;
  CondVar changed_;
  Seen seen_ GUARDED_BY(mutex_);
  int fail_ GUARDED_BY(mutex_) = 0;
  bool unblocked_ GUARDED_BY(mutex_) = false;
  std::map<Ino, Node> nodes_ GUARDED_BY(mutex_);
  std::map<client::HandleId, Handle> handles_ GUARDED_BY(mutex_);
  std::list<std::pair<Ino, meta::Lock>> locks_ GUARDED_BY(mutex_);
  std::list<Waiting> waiting_ GUARDED_BY(mutex_);
  Ino last_ino_ GUARDED_BY(mutex_) = kRootIno;
  client::HandleId last_handle_ GUARDED_BY(mutex_) = 0;
  uint64_t last_ticket_ GUARDED_BY(mutex_) = 0;
};

}  // namespace shoal::fuse
