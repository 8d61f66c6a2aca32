// PosixModel: a file system in plain memory, by the rules of POSIX.1-2017 and Linux's manual pages,
// as a kernel with default_permissions asks for it: inodes and names, no path walking. The oracle
// of the model test.
//
// Errors are errno values, 0 when all went well. Not thread-safe. Knows nothing of Shoal but the
// trash.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace shoal::model {

struct Who {
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t umask = 022;
};

struct Node;
using NodePtr =
    std::shared_ptr<Node>;  // shared by names, handles, the trash and who still looks at it

struct Node {
  Ino ino = 0;  // as the system calls it; filled in by the test
  uint32_t mode = 0;
  uint32_t uid = 0, gid = 0;
  uint32_t nlink = 0;
  uint64_t rdev = 0;
  Time mtime, ctime;
  std::string data;  // of a file; of a symlink its target
  std::map<std::string, std::string> xattrs;
  uint32_t handles = 0;
  bool linkable = false;  // made by O_TMPFILE and never named

  std::map<std::string, NodePtr> names;  // of a directory
  Node* parent = nullptr;                // of a directory

  bool is_directory() const { return (mode & 0170000) == 0040000; }
  bool is_regular() const { return (mode & 0170000) == 0100000; }
  bool is_symlink() const { return (mode & 0170000) == 0120000; }
  bool is_removed() const { return nlink == 0; }
};

enum class Move { kReplace, kNoReplace, kExchange };
enum class SetXattr { kEither, kCreate, kReplace };

class PosixModel {
 public:
  PosixModel(bool keeps_trash, Time now);

  void set_time(Time now) { now_ = now; }
  const NodePtr& root() const { return root_; }

  // --- names. `made` and `found` are set when the answer is 0. ---
  int lookup(const Node& directory, std::string_view name, NodePtr* found) const;
  // `mode` with S_IFMT; a directory, or anything else that mknod, symlink and open make.
  int make(const NodePtr& directory, std::string_view name, uint32_t mode, const Who& who,
           NodePtr* made);
  int make_unnamed(const NodePtr& directory, uint32_t mode, const Who& who, NodePtr* made);
  int link(const NodePtr& node, const NodePtr& directory, std::string_view name);
  int unlink(const NodePtr& directory, std::string_view name);
  int rmdir(const NodePtr& directory, std::string_view name);
  int rename(const NodePtr& from, std::string_view name, const NodePtr& to,
             std::string_view new_name, Move move);

  // --- attributes ---
  void chmod(Node& node, uint32_t mode);
  void chown(Node& node, uint32_t uid, uint32_t gid);
  void set_mtime(Node& node, Time time);
  int set_xattr(Node& node, const std::string& name, std::string_view value, SetXattr how);
  int remove_xattr(Node& node, const std::string& name);

  // --- data; the caller checked what a handle may do ---
  void write(Node& node, uint64_t offset, std::string_view bytes, bool kill_privileges);
  void truncate(Node& node, uint64_t size, bool kill_privileges);
  void punch(Node& node, uint64_t offset, uint64_t length, bool kill_privileges);
  void zero(Node& node, uint64_t offset, uint64_t length, bool keep_size, bool kill_privileges);
  void allocate(Node& node, uint64_t end, bool keep_size, bool kill_privileges);
  // Returns how many bytes were copied; EINVAL as -1 when the ranges overlap.
  int64_t copy(Node& from, uint64_t from_offset, Node& to, uint64_t to_offset, uint64_t length,
               bool kill_privileges);

  // --- handles ---
  void opened(Node& node) { ++node.handles; }
  void closed(Node& node) { --node.handles; }

  // --- trash ---
  struct Trashed {
    NodePtr node;
    Node* parent;  // kept alive by `parent_ref`
    NodePtr parent_ref;
    std::string name;
  };
  const std::vector<Trashed>& trash() const { return trash_; }
  int restore(size_t which);
  void empty_trash();

 private:
  NodePtr new_node(const Node& directory, uint32_t mode, const Who& who);
  void add_name(const NodePtr& directory, std::string_view name, const NodePtr& node);
  void take_name(const NodePtr& directory, std::string_view name);
  // `node` lost the name; a directory is gone with it.
  void lost_name(const NodePtr& node, const NodePtr& directory, std::string_view name);
  void touch(Node& node) { node.mtime = node.ctime = now_; }
  void changed(Node& node, bool kill_privileges);
  static bool is_above(const Node& above, const Node& below);

  const bool keeps_trash_;
  Time now_;
  NodePtr root_;
  std::vector<Trashed> trash_;
};

}  // namespace shoal::model
