#include "engine/for_each.h"
#include "format/keys.h"
#include "meta/extent_work.h"
#include "meta/fsck.h"

namespace shoal::meta {

Status each_extent(engine::KvEngine& engine,
                   const std::function<Status(Ino, const format::Extent&)>& visit) {
  const auto visit_segments = [&visit](Ino ino, const format::Extent& extent) {
    return extent.target.kind == format::Target::Kind::kSegment ? visit(ino, extent) : Status();
  };
  const auto of_inode = [&](const engine::Item& item) -> Result<engine::Visit> {
    TRY_ASSIGN(const Ino ino, format::parse_inode_key(item.key));
    TRY_ASSIGN(const format::Inode inode, format::decode_inode(item.value));
    for (const format::Extent& extent : inode.extents) TRY(visit_segments(ino, extent));
    return engine::Visit::kContinue;
  };
  const auto record = [&](const engine::Item& item) -> Result<engine::Visit> {
    TRY_ASSIGN(const auto key, format::parse_extent_key(item.key));
    TRY_ASSIGN(const format::Extent extent, decode_extent_record(item));
    TRY(visit_segments(key.first, extent));
    return engine::Visit::kContinue;
  };
  const std::unique_ptr<engine::ReadToken> token = engine.read_token();
  TRY(engine::for_each_with(engine, token.get(), "I", of_inode));
  return engine::for_each_with(engine, token.get(), "E", record);
}

}  // namespace shoal::meta
