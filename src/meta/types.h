// What metadata operations take and return.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "format/extent.h"
#include "format/segment.h"
#include "format/volume.h"

namespace shoal::meta {

// Who asks. Under FUSE with default_permissions the kernel has checked already (`kernel_checked`)
// and there are no supplementary groups; every other adapter fills them in and the owner checks.
struct Caller {
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t pid = 0;
  uint32_t umask = 0;  // applied by the owner unless the parent has a default ACL
  std::vector<uint32_t> groups;
  bool kernel_checked = false;
};

// Identity of a request for exactly-once (I7): a session has `slot`s, each carries one request at a
// time with ascending sequences. In process nothing is ever retried and the identity is carried
// only.
struct Request {
  SessionId session = 0;
  uint32_t slot = 0;
  uint64_t sequence = 0;
  Caller caller;
};

struct Attr {
  Ino ino = 0;
  uint32_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t nlink = 0;
  uint64_t size = 0;
  uint64_t allocated = 0;  // bytes; st_blocks = ⌈allocated/512⌉
  Time atime, mtime, ctime, btime;
  uint64_t rdev = 0;
  uint32_t flags = 0;  // format::kFlag*
  Ino parent = 0;
  uint64_t generation = 0;
  uint64_t entries = 0;  // of a directory
  Stamp data_version = 0;
  bool has_acl = false;         // access or default
  bool has_capability = false;  // security.capability is set: a write must kill it
  bool is_directory() const { return (mode & 0170000) == 0040000; }
  bool is_regular() const { return (mode & 0170000) == 0100000; }
};

struct SetAttr {
  std::optional<uint32_t> mode;  // permission bits only
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
  struct SetTime {
    bool now = false;  // the owner's clock; else `time`
    Time time;
  };
  std::optional<SetTime> atime;
  std::optional<SetTime> mtime;
  std::optional<uint32_t> flags;  // user-settable flags, replaced
  std::optional<Time> ctime;      // reserved; the owner's clock is always used
  // Clears SUID, SGID (when group-executable) and security.capability: FATTR_KILL_SUIDGID, writes,
  // chown. Ignored for who may not write the file: the kernel sends chown(file, -1, -1) of anybody
  // as it does what comes before a write.
  bool kill_privileges = false;
};

struct OpenFlags {
  bool read = false;
  bool write = false;
};

// What a successful open or create gives beside the attributes: the extents, when they are few.
struct Opened {
  Attr attr;
  bool extents_known = false;  // `extents` is all of them
  std::vector<format::Extent> extents;
  bool written_by_several = false;  // sessions have it open for writing, this open included
};

struct Created {
  Opened opened;
  bool existed = false;  // without O_EXCL an existing file is opened
};

struct DirEntry {
  std::string name;
  uint8_t type = 0;  // DT_*
  Ino ino = 0;
  std::optional<Attr> attr;  // when asked for
};
struct DirPage {
  std::vector<DirEntry> entries;  // ascending by name bytes; without "." and ".."
  bool more = false;
};

struct ExtentPage {
  Stamp data_version = 0;
  uint64_t size = 0;
  std::vector<format::Extent> extents;  // ascending; the first may begin before `from`
  bool more = false;
};

// One journaled data operation, offered for commit in list order.
struct DataRecord {
  format::RecordHeader header;
  std::optional<format::Target> target;  // kData: where the slice lies
  uint64_t first = 0;  // the record's first byte in the slice; > 0 only in a large writer's segment
  bool append = false;  // O_APPEND shared by several mounts: the owner places it at its end of file
  // Offered by the mount that wrote it, in the order of its list: it goes over whatever others have
  // committed meanwhile. A replay's does not: that is of a dead mount, and never covers newer data.
  bool live = false;
};

struct DataOutcome {
  enum class Kind {
    kApplied,
    kAlready,   // was part of the inode before: a retry or a replay
    kNoInode,   // inode or generation unknown: dropped with it
    kConflict,  // its predecessor or base version is missing: not applied, goes to a report
  };
  Kind kind = Kind::kApplied;
  uint64_t placed_at = 0;  // file offset, for `append` that was applied now
};

struct InodeCommit {  // state after commit_data, one per distinct inode of the call, in order of
                      // first appearance
  Ino ino = 0;
  Attr attr;         // attr.data_version is the new version
  Stamp before = 0;  // the version that the call met
};

struct CommitReply {
  std::vector<DataOutcome> outcomes;  // one per record
  std::vector<InodeCommit> inodes;    // those that exist
};

struct VolumeUsage {
  uint64_t capacity_bytes = 0;  // 0: unlimited
  uint64_t used_bytes = 0;      // files and trash
  uint64_t trash_bytes = 0;
  uint64_t inodes_max = 0;
  uint64_t inodes = 0;
  uint64_t trash_inodes = 0;
};

struct SegmentInfo {
  SegmentId id;
  format::Segment record;
  int64_t live_bytes = 0;
};

// Where a segment's bytes are.
struct SegmentPlace {
  format::Segment::State state = format::Segment::State::kStaging;
  uint32_t store = 0;      // that made it; 0: none (repack)
  std::string host, path;  // of the store, when it is known
  std::string address;     // where that store's mount serves what it has staged; empty: nowhere
};

// What the owner tells a session unasked.
struct SessionEvent {
  enum class Kind : uint8_t {
    kShared,            // it is not the only session any more
    kWrittenBySeveral,  // another session opened for writing what this one has open for writing
  };
  Kind kind = Kind::kShared;
  Ino ino = 0;  // kWrittenBySeveral
};

enum class RenameMode { kReplace, kNoReplace, kExchange };

// --- locks ---

enum class LockKind : uint8_t { kPosix, kOfd, kFlock };
enum class LockType : uint8_t { kRead, kWrite, kUnlock };

struct Lock {
  LockKind kind = LockKind::kPosix;
  LockType type = LockType::kUnlock;
  uint64_t start = 0;
  uint64_t end = ~uint64_t{0} >> 1;  // inclusive; flock: the whole file
  uint64_t owner = 0;                // the kernel's lock owner, unique within the session
  uint64_t handle = 0;               // the open file that took it; release_locks drops it
  uint32_t pid = 0;
};

}  // namespace shoal::meta
