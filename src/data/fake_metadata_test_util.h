// An owner for tests of staging: keeps the rules of meta::Metadata for segments and data records
// (design §6.2), and nothing else. Its state lives in a FakeEngine, a log of states whose unsynced
// tail a power cut may take.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "meta/metadata.h"
#include "sys/mutex.h"
#include "sys/random.h"

namespace shoal::meta {

// Every operation that staging never asks for.
class UnansweredMetadata : public Metadata {
 public:
  void session_events(SessionId, std::function<void(const SessionEvent&)>) override {}
  Result<SessionId> session_open(const std::string&, const std::string&) override {
    return Error(ENOSYS);
  }
  Status session_close(SessionId) override { return Error(ENOSYS); }
  Result<Attr> lookup(const Request&, Ino, std::string_view) override { return Error(ENOSYS); }
  Result<Attr> getattr(const Request&, Ino) override { return Error(ENOSYS); }
  std::vector<Result<Attr>> getattr_many(const Request&, const std::vector<Ino>&) override {
    return {};
  }
  Result<Attr> lookup_path(const Request&, Ino, std::string_view) override { return Error(ENOSYS); }
  Result<Attr> mknod(const Request&, Ino, std::string_view, uint32_t, uint64_t) override {
    return Error(ENOSYS);
  }
  Result<Attr> mkdir(const Request&, Ino, std::string_view, uint32_t) override {
    return Error(ENOSYS);
  }
  Result<Attr> symlink(const Request&, Ino, std::string_view, std::string_view) override {
    return Error(ENOSYS);
  }
  Result<Attr> link(const Request&, Ino, Ino, std::string_view) override { return Error(ENOSYS); }
  Result<Created> create(const Request&, Ino, std::string_view, uint32_t, OpenFlags,
                         bool) override {
    return Error(ENOSYS);
  }
  std::vector<Result<Created>> create_many(const Request&, Ino,
                                           const std::vector<CreateMany>&) override {
    return {};
  }
  Result<Opened> create_unnamed(const Request&, Ino, uint32_t, OpenFlags) override {
    return Error(ENOSYS);
  }
  Result<Attr> unlink(const Request&, Ino, std::string_view) override { return Error(ENOSYS); }
  Result<Attr> rmdir(const Request&, Ino, std::string_view) override { return Error(ENOSYS); }
  Result<Renamed> rename(const Request&, Ino, std::string_view, Ino, std::string_view,
                         RenameMode) override {
    return Error(ENOSYS);
  }
  Result<std::string> readlink(const Request&, Ino) override { return Error(ENOSYS); }
  Result<Attr> setattr(const Request&, Ino, const SetAttr&) override { return Error(ENOSYS); }
  Result<DirPage> readdir(const Request&, Ino, std::string_view, size_t, bool) override {
    return Error(ENOSYS);
  }
  Result<Opened> open(const Request&, Ino, OpenFlags) override { return Error(ENOSYS); }
  Status release(const Request&, Ino, OpenFlags) override { return Error(ENOSYS); }
  Result<std::string> getxattr(const Request&, Ino, std::string_view) override {
    return Error(ENOSYS);
  }
  Result<std::vector<std::string>> listxattr(const Request&, Ino) override { return Error(ENOSYS); }
  Status setxattr(const Request&, Ino, std::string_view, std::string_view, XattrMode,
                  bool) override {
    return Error(ENOSYS);
  }
  Status removexattr(const Request&, Ino, std::string_view) override { return Error(ENOSYS); }
  Result<ExtentPage> extents(const Request&, Ino, uint64_t, size_t) override {
    return Error(ENOSYS);
  }
  Result<SegmentPlace> segment_place(const SegmentId&) override { return Error(ENOENT); }
  Result<Attr> copy_range(const Request&, Ino, uint64_t, Ino, uint64_t, uint64_t) override {
    return Error(ENOSYS);
  }
  Result<uint64_t> space_grant(const Request&, uint64_t) override { return Error(ENOSYS); }
  void space_return(const Request&, uint64_t) override {}
  Result<Lock> lock_get(const Request&, Ino, const Lock&) override { return Error(ENOSYS); }
  Status lock_set(const Request&, Ino, const Lock&) override { return Error(ENOSYS); }
  uint64_t lock_wait(const Request&, Ino, const Lock&, std::function<void(Status)>) override {
    return 0;
  }
  void lock_cancel(uint64_t) override {}
  void release_posix_locks(const Request&, Ino, uint64_t) override {}
  void release_handle_locks(const Request&, Ino, uint64_t) override {}
  Result<VolumeUsage> usage() override { return Error(ENOSYS); }
  Result<format::Volume> volume() override { return Error(ENOSYS); }
  Stamp inode_stamp(Ino) override { return 0; }
};

}  // namespace shoal::meta

namespace shoal::data {

struct FakeInode {
  uint64_t generation = 0;
  uint64_t applied = 0;  // sequence
  Stamp version = 0;
  std::vector<meta::DataRecord> records;  // applied, in order
};

struct FakeState {
  std::map<SegmentId, format::Segment> segments;
  std::map<Ino, FakeInode> inodes;
  Stamp stamp = 1;
};

class FakeEngine {
 public:
  FakeEngine() : states_{FakeState{}} {}
  FakeState current() const;
  void commit(FakeState state);  // with the next stamp set by the caller
  void sync();
  Stamp synced_stamp() const;
  void cut(Random& random);  // keeps the synced state or any later one

 private:
  mutable Mutex mutex_;
  std::vector<FakeState> states_ GUARDED_BY(mutex_);  // the first is durable
};

class FakeOwner final : public meta::UnansweredMetadata {
 public:
  explicit FakeOwner(FakeEngine& engine) : engine_(engine) {}

  // After this every call is EIO and nothing reaches the engine: the process is dead.
  void die();
  void die_when(std::function<bool()> dead) { dead_when_ = std::move(dead); }
  void fail(int times) { failures_ = times; }  // the next segment_stored answer EIO
  void remove_inode(Ino ino);
  // Records that named a segment without `B`, and every other broken promise of staging; must stay
  // empty.
  std::vector<std::string> violations() const;

  Result<uint32_t> store_open(SessionId, const Uuid&, const std::string&, const std::string&,
                              uint64_t, const std::string&) override {
    return 1u;
  }
  Status segment_open(const meta::Request& request, const SegmentId& id, uint32_t store) override;
  Result<meta::CommitReply> commit_data(const meta::Request& request, uint32_t store,
                                        const std::vector<meta::DataRecord>& records) override;
  Status segment_stored(const meta::Request& request, const SegmentId& id, uint64_t length,
                        bool complete) override;
  Status segment_discard(const meta::Request& request, const SegmentId& id) override;
  Result<std::vector<meta::SegmentInfo>> store_segments(uint32_t store) override;
  Result<meta::SegmentPlace> segment_place(const SegmentId& id) override;
  Status sync() override;
  Stamp committed_stamp() override;
  Stamp synced_stamp() override;

 private:
  meta::DataOutcome apply(FakeState& state, const meta::DataRecord& record);

  bool dead() REQUIRES(mutex_) { return dead_ || (dead_when_ && dead_when_()); }

  FakeEngine& engine_;
  std::function<bool()> dead_when_;
  mutable Mutex mutex_;
  bool dead_ GUARDED_BY(mutex_) = false;
  std::vector<std::string> violations_ GUARDED_BY(mutex_);
  std::atomic<int> failures_{0};
};

}  // namespace shoal::data
