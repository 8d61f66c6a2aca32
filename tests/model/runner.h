// Runner: performs a list of operations on the model and on the system and compares (design §10.2).
//
// An operation is plain numbers that mean something in any state, so a failing list can be shrunk
// by leaving some out.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "posix_model.h"
#include "world.h"

namespace shoal::model {

enum class OpKind : uint8_t {
  kMkdir,
  kMknod,
  kSymlink,
  kLink,
  kLinkHandle,
  kUnlink,
  kRmdir,
  kRename,
  kCreate,
  kCreateUnnamed,
  kOpen,
  kClose,
  kRemember,
  kWrite,
  kAppend,
  kStream,
  kTruncate,
  kPunch,
  kZero,
  kAllocate,
  kCopyRange,
  kRead,
  kSeek,
  kFsync,
  kChmod,
  kChown,
  kSetTimes,
  kSetXattr,
  kRemoveXattr,
  kTime,
  kStore,
  kCollect,
  kRepack,
  kRestore,
  kEmptyTrash,
  kRemount,
  kCrash,
  kCompare,
};
std::string_view to_string(OpKind kind);
std::vector<OpKind> all_kinds();

struct Op {
  OpKind kind;
  std::array<uint32_t, 6> n;  // what each means depends on the kind
};
std::string to_string(const Op& op);

std::vector<Op> random_ops(uint64_t seed, size_t count);

// What was reached, over all runs: a test that never got there proves nothing.
struct Reached {
  std::array<uint64_t, 64> went_well = {};  // by kind of operation
  uint64_t refused = 0;
  uint64_t replayed = 0;  // records applied by a start
  uint64_t segments_freed = 0;
  uint64_t extents_moved = 0;  // by repack
  uint64_t bytes_from_store = 0;
  uint64_t bytes_from_cache = 0;
  uint64_t large_segments = 0;  // of large writers
  uint64_t operations = 0;
};

struct Failure {
  size_t at = 0;  // index of the operation
  std::string what;
};

class Runner {
 public:
  Runner(uint64_t seed, const WorldOptions& options, Reached& reached);
  // The first difference, if any. After the last operation everything is compared, remounted,
  // compared again and checked by fsck.
  std::optional<Failure> run(const std::vector<Op>& ops);

 private:
  struct Handle {
    client::HandleId id = 0;
    NodePtr node;
    bool append = false;
  };
  struct Place {  // a directory and a name in it; directory null: the way there was an error, the
                  // same on both sides
    NodePtr directory;
    std::string name;
  };
  static constexpr size_t kHandles = 6;
  static constexpr size_t kRemembered = 2;

  void apply(const Op& op);
  void names(const Op& op);
  void files(const Op& op);
  void data(const Op& op);
  void attributes(const Op& op);
  void whole(const Op& op);

  void create(const Op& op);
  void rename(const Op& op);
  void write(const Op& op, bool append);
  void stream(const Op& op);
  void copy_range(const Op& op);
  void read(const Op& op);
  void seek(const Op& op);
  void xattr(const Op& op, bool set);
  void crash();
  void remount();
  void restart();

  // --- operands ---
  Place place(uint32_t path, uint32_t name);
  NodePtr node_at(uint32_t path, uint32_t name);  // null: none, on both sides
  Handle* handle(uint32_t n);
  meta::Caller caller(const Who& who) const;
  Who who(uint32_t n) const;
  void keep(uint32_t slot, const Result<client::OpenedFile>& opened, const NodePtr& node,
            bool append);
  void close(Handle& handle);

  // --- comparing ---
  void fail(std::string what);
  bool failed() const { return !failure_.empty(); }
  // True when both went well. `or_else`: another errno that is as right.
  bool same(int expected, int got, int or_else = -1);
  void compare(const client::Attr& attr, const Node& node);
  void compare_everything();
  void compare_tree(const NodePtr& directory, const std::string& path);
  void compare_content(const NodePtr& node, client::HandleId open, const std::string& path);
  void compare_xattrs(const Node& node, const std::string& path);
  void compare_trash();
  void check_fsck();
  void note_reads();

  Reached& reached_;
  OpKind kind_ = OpKind::kCompare;  // of the operation under way
  World world_;
  PosixModel model_;
  std::array<Handle, kHandles> handles_;
  std::array<NodePtr, kRemembered> remembered_;
  std::string failure_;
};

}  // namespace shoal::model
