// The reclaimer: frees what `G` lists, in pages, so that no commit grows with the file.
#include "base/log.h"
#include "engine/for_each.h"
#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {
namespace {

constexpr size_t kPageExtents = 900;  // two records may be cut at the ends of a range

}  // namespace

Result<uint64_t> Owner::reclaim_page(Ino ino, Stamp marker, uint64_t from, uint64_t to) {
  TRY_ASSIGN(const InodeRef ref, inode_latched(ino));
  Change change(stamps_);
  format::Inode& inode = change.edit(ino, ref);
  uint64_t page_end = to;
  if (inode.content == format::Content::kExtents) {
    TRY_ASSIGN(const auto found, extent_store_.load(ino, ref, from, to, kPageExtents));
    if (found.size() > kPageExtents) {
      page_end = std::min(to, found.back().extent.offset);
    }
  }
  ExtentWork work(extent_store_, ino, ref);
  TRY(work.load(from, page_end));
  work.map().punch(from, page_end);
  TRY(work.finish(change, inode));
  if (page_end == to && marker != 0) change.batch().erase(format::reclaim_key(marker, ino), marker);
  TRY(commit(change));
  return page_end;
}

Status Owner::reclaim_range(Ino ino, Stamp marker, uint64_t from, uint64_t to) {
  while (from < to) {
    auto next = reclaim_page(ino, marker, from, to);
    if (!next.ok()) {
      poison(fmt::format("freeing a range of inode {}: {}", ino, next.error().text()));
      return next.error();
    }
    from = *next;
  }
  return {};
}

Result<bool> Owner::reclaim_xattr_page(Ino ino) {
  const std::string prefix = format::xattr_prefix(ino);
  constexpr size_t kPageXattrs = 500;
  TRY_ASSIGN(const engine::Page page,
             engine_.scan(nullptr, prefix, engine::prefix_end(prefix), kPageXattrs));
  if (page.items.empty()) return true;
  Change change(stamps_);
  for (const engine::Item& item : page.items) change.batch().erase(item.key, item.stamp);
  TRY(commit(change));
  return false;
}

Status Owner::reclaim_inode(Ino ino, Stamp marker) {
  const Latches latch(latches_, {exclusive(ino)});
  TRY_ASSIGN(const auto still, engine_.get(nullptr, format::reclaim_key(marker, ino)));
  if (!still) return {};  // somebody else was faster
  const auto found = inode_latched(ino);
  if (!found.ok() && !found.error().is(ENOENT)) return found.error();
  const bool dead = found.ok() && found.value()->inode.nlink == 0 &&
                    (found.value()->inode.flags & format::kFlagTrashed) == 0 &&
                    !opens_.is_open(ino);
  if (dead) {
    for (uint64_t from = 0; from < kFileBytesMax;) {
      TRY_ASSIGN(from, reclaim_page(ino, 0, from, kFileBytesMax));
    }
    for (bool last = false; !last;) {
      TRY_ASSIGN(last, reclaim_xattr_page(ino));
    }
  }
  Change change(stamps_);
  change.batch().erase(format::reclaim_key(marker, ino), marker);
  if (dead) {
    TRY_ASSIGN(const InodeRef ref, inode_latched(ino));
    change.erase(ino, ref);
    change.usage(kInodes, -1);
  }
  return commit(change);
}

Result<uint64_t> Owner::reclaim(size_t inodes_max) {
  TRY(healthy());
  uint64_t done = 0;
  std::string begin = "G";
  while (done < inodes_max) {
    TRY_ASSIGN(const engine::Page page,
               engine_.scan(nullptr, begin, "H", std::min(kPageEntriesMax, inodes_max - done)));
    for (const engine::Item& item : page.items) {
      TRY_ASSIGN(const auto key, format::parse_reclaim_key(item.key));
      TRY_ASSIGN(const format::ReclaimRecord record, format::decode_reclaim(item.value));
      if (record.range) continue;  // the operation that made it is at it
      TRY(reclaim_inode(key.second, key.first));
      ++done;
    }
    if (!page.more) break;
    begin = page.items.back().key + '\0';
  }
  return done;
}

void Owner::schedule_reclaim() {
  if (reclaim_scheduled_.exchange(true)) return;
  run_later({}, [this] {
    reclaim_scheduled_ = false;
    auto done = reclaim(kPageEntriesMax);
    if (!done.ok()) {
      log(LogLevel::kWarn, "reclaiming inodes: {}", done.error().text());
    } else if (*done == kPageEntriesMax) {
      schedule_reclaim();
    }
  });
}

// Ranges count as holes since their marker was committed, so they go before anybody reads.
Status Owner::take_over_reclaim() {
  bool inodes = false;
  const auto visit = [&](const engine::Item& item) -> Result<engine::Visit> {
    TRY_ASSIGN(const auto key, format::parse_reclaim_key(item.key));
    TRY_ASSIGN(const format::ReclaimRecord record, format::decode_reclaim(item.value));
    inodes = inodes || !record.range;
    if (record.range) {
      const Latches latch(latches_, {exclusive(key.second)});
      TRY(reclaim_range(key.second, key.first, record.from, record.to));
    }
    return engine::Visit::kContinue;
  };
  TRY(engine::for_each_with(engine_, nullptr, "G", visit));
  if (inodes) schedule_reclaim();
  return {};
}

}  // namespace shoal::meta
