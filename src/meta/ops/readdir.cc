// readdir: a page of names, with attributes when asked for.
#include <algorithm>

#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {
namespace {

// The numbers of a page are read as one range when at least every fourth of it is wanted.
constexpr uint64_t kSparsest = 4;

}  // namespace

// Fills in `attr` of every entry. Children are read without their latches: each is as it was at one
// moment of the call.
Status Owner::add_attributes(std::vector<DirEntry>& entries) {
  std::vector<DirEntry*> missing;
  for (DirEntry& entry : entries) {
    if (auto cached = inodes_.get(entry.ino)) {
      entry.attr = attr_of(entry.ino, *cached);
    } else {
      missing.push_back(&entry);
    }
  }
  std::sort(missing.begin(), missing.end(),
            [](const DirEntry* a, const DirEntry* b) { return a->ino < b->ino; });
  for (size_t begin = 0; begin < missing.size();) {
    size_t end = begin + 1;
    const Ino first = missing[begin]->ino;
    while (end < missing.size() && missing[end]->ino - first < kSparsest * (end + 1 - begin) &&
           missing[end]->ino - first < kPageEntriesMax) {
      ++end;
    }
    TRY(read_attributes({missing.begin() + static_cast<ptrdiff_t>(begin),
                         missing.begin() + static_cast<ptrdiff_t>(end)}));
    begin = end;
  }
  return {};
}

// One range read for entries of ascending, near numbers.
Status Owner::read_attributes(std::span<DirEntry*> entries) {
  TRY_ASSIGN(const engine::Page page,
             engine_.scan(nullptr, format::inode_key(entries.front()->ino),
                          format::inode_key(entries.back()->ino + 1), kPageEntriesMax));
  auto item = page.items.begin();
  for (DirEntry* entry : entries) {
    const std::string key = format::inode_key(entry->ino);
    while (item != page.items.end() && item->key < key) ++item;
    if (item == page.items.end() || item->key != key) continue;  // unlinked meanwhile
    TRY_ASSIGN(const format::Inode inode, format::decode_inode(item->value));
    entry->attr = attr_of(entry->ino, inode);
  }
  return {};
}

Result<DirPage> Owner::readdir(const Request& request, Ino ino, std::string_view after,
                               size_t limit, bool with_attributes) {
  TRY(healthy());
  DirPage page;
  std::string begin = format::entry_key(ino, after);
  if (!after.empty()) begin.push_back('\0');  // the smallest key behind `after`
  const size_t wanted = std::clamp<size_t>(limit, 1, kPageEntriesMax);
  {
    const Latches latch(latches_, {shared(ino)});
    TRY_ASSIGN(const InodeRef directory, inode_latched(ino));
    if (!directory->inode.is_directory()) return Error(ENOTDIR);
    TRY(check_access(request.caller, directory->inode, 4));
    TRY_ASSIGN(const engine::Page found,
               engine_.scan(nullptr, begin, engine::prefix_end(format::entry_prefix(ino)), wanted));
    page.more = found.more;
    page.entries.reserve(found.items.size());
    for (const engine::Item& item : found.items) {
      TRY_ASSIGN(const format::Entry entry, format::decode_entry(item.value));
      if (entry.type == format::kWhiteout) continue;
      constexpr size_t kPrefixBytes = 9;
      page.entries.push_back({item.key.substr(kPrefixBytes), entry.type, entry.ino, {}});
    }
  }
  if (with_attributes) TRY(add_attributes(page.entries));
  return page;
}

}  // namespace shoal::meta
