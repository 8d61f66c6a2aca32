#include "sim/sim_fs.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "sim/sim_names.h"
#include "sys/mutex.h"

namespace shoal::sim {

namespace {

constexpr uint64_t kDirectAlignment = 4096;
constexpr uint64_t kFileBytesMax = (uint64_t{1} << 63) - 1;
constexpr uint64_t kPageBytes = SimContent::kPageBytes;

bool is_direct(OpenMode mode) {
  return mode == OpenMode::kReadDirect || mode == OpenMode::kReadWriteDirect;
}
bool is_read_only(OpenMode mode) {
  return mode == OpenMode::kRead || mode == OpenMode::kReadDirect;
}
bool may_make(OpenMode mode) {
  return mode == OpenMode::kCreate || mode == OpenMode::kCreateExclusive ||
         mode == OpenMode::kTruncate || mode == OpenMode::kReadWriteDirect;
}

Error power_is_off(const Path& path) { return error(EIO, "{}: the simulated power is cut", path); }

}  // namespace

struct SimFs::State {
  explicit State(Options given)
      : clock(given.clock), capacity_pages(given.capacity_bytes / kPageBytes) {}

  // Of every call. EIO while the power is off.
  Status powered(const Path& path) const REQUIRES(mutex) {
    return off ? power_is_off(path) : Status();
  }
  // Of every mutation that will happen: counts it, and cuts the power when its turn has come. The
  // caller then does what may be found after the cut, and returns finish().
  void begin() REQUIRES(mutex) {
    ++mutations;
    if (cut_at != 0 && mutations >= cut_at) off = true;
  }
  Status finish(const Path& path) const REQUIRES(mutex) { return powered(path); }

  Time stamp() const REQUIRES(mutex) {
    return clock != nullptr ? clock->now() : Time{static_cast<int64_t>(mutations), 0};
  }
  uint64_t free_pages() const REQUIRES(mutex) {
    return capacity_pages - std::min(used_pages, capacity_pages);
  }
  // After `node` had `pages_before` pages.
  void recount(const SimNode& node, uint64_t pages_before) REQUIRES(mutex) {
    used_pages += node.content.allocated_pages() - pages_before;
  }
  // Gives back the space of a file without name and handle.
  void release_if_unused(const SimNode& node) REQUIRES(mutex) {
    if (node.links == 0 && node.handles == 0) used_pages -= node.content.allocated_pages();
  }
  CutReport restore(uint64_t seed) REQUIRES(mutex);

  const Clock* const clock;
  mutable Mutex mutex;
  SimNames names GUARDED_BY(mutex);
  uint64_t generation GUARDED_BY(mutex) = 0;  // cuts so far; handles of earlier ones are dead
  bool off GUARDED_BY(mutex) = false;
  uint64_t mutations GUARDED_BY(mutex) = 0;
  uint64_t cut_at GUARDED_BY(mutex) = 0;  // 0: never
  uint64_t capacity_pages GUARDED_BY(mutex);
  uint64_t used_pages GUARDED_BY(mutex) = 0;
};

CutReport SimFs::State::restore(uint64_t seed) {
  SeededRandom random(seed);
  CutReport report;
  used_pages = 0;
  names.cut(random, report, [&](SimNode& file) NO_THREAD_SAFETY_ANALYSIS {
    file.content.cut(random, report);
    used_pages += file.content.allocated_pages();
  });
  ++generation;
  off = false;
  cut_at = 0;
  return report;
}

namespace {

class SimFile final : public File {
 public:
  SimFile(std::shared_ptr<SimFs::State> fs, SimNode::Ptr node, uint64_t generation, Path path,
          OpenMode mode)
      : fs_(std::move(fs)),
        node_(std::move(node)),
        generation_(generation),
        path_(std::move(path)),
        mode_(mode) {}
  ~SimFile() override {
    MutexLock lock(fs_->mutex);
    if (generation_ != fs_->generation) return;
    --node_->handles;
    fs_->release_if_unused(*node_);
  }

  Result<size_t> read_at(uint64_t offset, MutableBytes into) override;
  Status write_at(uint64_t offset, ByteView bytes) override {
    return write_spans_at(offset, std::span(&bytes, 1));
  }
  Status write_spans_at(uint64_t offset, std::span<const ByteView> spans) override;
  Status sync_data() override { return sync(); }
  Status sync() override;
  Result<uint64_t> size() const override;
  Status truncate(uint64_t size) override;
  Status allocate(uint64_t offset, uint64_t length) override;
  Status punch(uint64_t offset, uint64_t length) override;

 private:
  Status alive() const REQUIRES(fs_->mutex) {
    if (generation_ != fs_->generation) {
      return error(EIO, "{}: opened before the simulated power was cut; open it again", path_);
    }
    return fs_->powered(path_);
  }
  Status writable(uint64_t offset, uint64_t length) const REQUIRES(fs_->mutex);
  Status aligned(uint64_t offset, const void* memory, size_t length) const;

  const std::shared_ptr<SimFs::State> fs_;  // shared: this file may outlive the SimFs
  const SimNode::Ptr node_;
  const uint64_t generation_;
  const Path path_;
  const OpenMode mode_;
};

Status SimFile::aligned(uint64_t offset, const void* memory, size_t length) const {
  const uint64_t all = offset | length | reinterpret_cast<uintptr_t>(memory);
  if (!is_direct(mode_) || all % kDirectAlignment == 0) return {};
  return error(EINVAL,
               "{}: direct access at {} of {} bytes is not aligned to {} bytes in file and memory",
               path_, offset, length, kDirectAlignment);
}

Status SimFile::writable(uint64_t offset, uint64_t length) const {
  TRY(alive());
  if (is_read_only(mode_)) return error(EBADF, "{} was opened for reading", path_);
  if (offset > kFileBytesMax || length > kFileBytesMax - offset) {
    return error(EFBIG, "{}: {} bytes at {} are beyond the largest file", path_, length, offset);
  }
  return {};
}

Result<size_t> SimFile::read_at(uint64_t offset, MutableBytes into) {
  TRY(aligned(offset, into.data(), into.size()));
  MutexLock lock(fs_->mutex);
  TRY(alive());
  return node_->content.read(offset, into);
}

Status SimFile::write_spans_at(uint64_t offset, std::span<const ByteView> spans) {
  ByteBuffer joined;  // one call is one write, which a cut treats as one
  uint64_t length = 0;
  for (const ByteView span : spans) {
    TRY(aligned(offset + length, span.data(), span.size()));
    length += span.size();
  }
  ByteView bytes;
  if (spans.size() == 1) {
    bytes = spans.front();
  } else {
    joined.reserve(length);
    for (const ByteView span : spans) joined.insert(joined.end(), span.begin(), span.end());
    bytes = joined;
  }
  MutexLock lock(fs_->mutex);
  TRY(writable(offset, length));
  if (bytes.empty()) return {};
  fs_->begin();
  const uint64_t pages = node_->content.allocated_pages();
  const size_t written = node_->content.write(offset, bytes, fs_->free_pages());
  fs_->recount(*node_, pages);
  node_->modified = fs_->stamp();
  TRY(fs_->finish(path_));
  if (written < bytes.size()) {
    return error(ENOSPC, "write {}: the simulated disk is full after {} of {} bytes", path_,
                 written, bytes.size());
  }
  return {};
}

Status SimFile::sync() {
  MutexLock lock(fs_->mutex);
  TRY(alive());
  fs_->begin();
  TRY(fs_->finish(path_));  // a sync that the cut interrupts promises nothing
  node_->content.sync();
  return {};
}

Result<uint64_t> SimFile::size() const {
  MutexLock lock(fs_->mutex);
  TRY(alive());
  return node_->content.size();
}

Status SimFile::truncate(uint64_t size) {
  MutexLock lock(fs_->mutex);
  TRY(writable(size, 0));
  fs_->begin();
  const uint64_t pages = node_->content.allocated_pages();
  node_->content.truncate(size);
  fs_->recount(*node_, pages);
  node_->modified = fs_->stamp();
  return fs_->finish(path_);
}

Status SimFile::allocate(uint64_t offset, uint64_t length) {
  MutexLock lock(fs_->mutex);
  TRY(writable(offset, length));
  if (length == 0) return {};
  fs_->begin();
  const uint64_t pages = node_->content.allocated_pages();
  const bool fits = node_->content.allocate(offset, length, fs_->free_pages());
  fs_->recount(*node_, pages);
  TRY(fs_->finish(path_));
  if (!fits)
    return error(ENOSPC, "allocate in {}: {} bytes do not fit the simulated disk", path_, length);
  return {};
}

Status SimFile::punch(uint64_t offset, uint64_t length) {
  MutexLock lock(fs_->mutex);
  TRY(writable(offset, length));
  if (length == 0) return {};
  fs_->begin();
  const uint64_t pages = node_->content.allocated_pages();
  node_->content.punch(offset, length);
  fs_->recount(*node_, pages);
  node_->modified = fs_->stamp();
  return fs_->finish(path_);
}

class SimLock final : public FileLock {
 public:
  SimLock(std::shared_ptr<SimFs::State> fs, SimNode::Ptr node, uint64_t generation)
      : fs_(std::move(fs)), node_(std::move(node)), generation_(generation) {}
  ~SimLock() override {
    MutexLock lock(fs_->mutex);
    if (generation_ != fs_->generation) return;
    node_->locked = false;
    --node_->handles;
    fs_->release_if_unused(*node_);
  }

 private:
  const std::shared_ptr<SimFs::State> fs_;  // shared: this lock may outlive the SimFs
  const SimNode::Ptr node_;
  const uint64_t generation_;
};

}  // namespace

SimFs::SimFs() : SimFs(Options{}) {}
SimFs::SimFs(Options options) : state_(std::make_shared<State>(options)) {}
SimFs::~SimFs() = default;

Result<std::unique_ptr<File>> SimFs::open(const Path& path, OpenMode mode) {
  MutexLock lock(state_->mutex);
  TRY(state_->powered(path));
  TRY_ASSIGN(const SimNames::Place at, state_->names.find(path));
  SimNode::Ptr node = at.node;
  if (node == nullptr) {
    if (!may_make(mode)) return error(ENOENT, "open {}: no such file", path);
    state_->begin();
    node = state_->names.create(at, /*directory=*/false);
    node->modified = state_->stamp();
  } else if (node->is_directory) {
    return error(mode == OpenMode::kCreateExclusive ? EEXIST : EISDIR, "open {}: it is a directory",
                 path);
  } else if (mode == OpenMode::kCreateExclusive) {
    return error(EEXIST, "open {}: it exists", path);
  } else if (mode == OpenMode::kTruncate && node->content.size() > 0) {
    state_->begin();
    const uint64_t pages = node->content.allocated_pages();
    node->content.truncate(0);
    state_->recount(*node, pages);
    node->modified = state_->stamp();
  }
  TRY(state_->finish(path));
  ++node->handles;
  return std::unique_ptr<File>(
      std::make_unique<SimFile>(state_, node, state_->generation, path, mode));
}

Status SimFs::make_dir(const Path& path) {
  MutexLock lock(state_->mutex);
  TRY(state_->powered(path));
  TRY_ASSIGN(const SimNames::Place at, state_->names.find(path));
  if (at.node != nullptr) return error(EEXIST, "make the directory {}: the name exists", path);
  state_->begin();
  state_->names.create(at, /*directory=*/true)->modified = state_->stamp();
  return state_->finish(path);
}

Status SimFs::remove(const Path& path) {
  MutexLock lock(state_->mutex);
  TRY(state_->powered(path));
  TRY_ASSIGN(const SimNames::Place at, state_->names.find(path));
  if (at.node == nullptr) return error(ENOENT, "remove {}: no such file", path);
  if (at.node->is_directory) return error(EISDIR, "remove {}: it is a directory", path);
  state_->begin();
  state_->names.remove(at);
  state_->release_if_unused(*at.node);
  return state_->finish(path);
}

Status SimFs::remove_dir(const Path& path) {
  MutexLock lock(state_->mutex);
  TRY(state_->powered(path));
  TRY_ASSIGN(const SimNames::Place at, state_->names.find(path));
  if (at.node == nullptr) return error(ENOENT, "remove the directory {}: no such name", path);
  if (!at.node->is_directory) return error(ENOTDIR, "remove the directory {}: it is a file", path);
  if (at.name.empty()) return error(EBUSY, "remove the directory {}: it is the root", path);
  if (!at.node->names.empty())
    return error(ENOTEMPTY, "remove the directory {}: it is not empty", path);
  state_->begin();
  state_->names.remove(at);
  return state_->finish(path);
}

Status SimFs::rename(const Path& from, const Path& to) {
  MutexLock lock(state_->mutex);
  TRY(state_->powered(from));
  TRY_ASSIGN(const SimNames::Place old, state_->names.find(from));
  TRY_ASSIGN(const SimNames::Place target, state_->names.find(to));
  if (old.node == nullptr)
    return error(ENOENT, "rename {} to {}: the first does not exist", from, to);
  if (old.name.empty() || target.name.empty())
    return error(EBUSY, "rename {} to {}: one is the root", from, to);
  if (old.node->is_directory && state_->names.is_inside(target.folder.get(), old.node.get())) {
    return error(EINVAL, "rename {} to {}: a directory into itself", from, to);
  }
  if (target.node == old.node) return {};  // two names of one file: POSIX says do nothing
  if (target.node != nullptr) {
    if (target.node->is_directory && !old.node->is_directory) {
      return error(EISDIR, "rename {} to {}: the second is a directory", from, to);
    }
    if (!target.node->is_directory && old.node->is_directory) {
      return error(ENOTDIR, "rename {} to {}: the second is a file", from, to);
    }
    if (!target.node->names.empty())
      return error(ENOTEMPTY, "rename {} to {}: the second is not empty", from, to);
  }
  state_->begin();
  state_->names.rename(old, target);
  if (target.node != nullptr && !target.node->is_directory) state_->release_if_unused(*target.node);
  return state_->finish(from);
}

Status SimFs::link(const Path& from, const Path& to) {
  MutexLock lock(state_->mutex);
  TRY(state_->powered(from));
  TRY_ASSIGN(const SimNames::Place old, state_->names.find(from));
  TRY_ASSIGN(const SimNames::Place target, state_->names.find(to));
  if (old.node == nullptr)
    return error(ENOENT, "link {} to {}: the first does not exist", from, to);
  if (target.node != nullptr) return error(EEXIST, "link {} to {}: the second exists", from, to);
  if (old.node->is_directory)
    return error(EPERM, "link {} to {}: the first is a directory", from, to);
  state_->begin();
  state_->names.link(old.node, target);
  return state_->finish(from);
}

Result<std::vector<std::string>> SimFs::list(const Path& folder) {
  MutexLock lock(state_->mutex);
  TRY(state_->powered(folder));
  TRY_ASSIGN(const SimNames::Place at, state_->names.find(folder));
  if (at.node == nullptr) return error(ENOENT, "list {}: no such directory", folder);
  if (!at.node->is_directory) return error(ENOTDIR, "list {}: it is a file", folder);
  std::vector<std::string> names;
  for (const auto& [name, node] : at.node->names) names.push_back(name);
  return names;
}

Result<FileInfo> SimFs::stat(const Path& path) {
  MutexLock lock(state_->mutex);
  TRY(state_->powered(path));
  TRY_ASSIGN(const SimNames::Place at, state_->names.find(path));
  if (at.node == nullptr) return error(ENOENT, "stat {}: no such file or directory", path);
  FileInfo info;
  info.is_directory = at.node->is_directory;
  info.size = at.node->content.size();
  info.allocated_bytes = at.node->content.allocated_pages() * kPageBytes;
  info.modified = at.node->modified;
  info.inode = at.node->id;
  return info;
}

Status SimFs::sync_dir(const Path& folder) {
  MutexLock lock(state_->mutex);
  TRY(state_->powered(folder));
  TRY_ASSIGN(const SimNames::Place at, state_->names.find(folder));
  if (at.node == nullptr) return error(ENOENT, "sync the directory {}: no such directory", folder);
  if (!at.node->is_directory) return error(ENOTDIR, "sync the directory {}: it is a file", folder);
  state_->begin();
  TRY(state_->finish(folder));
  state_->names.sync(at.node);
  return {};
}

Result<DiskSpace> SimFs::space(const Path& path) {
  MutexLock lock(state_->mutex);
  TRY(state_->powered(path));
  TRY_ASSIGN(const SimNames::Place at, state_->names.find(path));
  if (at.node == nullptr) return error(ENOENT, "statvfs {}: no such file or directory", path);
  return DiskSpace{state_->capacity_pages * kPageBytes, state_->free_pages() * kPageBytes};
}

Result<std::unique_ptr<FileLock>> SimFs::lock(const Path& path) {
  MutexLock lock(state_->mutex);
  TRY(state_->powered(path));
  TRY_ASSIGN(const SimNames::Place at, state_->names.find(path));
  SimNode::Ptr node = at.node;
  if (node == nullptr) {
    state_->begin();
    node = state_->names.create(at, /*directory=*/false);
    node->modified = state_->stamp();
    TRY(state_->finish(path));
  }
  if (node->is_directory) return error(EISDIR, "lock {}: it is a directory", path);
  if (node->locked)
    return error(EWOULDBLOCK, "another holds the lock on {}; stop it or use another folder", path);
  node->locked = true;
  ++node->handles;
  return std::unique_ptr<FileLock>(std::make_unique<SimLock>(state_, node, state_->generation));
}

CutReport SimFs::cut_power(uint64_t seed) {
  MutexLock lock(state_->mutex);
  return state_->restore(seed);
}

void SimFs::cut_after(uint64_t n) {
  MutexLock lock(state_->mutex);
  state_->cut_at = n == 0 ? 0 : state_->mutations + n;
}

bool SimFs::power_is_cut() const {
  MutexLock lock(state_->mutex);
  return state_->off;
}

CutReport SimFs::restore_power(uint64_t seed) {
  MutexLock lock(state_->mutex);
  return state_->restore(seed);
}

uint64_t SimFs::mutations() const {
  MutexLock lock(state_->mutex);
  return state_->mutations;
}

Status SimFs::lose_unsynced(const Path& path, uint64_t seed) {
  MutexLock lock(state_->mutex);
  TRY(state_->powered(path));
  TRY_ASSIGN(const SimNames::Place at, state_->names.find(path));
  if (at.node == nullptr || at.node->is_directory) return error(ENOENT, "{}: no such file", path);
  SeededRandom random(seed);
  CutReport report;
  const uint64_t pages = at.node->content.allocated_pages();
  at.node->content.cut(random, report);
  state_->recount(*at.node, pages);
  return {};
}

void SimFs::set_capacity(uint64_t bytes) {
  MutexLock lock(state_->mutex);
  state_->capacity_pages = bytes / kPageBytes;
}

uint64_t SimFs::used_bytes() const {
  MutexLock lock(state_->mutex);
  return state_->used_pages * kPageBytes;
}

}  // namespace shoal::sim
