#include "sim/sim_names.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace shoal::sim {

namespace {
constexpr size_t kPendingMax = 8 * 1024;
constexpr size_t kNameBytesMax = 255;
}  // namespace

SimNames::SimNames() : root_(std::make_shared<SimNode>()) {
  root_->id = 1;
  root_->is_directory = true;
  root_->parent = root_.get();
}

Result<SimNames::Place> SimNames::find(const Path& path) const {
  if (path.empty()) return error(ENOENT, "the path is empty");
  Place at{root_, "", root_};
  for (size_t start = 0; start < path.size();) {
    const size_t end = std::min(path.find('/', start), path.size());
    const std::string part = path.substr(start, end - start);
    start = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") return error(EINVAL, "{}: SimFs knows no ..; write the path without", path);
    if (part.size() > kNameBytesMax)
      return error(ENAMETOOLONG, "{}: a name has at most 255 bytes", path);
    if (at.node == nullptr) return error(ENOENT, "{}: no folder {}", path, at.name);
    if (!at.node->is_directory) return error(ENOTDIR, "{}: {} is not a directory", path, at.name);
    const auto found = at.node->names.find(part);
    SimNode::Ptr next = found == at.node->names.end() ? nullptr : found->second;
    at = Place{std::move(at.node), part, std::move(next)};
  }
  return at;
}

SimNode::Ptr SimNames::create(const Place& at, bool directory) {
  auto node = std::make_shared<SimNode>();
  node->id = ++nodes_;
  node->is_directory = directory;
  Operation operation;
  operation.edits.push_back({at.folder, at.name, node});
  perform(std::move(operation));
  return node;
}

void SimNames::remove(const Place& at) {
  Operation operation;
  operation.edits.push_back({at.folder, at.name, nullptr});
  needs_names_of(operation, *at.node);
  perform(std::move(operation));
}

void SimNames::rename(const Place& from, const Place& to) {
  Operation operation;
  operation.edits.push_back({from.folder, from.name, nullptr});
  operation.edits.push_back({to.folder, to.name, from.node});
  needs_names_of(operation, *from.node);
  if (to.node != nullptr) needs_names_of(operation, *to.node);
  if (to.folder != from.folder) needs_folder(operation, to.folder.get());
  perform(std::move(operation));
}

void SimNames::link(const SimNode::Ptr& node, const Place& to) {
  Operation operation;
  operation.edits.push_back({to.folder, to.name, node});
  needs_folder(operation, to.folder.get());
  perform(std::move(operation));
}

bool SimNames::is_inside(const SimNode* node, const SimNode* folder) const {
  for (;; node = node->parent) {
    if (node == folder) return true;
    if (node == root_.get()) return false;
  }
}

void SimNames::perform(Operation operation) {
  const uint64_t number = ++performed_;
  for (const Edit& edit : operation.edits) {
    SimNode::Ptr& slot = edit.folder->names[edit.name];
    if (slot != nullptr) --slot->links;
    slot = edit.node;
    edit.folder->last_edit = number;
    if (edit.node == nullptr) {
      edit.folder->names.erase(edit.name);
      continue;
    }
    ++edit.node->links;
    edit.node->namings.push_back(number);
    if (edit.node->is_directory) edit.node->parent = edit.folder.get();
  }
  pending_.emplace(number, std::move(operation));
  if (pending_.size() > kPendingMax) write_back_oldest();
}

// `node` is about to lose a name: the others it was given must survive with that, and of a
// directory (an empty one) all that emptied it.
void SimNames::needs_names_of(Operation& operation, SimNode& node) {
  std::erase_if(node.namings, [this](uint64_t number) { return !pending_.contains(number); });
  operation.needs.insert(operation.needs.end(), node.namings.begin(), node.namings.end());
  if (node.is_directory && node.names.empty()) operation.needs.push_back(node.last_edit);
}

// What is moved into `folder` must not be lost with it. This also keeps the tree a tree: a
// directory that survives a move finds the folders above it where they were when it moved, so it
// can't be among them.
void SimNames::needs_folder(Operation& operation, const SimNode* folder) const {
  for (; folder != root_.get(); folder = folder->parent) {
    if (!folder->namings.empty()) operation.needs.push_back(folder->namings.back());
  }
}

void SimNames::make_durable(const Operation& operation) {
  for (const Edit& edit : operation.edits) {
    if (edit.node == nullptr) {
      edit.folder->durable_names.erase(edit.name);
    } else {
      edit.folder->durable_names[edit.name] = edit.node;
    }
  }
}

// A prefix of everything is always a state that a cut may leave.
void SimNames::write_back_oldest() {
  for (size_t n = pending_.size() / 2; n > 0; --n) {
    make_durable(pending_.begin()->second);
    pending_.erase(pending_.begin());
  }
}

void SimNames::sync(const SimNode::Ptr& folder) {
  std::set<const SimNode*> folders = {
      folder.get()};  // whose operations from here back become durable
  std::set<uint64_t> needed;
  for (auto at = pending_.rbegin(); at != pending_.rend(); ++at) {
    const auto& [number, operation] = *at;
    const bool chosen =
        needed.contains(number) ||
        std::any_of(operation.edits.begin(), operation.edits.end(),
                    [&](const Edit& edit) { return folders.contains(edit.folder.get()); });
    if (!chosen) continue;
    needed.insert(number);
    needed.insert(operation.needs.begin(), operation.needs.end());
    for (const Edit& edit : operation.edits) folders.insert(edit.folder.get());
  }
  for (const uint64_t number : needed) {
    const auto operation = pending_.find(number);
    if (operation == pending_.end()) continue;  // durable already
    make_durable(operation->second);
    pending_.erase(operation);
  }
}

void SimNames::cut(SeededRandom& random, CutReport& report,
                   const std::function<void(SimNode&)>& survived) {
  std::unordered_map<const SimNode*, uint64_t>
      left;  // operations in that directory, then: how many may survive
  for (const auto& [number, operation] : pending_) {
    for (const Edit& edit : operation.edits) ++left[edit.folder.get()];
  }
  std::set<const SimNode*> drawn;
  std::set<uint64_t> dropped;
  for (const auto& [number, operation] : pending_) {
    bool kept = std::none_of(operation.needs.begin(), operation.needs.end(),
                             [&](uint64_t need) { return dropped.contains(need); });
    for (const Edit& edit : operation.edits) {
      uint64_t& may_survive = left[edit.folder.get()];
      if (drawn.insert(edit.folder.get())
              .second) {  // drawn in the order of the history, not of addresses
        const uint64_t style = random.below(4);
        may_survive = style == 0 ? 0 : style == 1 ? may_survive : random.below(may_survive + 1);
      }
      if (may_survive == 0) kept = false;
    }
    for (const Edit& edit : operation.edits) {
      uint64_t& may_survive = left[edit.folder.get()];
      may_survive =
          kept ? may_survive - std::min<uint64_t>(may_survive, 1) : 0;  // nothing after a gap
    }
    if (kept) {
      make_durable(operation);
    } else {
      dropped.insert(number);
    }
    ++(kept ? report.names_kept : report.names_dropped);
  }
  pending_.clear();

  std::set<const SimNode*> seen = {root_.get()};
  std::vector<SimNode*> folders = {root_.get()};
  while (!folders.empty()) {
    SimNode& folder = *folders.back();
    folders.pop_back();
    folder.names = folder.durable_names;
    folder.last_edit = 0;
    for (auto& [name, node] : folder.names) {
      if (!seen.insert(node.get()).second) {  // a second name
        ++node->links;
        continue;
      }
      node->links = 1;
      node->namings.clear();
      node->handles = 0;
      node->locked = false;
      if (node->is_directory) {
        node->parent = &folder;
        folders.push_back(node.get());
      } else {
        survived(*node);
      }
    }
  }
}

}  // namespace shoal::sim
