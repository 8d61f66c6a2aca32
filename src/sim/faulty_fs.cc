#include "sim/faulty_fs.h"

#include <algorithm>
#include <atomic>
#include <utility>

namespace shoal::sim {

namespace {

using Fault = FaultyFs::Fault;

Error injected(FsCall call, const Path& path, const Fault& fault) {
  return error(fault.code, "{} {}: injected fault", to_string(call), path);
}

// Makes the call, or fails as `fault` says.
template <typename Call>
auto perform(FsCall kind, const Path& path, const Fault& fault, Call call) -> decltype(call()) {
  if (fault.code == 0) return call();
  if (fault.effect == Fault::Effect::kFull) {
    auto made = call();
    if (!made.ok()) return made;
  }
  return injected(kind, path, fault);
}

class FaultyFile final : public File {
 public:
  FaultyFile(FaultyFs& fs, std::unique_ptr<File> below, Path path)
      : fs_(fs), below_(std::move(below)), path_(std::move(path)) {}

  Result<size_t> read_at(uint64_t offset, MutableBytes into) override {
    return through(FsCall::kRead, [&] { return below_->read_at(offset, into); });
  }
  Status write_at(uint64_t offset, ByteView bytes) override {
    return write_spans_at(offset, std::span(&bytes, 1));
  }
  Status write_spans_at(uint64_t offset, std::span<const ByteView> spans) override;
  Status sync_data() override {
    return synced(FsCall::kSyncData, [this] { return below_->sync_data(); });
  }
  Status sync() override {
    return synced(FsCall::kSync, [this] { return below_->sync(); });
  }
  Result<uint64_t> size() const override {
    return through(FsCall::kSize, [&] { return below_->size(); });
  }
  Status truncate(uint64_t size) override {
    return through(FsCall::kTruncate, [&] { return below_->truncate(size); });
  }
  Status allocate(uint64_t offset, uint64_t length) override {
    return through(FsCall::kAllocate, [&] { return below_->allocate(offset, length); });
  }
  Status punch(uint64_t offset, uint64_t length) override {
    return through(FsCall::kPunch, [&] { return below_->punch(offset, length); });
  }

 private:
  template <typename Call>
  auto through(FsCall kind, Call call) const -> decltype(call()) {
    return perform(kind, path_, fs_.count_and_decide(kind, path_), call);
  }
  // Failure sticks to the handle, as in RealFs: a second sync must not bless what the first one
  // lost.
  template <typename Call>
  Status synced(FsCall kind, Call call) {
    Status done = through(kind, call);
    if (!done.ok()) {
      sync_failed_ = true;
      return done;
    }
    if (sync_failed_) return error(EIO, "sync {}: an earlier sync failed", path_);
    return done;
  }

  FaultyFs& fs_;
  const std::unique_ptr<File> below_;
  const Path path_;
  std::atomic<bool> sync_failed_ = false;
};

Status FaultyFile::write_spans_at(uint64_t offset, std::span<const ByteView> spans) {
  const Fault fault = fs_.count_and_decide(FsCall::kWrite, path_);
  if (fault.code != 0 && fault.effect == Fault::Effect::kPartial) {
    uint64_t left = fault.bytes;
    for (const ByteView span : spans) {
      const ByteView part = span.first(static_cast<size_t>(std::min<uint64_t>(left, span.size())));
      if (!part.empty()) TRY(below_->write_at(offset, part));
      offset += part.size();
      left -= part.size();
    }
  }
  return perform(FsCall::kWrite, path_, fault,
                 [&] { return below_->write_spans_at(offset, spans); });
}

}  // namespace

std::string_view to_string(FsCall call) {
  constexpr std::array<std::string_view, kFsCalls> kNames = {
      "open",     "read",  "write",    "sync_data", "sync",       "size",   "truncate",
      "allocate", "punch", "make_dir", "remove",    "remove_dir", "rename", "link",
      "list",     "stat",  "sync_dir", "space",     "lock"};
  return kNames[static_cast<size_t>(call)];
}

void FaultyFs::decide(Decide decide) {
  auto shared = decide ? std::make_shared<const Decide>(std::move(decide)) : nullptr;
  MutexLock lock(mutex_);
  decide_.swap(shared);
}

void FaultyFs::fail_nth(uint64_t n, Fault fault, Times times) {
  const uint64_t first = calls() + n;
  decide([=](FsCall, const Path&, uint64_t number) {
    const bool hit = times == Times::kOnce ? number == first : number >= first;
    return hit ? fault : Fault{};
  });
}

void FaultyFs::fail_nth(FsCall call, uint64_t n, Fault fault, Times times) {
  auto seen = std::make_shared<std::atomic<uint64_t>>(0);  // shared by copies of the function
  decide([=](FsCall now, const Path&, uint64_t) {
    if (now != call) return Fault{};
    const uint64_t number = ++*seen;
    const bool hit = times == Times::kOnce ? number == n : number >= n;
    return hit ? fault : Fault{};
  });
}

uint64_t FaultyFs::calls() const {
  MutexLock lock(mutex_);
  return calls_in_all_;
}

uint64_t FaultyFs::calls(FsCall call) const {
  MutexLock lock(mutex_);
  return calls_[static_cast<size_t>(call)];
}

uint64_t FaultyFs::faults() const {
  MutexLock lock(mutex_);
  return faults_;
}

Fault FaultyFs::count_and_decide(FsCall call, const Path& path) {
  std::shared_ptr<const Decide> decide;
  uint64_t n = 0;
  {
    MutexLock lock(mutex_);
    ++calls_[static_cast<size_t>(call)];
    n = ++calls_in_all_;
    decide = decide_;
  }
  if (decide == nullptr) return {};
  const Fault fault = (*decide)(call, path, n);
  if (fault.code != 0) {
    MutexLock lock(mutex_);
    ++faults_;
  }
  return fault;
}

Result<std::unique_ptr<File>> FaultyFs::open(const Path& path, OpenMode mode) {
  return perform(
      FsCall::kOpen, path, count_and_decide(FsCall::kOpen, path),
      [&]() -> Result<std::unique_ptr<File>> {
        TRY_ASSIGN(auto file, below_.open(path, mode));
        return std::unique_ptr<File>(std::make_unique<FaultyFile>(*this, std::move(file), path));
      });
}

Status FaultyFs::make_dir(const Path& path) {
  return perform(FsCall::kMakeDir, path, count_and_decide(FsCall::kMakeDir, path),
                 [&] { return below_.make_dir(path); });
}

Status FaultyFs::remove(const Path& path) {
  return perform(FsCall::kRemove, path, count_and_decide(FsCall::kRemove, path),
                 [&] { return below_.remove(path); });
}

Status FaultyFs::remove_dir(const Path& path) {
  return perform(FsCall::kRemoveDir, path, count_and_decide(FsCall::kRemoveDir, path),
                 [&] { return below_.remove_dir(path); });
}

Status FaultyFs::rename(const Path& from, const Path& to) {
  return perform(FsCall::kRename, from, count_and_decide(FsCall::kRename, from),
                 [&] { return below_.rename(from, to); });
}

Status FaultyFs::link(const Path& from, const Path& to) {
  return perform(FsCall::kLink, from, count_and_decide(FsCall::kLink, from),
                 [&] { return below_.link(from, to); });
}

Result<std::vector<std::string>> FaultyFs::list(const Path& folder) {
  return perform(FsCall::kList, folder, count_and_decide(FsCall::kList, folder),
                 [&] { return below_.list(folder); });
}

Result<FileInfo> FaultyFs::stat(const Path& path) {
  return perform(FsCall::kStat, path, count_and_decide(FsCall::kStat, path),
                 [&] { return below_.stat(path); });
}

Status FaultyFs::sync_dir(const Path& folder) {
  return perform(FsCall::kSyncDir, folder, count_and_decide(FsCall::kSyncDir, folder),
                 [&] { return below_.sync_dir(folder); });
}

Result<DiskSpace> FaultyFs::space(const Path& path) {
  return perform(FsCall::kSpace, path, count_and_decide(FsCall::kSpace, path),
                 [&] { return below_.space(path); });
}

Result<std::unique_ptr<FileLock>> FaultyFs::lock(const Path& path) {
  return perform(FsCall::kLock, path, count_and_decide(FsCall::kLock, path),
                 [&] { return below_.lock(path); });
}

}  // namespace shoal::sim
