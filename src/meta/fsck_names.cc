// fsck of names: D against I, link counts, L, the tree.
#include <unordered_set>

#include "format/keys.h"
#include "meta/fsck_state.h"

namespace shoal::meta {
namespace {

Status count_entry(FsckState& state, const engine::Item& item) {
  const auto key = format::parse_entry_key(item.key);
  const Result<format::Entry> entry = format::decode_entry(item.value);
  if (!key.ok() || !entry.ok()) {
    state.problem(fmt::format("directory entry {} cannot be read", to_hex(as_bytes(item.key))));
    return {};
  }
  const auto& [parent, name] = *key;
  if (entry->type == format::kWhiteout) return {};
  ++state.report.entries;
  const auto directory = state.inodes.find(parent);
  if (directory == state.inodes.end() || !directory->second.is_directory()) {
    state.problem(fmt::format("entry '{}' is in inode {}, which is no directory", name, parent));
  } else {
    ++directory->second.entries_seen;
  }
  const auto child = state.inodes.find(entry->ino);
  if (child == state.inodes.end()) {
    state.problem(fmt::format("entry '{}' in {} names inode {}, which does not exist", name, parent,
                              entry->ino));
    return {};
  }
  InodeSummary& inode = child->second;
  if ((inode.mode >> 12 & 15) != entry->type) {
    state.problem(fmt::format("entry '{}' in {} has type {}, inode {} is {}", name, parent,
                              entry->type, entry->ino, inode.mode >> 12 & 15));
  }
  if (inode.is_directory() && directory != state.inodes.end()) ++directory->second.subdirectories;
  ++inode.names;
  if (inode.names == 1) {
    inode.named_in = parent;
  } else {
    if (inode.names == 2) ++state.names_in[{entry->ino, inode.named_in}];
    ++state.names_in[{entry->ino, parent}];
  }
  return {};
}

void check_names_of(FsckState& state, Ino ino, const InodeSummary& inode) {
  const bool waits = inode.open_unlinked || inode.reclaim || inode.trashed;
  if (inode.names == 0 && ino != kRootIno && !waits) {
    state.problem(fmt::format("inode {} has no name and waits nowhere", ino));
  }
  if (inode.names > 0 && waits) {
    state.problem(fmt::format("inode {} has {} names and is listed as unlinked", ino, inode.names));
  }
  if (inode.is_directory()) {
    if (inode.names > 1) state.problem(fmt::format("directory {} has {} names", ino, inode.names));
    const uint32_t expected = inode.names == 0 && ino != kRootIno ? 0 : 2 + inode.subdirectories;
    if (inode.nlink != expected) {
      state.problem(
          fmt::format("directory {} has link count {}, counted {}", ino, inode.nlink, expected));
    }
    if (inode.entries != inode.entries_seen) {
      state.problem(fmt::format("directory {} says {} entries, counted {}", ino, inode.entries,
                                inode.entries_seen));
    }
  } else if (inode.nlink != inode.names) {
    state.problem(
        fmt::format("inode {} has link count {}, counted {} names", ino, inode.nlink, inode.names));
  }
  const bool parent_right = inode.names == 1  ? inode.parent == inode.named_in
                            : inode.names > 1 ? state.names_in.contains({ino, inode.parent})
                                              : true;
  if (!parent_right) {
    state.problem(fmt::format("inode {} says its parent is {}, it is named in {}", ino,
                              inode.parent, inode.named_in));
  }
}

// Walks up from each directory; what reaches the root (or a nameless directory) is marked so that
// no step is done twice.
void check_tree(FsckState& state) {
  std::unordered_set<Ino> sound{kRootIno};
  for (const auto& [start, summary] : state.inodes) {
    if (!summary.is_directory()) continue;
    std::vector<Ino> path;
    std::unordered_set<Ino> on_path;
    Ino at = start;
    while (!sound.contains(at)) {
      if (!on_path.insert(at).second) {
        state.problem(fmt::format("directory {} is inside itself", at));
        break;
      }
      path.push_back(at);
      const auto found = state.inodes.find(at);
      if (found == state.inodes.end() || found->second.names == 0) break;
      at = found->second.named_in;
    }
    sound.insert(path.begin(), path.end());
  }
}

Status check_links(FsckState& state) {
  TRY(state.each("L", [&state](const engine::Item& item) -> Status {
    const auto key = format::parse_link_key(item.key);
    const Result<uint32_t> names = format::decode_link_count(item.value);
    if (!key.ok() || !names.ok()) {
      state.problem(fmt::format("link record {} cannot be read", to_hex(as_bytes(item.key))));
      return {};
    }
    const auto counted = state.names_in.find(*key);
    const uint32_t expected = counted == state.names_in.end() ? 0 : counted->second;
    if (*names != expected) {
      state.repairable(
          fmt::format("link record of inode {} in {} says {} names, counted {}", key->first,
                      key->second, *names, expected),
          item.key,
          expected == 0 ? std::nullopt : std::optional(format::encode_link_count(expected)));
    }
    if (counted != state.names_in.end()) state.names_in.erase(counted);
    return {};
  }));
  for (const auto& [key, names] : state.names_in) {
    state.repairable(
        fmt::format("inode {} has {} names in {} and no link record", key.first, names, key.second),
        format::link_key(key.first, key.second), format::encode_link_count(names));
  }
  return {};
}

}  // namespace

Status fsck_names(FsckState& state) {
  TRY(state.each("D", [&state](const engine::Item& item) { return count_entry(state, item); }));
  if (!state.inodes.contains(kRootIno)) state.problem("the root directory does not exist");
  for (const auto& [ino, inode] : state.inodes) check_names_of(state, ino, inode);
  check_tree(state);
  return check_links(state);
}

}  // namespace shoal::meta
