// The tree of names of a SimFs, in two versions: what programs see and what a power cut is sure to
// leave, with the operations between them. Private to SimFs, which locks; not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "sim/sim_content.h"
#include "sys/local_fs.h"

namespace shoal::sim {

struct SimNode {
  using Ptr = std::shared_ptr<SimNode>;  // shared by names, both versions of them, open files and
                                         // pending operations

  uint64_t id = 0;
  bool is_directory = false;
  Time modified;

  // Of a file.
  SimContent content;
  uint32_t links = 0;    // visible names
  uint32_t handles = 0;  // open Files
  bool locked = false;

  // Of a directory.
  SimNode* parent = nullptr;  // owns this one by a visible name; the root is its own
  std::map<std::string, Ptr> names;
  std::map<std::string, Ptr> durable_names;
  uint64_t last_edit = 0;  // number of the last operation on its names

  std::vector<uint64_t> namings;  // numbers of the operations that gave it a name
};

class SimNames {
 public:
  struct Place {  // where a path leads
    SimNode::Ptr folder;
    std::string name;   // empty: the path names `node` itself, the root
    SimNode::Ptr node;  // null: no such name
  };

  SimNames();

  // ENOENT or ENOTDIR when a folder on the way is missing or none; a missing last name is no error.
  Result<Place> find(const Path& path) const;

  // What is legal was checked by the caller; these only do it.
  SimNode::Ptr create(const Place& at, bool directory);
  void remove(const Place& at);  // a file, or an empty directory
  void rename(const Place& from, const Place& to);
  void link(const SimNode::Ptr& node, const Place& to);

  bool is_inside(const SimNode* node, const SimNode* folder) const;

  void sync(const SimNode::Ptr& folder);
  // Both versions become one that a cut may leave. Calls `survived` for every node left, each once,
  // in an order that the history alone decides.
  void cut(SeededRandom& random, CutReport& report, const std::function<void(SimNode&)>& survived);

 private:
  struct Edit {
    SimNode::Ptr folder;
    std::string name;
    SimNode::Ptr node;  // null: the name goes
  };
  struct Operation {
    std::vector<Edit> edits;      // all or none survive
    std::vector<uint64_t> needs;  // numbers of operations without which this one must not survive
  };

  void perform(Operation operation);
  void needs_names_of(Operation& operation, SimNode& node);
  void needs_folder(Operation& operation, const SimNode* folder) const;
  static void make_durable(const Operation& operation);
  void write_back_oldest();

  const SimNode::Ptr root_;
  std::map<uint64_t, Operation> pending_;  // by number, in the order performed
  uint64_t performed_ = 0;
  uint64_t nodes_ = 1;
};

}  // namespace shoal::sim
