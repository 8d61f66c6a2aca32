// Client: one mounted volume, as an adapter (FUSE, later gateways and SDKs) sees it. Holds open
// files, the inodes' uncommitted lists and their overlay, and decides when to journal and commit
// (design §6.2, §6.6).
//
// Every call is whole and thread-safe; calls block unless said otherwise. `Caller` is who asks.
// Errors carry the errno the program gets. Attributes returned are the owner's answer overlaid with
// what this mount has not committed yet.
//
// Durability (docs/semantics.md): what close (flush) acknowledged survives SIGKILL of this process;
// what fsync acknowledged is as safe as the folder's durability class says.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/block_cache.h"
#include "client/durability_classes.h"
#include "data/holders.h"
#include "data/reader.h"
#include "data/staging.h"
#include "meta/metadata.h"

namespace shoal::client {

using meta::Attr;
using meta::Caller;
using HandleId = uint64_t;

struct OpenOptions {
  bool read = false;
  bool write = false;
  bool append = false;    // O_APPEND: writes go to the end of the file whatever offset they carry
  bool truncate = false;  // O_TRUNC
  bool direct = false;    // O_DIRECT
  bool sync =
      false;  // O_SYNC | O_DSYNC: each write is as durable as fsync makes it before its reply
  bool kill_privileges = false;  // with truncate: FUSE_OPEN_KILL_SUIDGID
};

struct OpenedFile {
  HandleId handle = 0;
  Attr attr;
  bool keep_cache = false;  // the kernel's pages are still right: data version unchanged or changed
                            // by this mount only
  bool direct = false;      // several mounts write it: the kernel is to keep no pages of it
};

struct OpenedDirectory {
  bool cache = false;       // the kernel may keep the listing
  bool keep_cache = false;  // what it kept is still right
};

struct SetAttrRequest {
  meta::SetAttr attr;
  std::optional<uint64_t> size;    // truncate
  std::optional<HandleId> handle;  // ftruncate: through this handle
};

struct FallocateMode {
  enum class Kind { kAllocate, kPunch, kZero } kind = Kind::kAllocate;
  bool keep_size = false;
};

struct StatFs {
  uint64_t block_bytes = 4096;
  uint64_t blocks = 0, blocks_free = 0;
  uint64_t inodes = 0, inodes_free = 0;
};

// What the adapter must drop from the kernel's caches for changes the kernel cannot have seen.
// Called while no client lock is held, from any thread, one that serves a request too: it must not
// wait there for the kernel, but for entries, which threads of the client drop.
struct InvalidationSink {
  virtual ~InvalidationSink() = default;
  virtual void invalidate_attributes(Ino ino) = 0;
  virtual void invalidate_pages(Ino ino, uint64_t offset,
                                uint64_t length) = 0;  // length 0: to the end
  virtual void invalidate_entry(Ino parent, const std::string& name) = 0;
  // The volume is shared from now on: drops every name and attribute that was given out for long.
  virtual void invalidate_everything() {}
  // Runs `done` once, when the kernel has dropped all that it was told to before.
  virtual void when_dropped(std::function<void()> done) { done(); }
};

struct ClientOptions {
  uint64_t buffer_bytes_max = 256 << 20;  // kept until journaled and synced; writers wait beyond
  std::chrono::milliseconds commit_interval{
      1'000};  // journal, fdatasync and commit at least so often
  std::chrono::milliseconds engine_sync_interval{5'000};
  bool read_only = false;
  // The volume has other mounts (docs/semantics.md): what close, fsync and unlock acknowledge is
  // committed, open and a granted lock see what others closed. A mount that is told of another
  // session becomes shared by itself.
  bool shared = false;
  Ino root = kRootIno;  // --subdir
  // What a failed sync of the engine does: nobody could say any more which of the acknowledged
  // operations exist. Empty: std::abort(). Tests of what follows set it; no answer given after it
  // was called means anything.
  std::function<void()> end_process;
};

struct ClientStatus {
  uint64_t open_files = 0;
  uint64_t uncommitted_operations = 0;
  uint64_t buffered_bytes = 0;
  data::StagingStatus staging;
  data::ReadStats reads;
  cache::CacheStats cache;
};

class Client {
 public:
  struct Seams {  // all outlive the client
    meta::Metadata& metadata;
    data::Staging& staging;
    data::Reader& reader;
    cache::BlockCache& cache;
    const Clock& clock;
    Executor& executor;
    SessionId session = 0;
    uint32_t store_number = 0;
    data::Holders* holders = nullptr;  // what other mounts have staged; null: nothing
  };
  static Result<std::unique_ptr<Client>> start(const Seams& seams, const ClientOptions& options);
  virtual ~Client() =
      default;  // journals and syncs what is buffered, commits, returns space; does not upload

  virtual void set_invalidation_sink(InvalidationSink* sink) = 0;  // before the first call
  // Others may change the volume: answers may be believed for a short time only. Once true, always.
  virtual bool shared() const = 0;
  // The owner ended this mount's session; `fresh` is a new one, at which its store is open. Locks
  // and what was not committed are gone: handles that held a lock or wrote such bytes answer EIO
  // until they are closed. The others go on under the new session.
  virtual void session_lost(SessionId fresh) = 0;

  // --- namespace: as meta::Metadata, attributes overlaid ---
  virtual Result<Attr> lookup(const Caller& who, Ino parent, std::string_view name) = 0;
  virtual Result<Attr> getattr(const Caller& who, Ino ino) = 0;
  virtual Result<Attr> setattr(const Caller& who, Ino ino, const SetAttrRequest& request) = 0;
  virtual Result<Attr> mknod(const Caller& who, Ino parent, std::string_view name, uint32_t mode,
                             uint64_t rdev) = 0;
  virtual Result<Attr> mkdir(const Caller& who, Ino parent, std::string_view name,
                             uint32_t mode) = 0;
  virtual Result<Attr> symlink(const Caller& who, Ino parent, std::string_view name,
                               std::string_view target) = 0;
  virtual Result<Attr> link(const Caller& who, Ino ino, Ino parent, std::string_view name) = 0;
  virtual Status unlink(const Caller& who, Ino parent, std::string_view name) = 0;
  virtual Status rmdir(const Caller& who, Ino parent, std::string_view name) = 0;
  virtual Status rename(const Caller& who, Ino parent, std::string_view name, Ino new_parent,
                        std::string_view new_name, meta::RenameMode mode) = 0;
  virtual Result<std::string> readlink(const Caller& who, Ino ino) = 0;
  virtual Result<meta::DirPage> readdir(const Caller& who, Ino ino, std::string_view after,
                                        size_t limit, bool with_attributes) = 0;
  virtual Result<StatFs> statfs() = 0;
  // The kernel holds nothing of the inode any more (FORGET).
  virtual void forgotten(Ino ino) = 0;
  // Something else than a call of this object gave `ino` the name `name` in `parent` (a restore
  // from the trash): the kernel is to look again.
  virtual void named_by_others(Ino parent, const std::string& name, Ino ino) = 0;

  virtual Result<std::string> getxattr(const Caller& who, Ino ino, std::string_view name) = 0;
  virtual Result<std::vector<std::string>> listxattr(const Caller& who, Ino ino) = 0;
  virtual Status setxattr(const Caller& who, Ino ino, std::string_view name, std::string_view value,
                          meta::Metadata::XattrMode mode, bool kill_sgid) = 0;
  virtual Status removexattr(const Caller& who, Ino ino, std::string_view name) = 0;

  // --- files ---
  virtual Result<OpenedFile> open(const Caller& who, Ino ino, const OpenOptions& options) = 0;
  virtual Result<OpenedFile> create(const Caller& who, Ino parent, std::string_view name,
                                    uint32_t mode, const OpenOptions& options, bool exclusive) = 0;
  virtual Result<OpenedFile> create_unnamed(const Caller& who, Ino parent, uint32_t mode,
                                            const OpenOptions& options) = 0;
  // Fills `into` from `offset`; fewer bytes only at the end of the file.
  virtual Result<size_t> read(HandleId handle, uint64_t offset, MutableBytes into) = 0;
  struct Written {
    size_t bytes = 0;
    bool killed_privileges =
        false;  // SUID/SGID/capability were removed: attributes must leave the kernel's cache
  };
  virtual Result<Written> write(const Caller& who, HandleId handle, uint64_t offset, ByteView bytes,
                                bool kill_privileges) = 0;
  virtual Status flush(
      HandleId handle,
      uint64_t lock_owner) = 0;  // close(2): journaled; POSIX locks of owner dropped
  virtual Status fsync(HandleId handle, bool data_only) = 0;  // EINTR: sys/on_behalf.h
  // What fsync of a file in this directory waits for.
  virtual DurabilityClasses::Found durability_of(Ino directory) = 0;
  // A listing begins.
  virtual Result<OpenedDirectory> open_directory(const Caller& who, Ino ino) = 0;
  virtual Status fsync_dir(Ino ino) = 0;
  virtual Status release(
      HandleId handle) = 0;  // handle's flock/OFD locks go; never fails for the program
  virtual Result<bool> fallocate(const Caller& who, HandleId handle, FallocateMode mode,
                                 uint64_t offset,
                                 uint64_t length) = 0;  // true: killed privileges
  virtual Result<uint64_t> seek_data(HandleId handle, uint64_t offset) = 0;  // ENXIO as lseek(2)
  virtual Result<uint64_t> seek_hole(HandleId handle, uint64_t offset) = 0;
  virtual Result<Written> copy_range(const Caller& who, HandleId from, uint64_t from_offset,
                                     HandleId to, uint64_t to_offset, uint64_t length) = 0;
  virtual Ino ino_of(HandleId handle) = 0;  // 0: unknown handle

  // --- locks: as meta::Metadata ---
  virtual Result<meta::Lock> lock_get(const Caller& who, Ino ino, const meta::Lock& wanted) = 0;
  virtual Status lock_set(const Caller& who, Ino ino, const meta::Lock& wanted) = 0;
  virtual uint64_t lock_wait(const Caller& who, Ino ino, const meta::Lock& wanted,
                             std::function<void(Status)> done) = 0;
  virtual void lock_cancel(uint64_t ticket) = 0;

  // --- whole mount ---
  // Journals, syncs and commits everything; with `store` waits until the bucket has it too.
  virtual Status flush_all(bool store,
                           const std::function<void(const ClientStatus&)>& progress) = 0;
  virtual ClientStatus status() = 0;
  // Where the bytes of a file are, for `shoal info`.
  virtual Result<std::vector<format::Extent>> extents_of(const Caller& who, Ino ino) = 0;
};

}  // namespace shoal::client
