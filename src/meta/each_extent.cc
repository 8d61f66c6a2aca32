#include "format/keys.h"
#include "meta/extent_work.h"
#include "meta/fsck.h"

namespace shoal::meta {
namespace {

Status each_item(engine::KvEngine& engine, std::string_view prefix,
                 const std::function<Status(const engine::Item&)>& visit) {
  const std::unique_ptr<engine::ReadToken> token = engine.read_token();
  const std::string end = engine::prefix_end(prefix);
  std::string begin(prefix);
  for (;;) {
    TRY_ASSIGN(const engine::Page page, engine.scan(token.get(), begin, end, kPageEntriesMax));
    for (const engine::Item& item : page.items) TRY(visit(item));
    if (!page.more) return {};
    begin = page.items.back().key + '\0';
  }
}

}  // namespace

Status each_extent(engine::KvEngine& engine,
                   const std::function<Status(Ino, const format::Extent&)>& visit) {
  const auto visit_segments = [&visit](Ino ino, const format::Extent& extent) {
    return extent.target.kind == format::Target::Kind::kSegment ? visit(ino, extent) : Status();
  };
  const auto inline_extents = [&](const engine::Item& item) -> Status {
    TRY_ASSIGN(const Ino ino, format::parse_inode_key(item.key));
    TRY_ASSIGN(const format::Inode inode, format::decode_inode(item.value));
    for (const format::Extent& extent : inode.extents) TRY(visit_segments(ino, extent));
    return {};
  };
  const auto extent_record = [&](const engine::Item& item) -> Status {
    TRY_ASSIGN(const auto key, format::parse_extent_key(item.key));
    TRY_ASSIGN(const format::Extent extent, decode_extent_record(item));
    return visit_segments(key.first, extent);
  };
  TRY(each_item(engine, "I", inline_extents));
  return each_item(engine, "E", extent_record);
}

}  // namespace shoal::meta
