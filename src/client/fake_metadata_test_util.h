// FakeMetadata: an owner over plain maps, for tests of the client. Exact about what the client
// depends on: sequences and base versions of data records, open counts, space grants, stamps, and
// what a power cut takes (lose_unsynced).
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "base/check.h"
#include "base/limits.h"
#include "format/inode.h"
#include "meta/metadata.h"
#include "sys/clock.h"
#include "sys/mutex.h"

namespace shoal::client {

class FakeMetadata final : public meta::Metadata {
 public:
  explicit FakeMetadata(const Clock& clock) : clock_(clock) {
    Node root;
    root.attr.ino = kRootIno;
    root.attr.parent = kRootIno;
    root.attr.mode = 0040755;
    root.attr.nlink = 2;
    now_.nodes[kRootIno] = root;
    synced_ = now_;
  }

  // --- for tests ---
  uint64_t capacity_bytes = 0;
  format::Durability durability = format::Durability::kLocal;
  int fail_commits = 0;  // the next so many commit_data answer EIO
  int fail_syncs = 0;
  std::function<void(const std::string&)> trace = [](const std::string&) {};
  std::function<void()> before_commit = [] {};
  std::function<void()> before_rename = [] {};
  uint64_t commit_calls = 0;
  uint64_t conflicts = 0;

  void lose_unsynced() {  // power cut
    MutexLock lock(mutex_);
    const Stamp last = now_.stamp;
    now_ = synced_;
    now_.stamp = last + 1000;  // stamps never recur
    end_session();
  }
  void lose_session() {  // SIGKILL
    MutexLock lock(mutex_);
    end_session();
  }
  uint64_t open_count(Ino ino) {
    MutexLock lock(mutex_);
    return opens_[ino];
  }
  uint64_t granted() {
    MutexLock lock(mutex_);
    return granted_;
  }
  uint64_t used_bytes() {
    MutexLock lock(mutex_);
    return used();
  }

  // --- meta::Metadata ---
  Result<SessionId> session_open(const std::string&, const std::string&) override {
    return SessionId{1};
  }
  Status session_close(SessionId) override { return {}; }
  void session_events(SessionId, std::function<void(const meta::SessionEvent&)>) override {}
  Result<uint32_t> store_open(SessionId, const Uuid&, const std::string&, const std::string&,
                              uint64_t, const std::string&) override {
    return 1u;
  }

  Result<meta::Attr> lookup(const meta::Request&, Ino parent, std::string_view name) override {
    MutexLock lock(mutex_);
    const auto it = now_.names.find({parent, std::string(name)});
    if (it == now_.names.end()) return Error(ENOENT);
    return now_.nodes[it->second].attr;
  }
  Result<meta::Attr> getattr(const meta::Request&, Ino ino) override {
    MutexLock lock(mutex_);
    const auto it = now_.nodes.find(ino);
    if (it == now_.nodes.end()) return Error(ENOENT);
    return it->second.attr;
  }
  std::vector<Result<meta::Attr>> getattr_many(const meta::Request& request,
                                               const std::vector<Ino>& inos) override {
    std::vector<Result<meta::Attr>> all;
    for (const Ino ino : inos) all.push_back(getattr(request, ino));
    return all;
  }
  Result<meta::Attr> lookup_path(const meta::Request&, Ino, std::string_view) override {
    return Error(ENOSYS);
  }
  Result<meta::Attr> mknod(const meta::Request&, Ino parent, std::string_view name, uint32_t mode,
                           uint64_t) override {
    MutexLock lock(mutex_);
    return make(parent, name, mode);
  }
  Result<meta::Attr> mkdir(const meta::Request&, Ino parent, std::string_view name,
                           uint32_t mode) override {
    MutexLock lock(mutex_);
    return make(parent, name, 0040000 | mode);
  }
  Result<meta::Attr> symlink(const meta::Request&, Ino, std::string_view,
                             std::string_view) override {
    return Error(ENOSYS);
  }
  Result<meta::Attr> link(const meta::Request&, Ino ino, Ino parent,
                          std::string_view name) override {
    MutexLock lock(mutex_);
    now_.names[{parent, std::string(name)}] = ino;
    Node& node = now_.nodes[ino];
    ++node.attr.nlink;
    node.stamp = ++now_.stamp;
    return node.attr;
  }
  Result<meta::Created> create(const meta::Request&, Ino parent, std::string_view name,
                               uint32_t mode, meta::OpenFlags, bool exclusive) override {
    MutexLock lock(mutex_);
    meta::Created created;
    const auto it = now_.names.find({parent, std::string(name)});
    if (it != now_.names.end()) {
      if (exclusive) return Error(EEXIST);
      created.existed = true;
      created.opened = opened(it->second);
    } else {
      created.opened = opened(make(parent, name, 0100000 | mode).ino);
    }
    return created;
  }
  std::vector<Result<meta::Created>> create_many(const meta::Request&, Ino,
                                                 const std::vector<CreateMany>&) override {
    return {};
  }
  Result<meta::Opened> create_unnamed(const meta::Request&, Ino parent, uint32_t mode,
                                      meta::OpenFlags) override {
    MutexLock lock(mutex_);
    const Ino ino = make(parent, "", 0100000 | mode).ino;
    now_.names.erase({parent, ""});
    now_.nodes[ino].attr.nlink = 0;
    return opened(ino);
  }
  Result<meta::Attr> unlink(const meta::Request&, Ino parent, std::string_view name) override {
    MutexLock lock(mutex_);
    const auto it = now_.names.find({parent, std::string(name)});
    if (it == now_.names.end()) return Error(ENOENT);
    trace("unlink");
    const Ino ino = it->second;
    now_.names.erase(it);
    ++now_.stamp;
    return lose_name(ino);
  }
  Result<meta::Attr> rmdir(const meta::Request&, Ino, std::string_view) override {
    return Error(ENOSYS);
  }
  Result<Renamed> rename(const meta::Request&, Ino parent, std::string_view name, Ino new_parent,
                         std::string_view new_name, meta::RenameMode mode) override {
    before_rename();
    MutexLock lock(mutex_);
    const auto from = now_.names.find({parent, std::string(name)});
    if (from == now_.names.end()) return Error(ENOENT);
    trace("rename");
    const Ino ino = from->second;
    const std::pair<Ino, std::string> target{new_parent, std::string(new_name)};
    const auto to = now_.names.find(target);
    Renamed renamed;
    if (to != now_.names.end()) {
      if (mode == meta::RenameMode::kNoReplace) return Error(EEXIST);
      if (to->second == ino) {
        renamed.moved = now_.nodes[ino].attr;
        return renamed;
      }
      if (mode == meta::RenameMode::kExchange) {
        from->second = to->second;
        now_.nodes[to->second].attr.parent = parent;
        now_.nodes[to->second].stamp = now_.stamp + 1;
        renamed.replaced = now_.nodes[to->second].attr;
      } else {
        renamed.replaced = lose_name(to->second);
      }
    }
    if (mode != meta::RenameMode::kExchange || to == now_.names.end()) now_.names.erase(from);
    now_.names[target] = ino;
    Node& node = now_.nodes[ino];
    node.attr.parent = new_parent;
    node.stamp = ++now_.stamp;
    renamed.moved = node.attr;
    return renamed;
  }
  Result<std::string> readlink(const meta::Request&, Ino) override { return Error(EINVAL); }
  Result<meta::Attr> setattr(const meta::Request&, Ino ino, const meta::SetAttr& change) override {
    MutexLock lock(mutex_);
    const auto it = now_.nodes.find(ino);
    if (it == now_.nodes.end()) return Error(ENOENT);
    meta::Attr& attr = it->second.attr;
    if (change.mode) attr.mode = (attr.mode & 0170000) | *change.mode;
    if (change.uid) attr.uid = *change.uid;
    if (change.flags) attr.flags = *change.flags;
    const Time now = clock_.now();
    if (change.mtime) attr.mtime = change.mtime->now ? now : change.mtime->time;
    if (change.atime) attr.atime = change.atime->now ? now : change.atime->time;
    if (change.kill_privileges) {
      trace("kill_privileges");
      attr.mode &= ~06000u;
      attr.has_capability = false;
    }
    attr.ctime = now;
    it->second.stamp = ++now_.stamp;
    return attr;
  }
  Result<meta::DirPage> readdir(const meta::Request&, Ino ino, std::string_view after, size_t limit,
                                bool with_attributes) override {
    MutexLock lock(mutex_);
    meta::DirPage page;
    for (auto it = now_.names.upper_bound({ino, std::string(after)}); it != now_.names.end();
         ++it) {
      if (it->first.first != ino) break;
      if (page.entries.size() == limit) {
        page.more = true;
        break;
      }
      meta::DirEntry entry;
      entry.name = it->first.second;
      entry.ino = it->second;
      if (with_attributes) entry.attr = now_.nodes[it->second].attr;
      page.entries.push_back(entry);
    }
    return page;
  }

  Result<meta::Opened> open(const meta::Request&, Ino ino, meta::OpenFlags) override {
    MutexLock lock(mutex_);
    if (!now_.nodes.contains(ino)) return Error(ENOENT);
    return opened(ino);
  }
  Status release(const meta::Request&, Ino ino, meta::OpenFlags) override {
    MutexLock lock(mutex_);
    CHECK(opens_[ino] > 0);
    if (--opens_[ino] == 0) {
      opens_.erase(ino);
      const auto it = now_.nodes.find(ino);
      if (it != now_.nodes.end() && it->second.attr.nlink == 0) now_.nodes.erase(it);
    }
    return {};
  }

  Result<std::string> getxattr(const meta::Request&, Ino ino, std::string_view name) override {
    MutexLock lock(mutex_);
    const auto it = now_.nodes[ino].xattrs.find(std::string(name));
    if (it == now_.nodes[ino].xattrs.end()) return Error(ENODATA);
    return it->second;
  }
  Result<std::vector<std::string>> listxattr(const meta::Request&, Ino) override {
    return std::vector<std::string>{};
  }
  Status setxattr(const meta::Request&, Ino ino, std::string_view name, std::string_view value,
                  XattrMode, bool) override {
    MutexLock lock(mutex_);
    now_.nodes[ino].xattrs[std::string(name)] = std::string(value);
    if (name == "security.capability") now_.nodes[ino].attr.has_capability = true;
    return {};
  }
  Status removexattr(const meta::Request&, Ino ino, std::string_view name) override {
    MutexLock lock(mutex_);
    if (now_.nodes[ino].xattrs.erase(std::string(name)) == 0) return Error(ENODATA);
    if (name == "security.capability") now_.nodes[ino].attr.has_capability = false;
    return {};
  }

  Result<meta::ExtentPage> extents(const meta::Request&, Ino ino, uint64_t from,
                                   size_t limit) override {
    MutexLock lock(mutex_);
    const auto it = now_.nodes.find(ino);
    if (it == now_.nodes.end()) return Error(ENOENT);
    meta::ExtentPage page;
    page.data_version = it->second.attr.data_version;
    page.size = it->second.attr.size;
    for (const auto& [offset, extent] : it->second.extents) {
      if (extent.end() <= from) continue;
      if (page.extents.size() == std::min(limit, extent_page_max)) {
        page.more = true;
        break;
      }
      page.extents.push_back(extent);
    }
    return page;
  }
  size_t extent_page_max = 1000;  // small values make tests page

  Status segment_open(const meta::Request&, const SegmentId&, uint32_t) override { return {}; }
  Result<meta::CommitReply> commit_data(const meta::Request&, uint32_t store,
                                        const std::vector<meta::DataRecord>& records) override {
    before_commit();
    MutexLock lock(mutex_);
    ++commit_calls;
    if (fail_commits > 0) {
      --fail_commits;
      return error(EIO, "injected");
    }
    trace("commit_data");
    CHECK(store == 1 && records.size() <= kPageEntriesMax);
    meta::CommitReply reply;
    std::set<Ino> seen;
    std::vector<Ino> order;
    const Stamp stamp = ++now_.stamp;
    std::map<Ino, Stamp> met;
    for (const meta::DataRecord& record : records) {
      const auto node = now_.nodes.find(record.header.ino);
      if (node != now_.nodes.end()) met.try_emplace(node->first, node->second.attr.data_version);
      reply.outcomes.push_back({apply(record, stamp), 0});
      if (seen.insert(record.header.ino).second) order.push_back(record.header.ino);
    }
    for (const Ino ino : order) {
      const auto it = now_.nodes.find(ino);
      if (it != now_.nodes.end()) reply.inodes.push_back({ino, it->second.attr, met[ino]});
    }
    return reply;
  }
  Status segment_stored(const meta::Request&, const SegmentId&, uint64_t, bool) override {
    return {};
  }
  Status segment_discard(const meta::Request&, const SegmentId&) override { return {}; }
  Result<meta::SegmentPlace> segment_place(const SegmentId&) override { return Error(ENOENT); }
  Result<std::vector<meta::SegmentInfo>> store_segments(uint32_t) override {
    return std::vector<meta::SegmentInfo>{};
  }
  Result<meta::Attr> copy_range(const meta::Request&, Ino source, uint64_t from, Ino target,
                                uint64_t to, uint64_t length) override {
    MutexLock lock(mutex_);
    trace("copy_range");
    std::vector<format::Extent> shared;
    for (const auto& [offset, extent] : now_.nodes[source].extents) {
      const uint64_t begin = std::max(from, extent.offset),
                     end = std::min(from + length, extent.end());
      if (begin >= end) continue;
      format::Extent part = extent;
      part.offset = begin - from + to;
      part.length = end - begin;
      part.first = extent.first + (begin - extent.offset);
      shared.push_back(part);
    }
    Node& node = now_.nodes[target];
    cut(node, to, to + length);
    for (const format::Extent& extent : shared) node.extents[extent.offset] = extent;
    node.attr.size = std::max(node.attr.size, to + length);
    node.attr.mtime = node.attr.ctime = clock_.now();
    node.attr.data_version = node.stamp = ++now_.stamp;
    recount(node);
    return node.attr;
  }
  Result<uint64_t> space_grant(const meta::Request&, uint64_t want) override {
    MutexLock lock(mutex_);
    const uint64_t taken = used() + granted_;
    const uint64_t free =
        capacity_bytes == 0 ? want : capacity_bytes - std::min(capacity_bytes, taken);
    const uint64_t granted = std::min(free, want);
    if (granted == 0) return Error(ENOSPC);
    granted_ += granted;
    return granted;
  }
  void space_return(const meta::Request&, uint64_t bytes) override {
    MutexLock lock(mutex_);
    granted_ -= std::min(granted_, bytes);
  }

  Result<meta::Lock> lock_get(const meta::Request&, Ino, const meta::Lock& wanted) override {
    return wanted;
  }
  Status lock_set(const meta::Request&, Ino, const meta::Lock&) override { return {}; }
  uint64_t lock_wait(const meta::Request&, Ino, const meta::Lock&,
                     std::function<void(Status)> done) override {
    done({});
    return 1;
  }
  void lock_cancel(uint64_t) override {}
  void release_posix_locks(const meta::Request&, Ino, uint64_t owner) override {
    trace("release_posix_locks " + std::to_string(owner));
  }
  void release_handle_locks(const meta::Request&, Ino, uint64_t) override {
    trace("release_handle_locks");
  }

  Result<meta::VolumeUsage> usage() override {
    MutexLock lock(mutex_);
    meta::VolumeUsage usage;
    usage.capacity_bytes = capacity_bytes;
    usage.used_bytes = used();
    usage.inodes = now_.nodes.size();
    return usage;
  }
  Result<format::Volume> volume() override {
    format::Volume volume;
    volume.name = "test";
    volume.durability = durability;
    return volume;
  }
  Status sync() override {
    MutexLock lock(mutex_);
    if (fail_syncs > 0) {
      --fail_syncs;
      return error(EIO, "injected");
    }
    trace("sync_engine");
    synced_ = now_;
    return {};
  }
  Stamp committed_stamp() override {
    MutexLock lock(mutex_);
    return now_.stamp;
  }
  Stamp synced_stamp() override {
    MutexLock lock(mutex_);
    return synced_.stamp;
  }
  Stamp inode_stamp(Ino ino) override {
    MutexLock lock(mutex_);
    const auto it = now_.nodes.find(ino);
    return it == now_.nodes.end() ? 0 : it->second.stamp;
  }

 private:
  struct Node {
    meta::Attr attr;
    std::map<uint64_t, format::Extent> extents;
    std::map<std::string, std::string> xattrs;
    uint64_t applied = 0;
    Stamp stamp = 0;  // of the last change of it or of a name of it
  };
  struct Volume {
    std::map<Ino, Node> nodes;
    std::map<std::pair<Ino, std::string>, Ino> names;
    Stamp stamp = 1;
  };

  void end_session() REQUIRES(mutex_) {
    opens_.clear();
    granted_ = 0;
    std::erase_if(now_.nodes, [](const auto& entry) { return entry.second.attr.nlink == 0; });
  }
  uint64_t used() REQUIRES(mutex_) {
    uint64_t bytes = 0;
    for (const auto& [ino, node] : now_.nodes) bytes += node.attr.allocated;
    return bytes;
  }
  meta::Attr make(Ino parent, std::string_view name, uint32_t mode) REQUIRES(mutex_) {
    const Ino ino = next_ino_++;
    Node& node = now_.nodes[ino];
    node.attr.ino = ino;
    node.attr.parent = parent;
    node.attr.mode = mode;
    node.attr.nlink = 1;
    node.attr.generation = ino * 7;
    node.attr.atime = node.attr.mtime = node.attr.ctime = node.attr.btime = clock_.now();
    node.stamp = ++now_.stamp;
    now_.names[{parent, std::string(name)}] = ino;
    return node.attr;
  }
  meta::Opened opened(Ino ino) REQUIRES(mutex_) {
    ++opens_[ino];
    meta::Opened result;
    const Node& node = now_.nodes[ino];
    result.attr = node.attr;
    result.extents_known = node.extents.size() <= kExtentsInline;
    if (!result.extents_known) return result;
    for (const auto& [offset, extent] : node.extents) result.extents.push_back(extent);
    return result;
  }
  meta::Attr lose_name(Ino ino) REQUIRES(mutex_) {
    Node& node = now_.nodes[ino];
    --node.attr.nlink;
    node.stamp = now_.stamp;
    const meta::Attr attr = node.attr;
    if (attr.nlink == 0 && !opens_.contains(ino)) now_.nodes.erase(ino);
    return attr;
  }
  static void cut(Node& node, uint64_t from, uint64_t to) {
    auto it = node.extents.lower_bound(from);
    if (it != node.extents.begin() && std::prev(it)->second.end() > from) --it;
    std::vector<format::Extent> kept;
    while (it != node.extents.end() && it->second.offset < to) {
      const format::Extent extent = it->second;
      it = node.extents.erase(it);
      if (extent.offset < from) {
        format::Extent head = extent;
        head.length = std::min(extent.length, from - extent.offset);
        kept.push_back(head);
      }
      if (extent.end() > to) {
        format::Extent tail = extent;
        tail.offset = std::max(extent.offset, to);
        tail.first = extent.first + (tail.offset - extent.offset);
        tail.length = extent.end() - tail.offset;
        kept.push_back(tail);
      }
    }
    for (const format::Extent& extent : kept) node.extents[extent.offset] = extent;
  }
  static void recount(Node& node) {
    node.attr.allocated = 0;
    for (const auto& [offset, extent] : node.extents) node.attr.allocated += extent.length;
  }
  meta::DataOutcome::Kind apply(const meta::DataRecord& record, Stamp stamp) REQUIRES(mutex_) {
    using Kind = meta::DataOutcome::Kind;
    const format::RecordHeader& h = record.header;
    const auto it = now_.nodes.find(h.ino);
    if (it == now_.nodes.end() || it->second.attr.generation != h.generation) return Kind::kNoInode;
    Node& node = it->second;
    if (h.sequence <= node.applied) return Kind::kAlready;
    const bool follows = h.previous_sequence != 0 ? h.previous_sequence == node.applied
                                                  : h.base_version == node.attr.data_version;
    if (!follows) {
      ++conflicts;
      return Kind::kConflict;
    }
    const uint64_t before = node.attr.allocated;
    switch (h.kind) {
      case format::RecordKind::kData:
        cut(node, h.offset, h.offset + h.length);
        node.extents[h.offset] = {h.offset, h.length, *record.target, 0};
        node.attr.size = std::max(node.attr.size, h.offset + h.length);
        break;
      case format::RecordKind::kTruncate:
        cut(node, h.offset, ~uint64_t{0});
        node.attr.size = h.offset;
        break;
      case format::RecordKind::kPunch:
      case format::RecordKind::kZero:
        cut(node, h.offset, h.offset + h.length);
        if (h.kind == format::RecordKind::kZero && (h.flags & format::kRecordKeepSize) == 0) {
          node.attr.size = std::max(node.attr.size, h.offset + h.length);
        }
        break;
      case format::RecordKind::kTimes:
        if ((h.flags & format::kRecordAtime) != 0) node.attr.atime = h.atime;
        break;
      default:
        CHECK(false);
    }
    node.attr.mtime = h.mtime;
    node.attr.ctime = h.kind == format::RecordKind::kTimes
                          ? Time{static_cast<int64_t>(h.offset), static_cast<uint32_t>(h.length)}
                          : std::max(node.attr.ctime, h.mtime);
    recount(node);
    if (node.attr.allocated > before) granted_ -= std::min(granted_, node.attr.allocated - before);
    node.attr.data_version = stamp;
    node.applied = h.sequence;
    return Kind::kApplied;
  }

  const Clock& clock_;
  Mutex mutex_;
  Volume now_ GUARDED_BY(mutex_);
  Volume synced_ GUARDED_BY(mutex_);
  std::map<Ino, uint64_t> opens_ GUARDED_BY(mutex_);
  uint64_t granted_ GUARDED_BY(mutex_) = 0;
  Ino next_ino_ GUARDED_BY(mutex_) = 100;
};

}  // namespace shoal::client
