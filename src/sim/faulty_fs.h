// FaultyFs: a LocalFs before another one that fails the calls a test chooses.
//
// Fault sweep: run a scenario once and count, then once for every call with that one failing.
//
//   FaultyFs counting(disk);
//   scenario(counting);
//   for (uint64_t n = 1; n <= counting.calls(); ++n) {
//     SimFs fresh;
//     FaultyFs faulty(fresh);
//     faulty.fail_nth(n, EIO, FaultyFs::Times::kOnce);
//     scenario(faulty);             // must fail cleanly or cope
//     EXPECT_EQ(faulty.faults(), 1u);
//   }
//
// Thread-safe: with several threads the order in which calls arrive numbers them. Does not own the
// LocalFs before which it stands, and must outlive its Files.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sys/local_fs.h"
#include "sys/mutex.h"

namespace shoal::sim {

enum class FsCall {
  kOpen,
  kRead,
  kWrite,  // write_at and write_spans_at
  kSyncData,
  kSync,
  kSize,
  kTruncate,
  kAllocate,
  kPunch,
  kMakeDir,
  kRemove,
  kRemoveDir,
  kRename,  // path: the old name
  kLink,    // path: the old name
  kList,
  kStat,
  kSyncDir,
  kSpace,
  kLock,
};
inline constexpr size_t kFsCalls = static_cast<size_t>(FsCall::kLock) + 1;
std::string_view to_string(FsCall call);  // "sync_data"

class FaultyFs final : public LocalFs {
 public:
  struct Fault {
    int code = 0;  // an errno; 0: the call goes through
    enum class Effect {
      kNone,     // the call is not made
      kPartial,  // of a write: the first `bytes` are written; of other calls: as kNone
      kFull,     // the call is made, and its success reported as failure
    } effect = Effect::kNone;
    uint64_t bytes = 0;
  };
  // `n` numbers all calls of this FaultyFs from 1. Called without a lock held, by any thread.
  using Decide = std::function<Fault(FsCall call, const Path& path, uint64_t n)>;
  enum class Times { kOnce, kFromThenOn };

  explicit FaultyFs(LocalFs& below) : below_(below) {}

  // nullptr: all calls go through. Call while no other thread uses this.
  void decide(Decide decide);
  // The n-th call from now (1: the next) fails, among all calls or those of one kind.
  void fail_nth(uint64_t n, Fault fault, Times times);
  void fail_nth(FsCall call, uint64_t n, Fault fault, Times times);

  uint64_t calls() const;
  uint64_t calls(FsCall call) const;
  uint64_t faults() const;  // calls that were made to fail

  Result<std::unique_ptr<File>> open(const Path& path, OpenMode mode) override;
  Status make_dir(const Path& path) override;
  Status remove(const Path& path) override;
  Status remove_dir(const Path& path) override;
  Status rename(const Path& from, const Path& to) override;
  Status link(const Path& from, const Path& to) override;
  Result<std::vector<std::string>> list(const Path& folder) override;
  Result<FileInfo> stat(const Path& path) override;
  Status sync_dir(const Path& folder) override;
  Result<DiskSpace> space(const Path& path) override;
  Result<std::unique_ptr<FileLock>> lock(const Path& path) override;

  // Private to faulty_fs.cc, where the Files need it: counts the call and asks what becomes of it.
  Fault count_and_decide(FsCall call, const Path& path);

 private:
  LocalFs& below_;
  mutable Mutex mutex_;
  std::shared_ptr<const Decide> decide_
      GUARDED_BY(mutex_);  // shared with calls under way, which run it unlocked
  std::array<uint64_t, kFsCalls> calls_ GUARDED_BY(mutex_) = {};
  uint64_t calls_in_all_ GUARDED_BY(mutex_) = 0;
  uint64_t faults_ GUARDED_BY(mutex_) = 0;
};

}  // namespace shoal::sim
