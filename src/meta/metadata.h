// Metadata: the namespace of one volume, as clients see it. meta::Owner implements it in process;
// later a proxy over rpc does, so every operation is whole: what has to be one round trip is one
// call.
//
// Semantics are POSIX.1-2017 and Linux's (docs/semantics.md). Errors carry the errno that a program
// must see. A reply is given after its commit. Thread-safe; calls may block on the engine. Names
// are 1 … 255 bytes without '/' and NUL, never "." or ".." (EINVAL), longer: ENAMETOOLONG.
//
// The owner knows committed state only. What a mount has written and not yet committed is its own
// uncommitted list (client/), laid over what is answered here.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "meta/types.h"

namespace shoal::meta {

class Metadata {
 public:
  virtual ~Metadata() = default;

  // --- sessions and stores ---
  // One per mount. Embedded: the previous session of a dead process is ended by the open of the
  // volume.
  virtual Result<SessionId> session_open(const std::string& host,
                                         const std::string& description) = 0;
  virtual Status session_close(SessionId session) = 0;
  // From now on `hear` is told what concerns the session; at once when it is not the only one. In
  // process the other session's open is answered after `hear` returned, so it may commit what it
  // has, and nothing else that waits for that session. Null: no more; one that runs may go on.
  virtual void session_events(SessionId session, std::function<void(const SessionEvent&)> hear) = 0;
  // Registers a staging folder (by its uuid; same uuid, same number for ever) with a fresh nonce.
  // `address`: where other mounts get what is staged in it; empty: nowhere.
  virtual Result<uint32_t> store_open(SessionId session, const Uuid& store, const std::string& host,
                                      const std::string& path, uint64_t nonce,
                                      const std::string& address) = 0;

  // --- namespace ---
  virtual Result<Attr> lookup(const Request& request, Ino parent,
                              std::string_view name) = 0;  // ENOENT
  virtual Result<Attr> getattr(const Request& request,
                               Ino ino) = 0;  // also of open, unlinked inodes; else ENOENT
  virtual std::vector<Result<Attr>> getattr_many(const Request& request,
                                                 const std::vector<Ino>& inos) = 0;
  virtual Result<Attr> lookup_path(const Request& request, Ino from,
                                   std::string_view path) = 0;  // no symlinks followed
  // Regular file, fifo, socket, device. `mode` with S_IFMT; umask and default ACLs are applied
  // here.
  virtual Result<Attr> mknod(const Request& request, Ino parent, std::string_view name,
                             uint32_t mode, uint64_t rdev) = 0;
  virtual Result<Attr> mkdir(const Request& request, Ino parent, std::string_view name,
                             uint32_t mode) = 0;
  virtual Result<Attr> symlink(const Request& request, Ino parent, std::string_view name,
                               std::string_view target) = 0;
  virtual Result<Attr> link(const Request& request, Ino ino, Ino parent, std::string_view name) = 0;
  // Creates (or, unless `exclusive`, finds) a regular file and opens it.
  virtual Result<Created> create(const Request& request, Ino parent, std::string_view name,
                                 uint32_t mode, OpenFlags flags, bool exclusive) = 0;
  struct CreateMany {
    std::string name;
    uint32_t mode = 0;
  };
  virtual std::vector<Result<Created>> create_many(const Request& request, Ino parent,
                                                   const std::vector<CreateMany>& files) = 0;
  // O_TMPFILE: an inode without a name, opened; link() may name it.
  virtual Result<Opened> create_unnamed(const Request& request, Ino parent, uint32_t mode,
                                        OpenFlags flags) = 0;
  // The attributes after the call (nlink may be 0).
  virtual Result<Attr> unlink(const Request& request, Ino parent, std::string_view name) = 0;
  virtual Result<Attr> rmdir(const Request& request, Ino parent, std::string_view name) = 0;
  struct Renamed {
    Attr moved;
    std::optional<Attr> replaced;  // the inode whose name was taken (kExchange: the other one)
  };
  virtual Result<Renamed> rename(const Request& request, Ino parent, std::string_view name,
                                 Ino new_parent, std::string_view new_name, RenameMode mode) = 0;
  virtual Result<std::string> readlink(const Request& request, Ino ino) = 0;
  // Never the size: that is a data operation (kTruncate) of the client's list.
  virtual Result<Attr> setattr(const Request& request, Ino ino, const SetAttr& change) = 0;
  // Entries behind `after` ("" = from the start), at most `limit` (≤ kPageEntriesMax).
  virtual Result<DirPage> readdir(const Request& request, Ino ino, std::string_view after,
                                  size_t limit, bool with_attributes) = 0;

  // --- open files ---
  virtual Result<Opened> open(const Request& request, Ino ino, OpenFlags flags) = 0;
  // Balances one open or create. The last one of an unlinked inode frees it.
  virtual Status release(const Request& request, Ino ino, OpenFlags flags) = 0;

  // --- extended attributes (ACLs are system.posix_acl_access and system.posix_acl_default, Linux's
  // binary form) ---
  enum class XattrMode { kEither, kCreate, kReplace };
  virtual Result<std::string> getxattr(const Request& request, Ino ino,
                                       std::string_view name) = 0;  // ENODATA
  virtual Result<std::vector<std::string>> listxattr(const Request& request, Ino ino) = 0;
  // `kill_sgid`: SETXATTR_ACL_KILL_SGID of the request.
  virtual Status setxattr(const Request& request, Ino ino, std::string_view name,
                          std::string_view value, XattrMode mode, bool kill_sgid) = 0;
  virtual Status removexattr(const Request& request, Ino ino, std::string_view name) = 0;

  // --- data ---
  // Extents that end behind `from`, at most `limit`.
  virtual Result<ExtentPage> extents(const Request& request, Ino ino, uint64_t from,
                                     size_t limit) = 0;
  // Before any record names the segment: inserts `B` (embedded: synced).
  virtual Status segment_open(const Request& request, const SegmentId& id, uint32_t store) = 0;
  // Applies records in order; I E R W and `check B` together. Records of one inode are contiguous
  // or at least in list order. ≤ 1,000 records. Refusals are outcomes, an Error means nothing of
  // the call may be taken as done.
  virtual Result<CommitReply> commit_data(const Request& request, uint32_t store,
                                          const std::vector<DataRecord>& records) = 0;
  // The bucket has it (length bytes). `complete`: no uncommitted record in it. May be called again
  // to set complete.
  virtual Status segment_stored(const Request& request, const SegmentId& id, uint64_t length,
                                bool complete) = 0;
  // Removes `B` of a staging segment that no extent names (EBUSY otherwise). At its store's request
  // only.
  virtual Status segment_discard(const Request& request, const SegmentId& id) = 0;
  // Segments that `B` lists as staging at this store.
  virtual Result<std::vector<SegmentInfo>> store_segments(uint32_t store) = 0;
  virtual Result<SegmentPlace> segment_place(const SegmentId& id) = 0;  // ENOENT: unknown or freed
  // Makes [to, to+length) of `target` share the extents of [from, from+length) of `source`; both
  // lists were committed before. Extends the size. Returns target's attributes.
  virtual Result<Attr> copy_range(const Request& request, Ino source, uint64_t from, Ino target,
                                  uint64_t to, uint64_t length) = 0;
  // Space for data not yet committed: grants 1 … `want_bytes` or ENOSPC (the trash is emptied
  // first). The session's grants are used up by what commit_data adds; space_return gives the rest
  // back.
  virtual Result<uint64_t> space_grant(const Request& request, uint64_t want_bytes) = 0;
  virtual void space_return(const Request& request, uint64_t bytes) = 0;

  // --- locks ---
  virtual Result<Lock> lock_get(const Request& request, Ino ino,
                                const Lock& wanted) = 0;  // type kUnlock: free
  virtual Status lock_set(const Request& request, Ino ino,
                          const Lock& wanted) = 0;  // EAGAIN when held
  // Queues when held; `done` runs exactly once, on some thread: granted, EDEADLK, or EINTR after
  // lock_cancel.
  virtual uint64_t lock_wait(const Request& request, Ino ino, const Lock& wanted,
                             std::function<void(Status)> done) = 0;
  virtual void lock_cancel(uint64_t ticket) = 0;
  // close(2): drops the POSIX locks of `owner`; RELEASE: what `handle` took (flock, OFD).
  virtual void release_posix_locks(const Request& request, Ino ino, uint64_t owner) = 0;
  virtual void release_handle_locks(const Request& request, Ino ino, uint64_t handle) = 0;

  // --- volume ---
  virtual Result<VolumeUsage> usage() = 0;
  virtual Result<format::Volume> volume() = 0;
  // Everything committed before is durable in the engine when it returns; callers share the work.
  virtual Status sync() = 0;
  // Stamp of the last commit; and the last stamp known durable. For "is it synced already?".
  virtual Stamp committed_stamp() = 0;
  virtual Stamp synced_stamp() = 0;
  // Stamp of the last metadata commit that fsync of this inode must have durable: of it and of
  // every entry naming it.
  virtual Stamp inode_stamp(Ino ino) = 0;
};

}  // namespace shoal::meta
