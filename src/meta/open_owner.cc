// Making a volume and taking it over.
#include "base/log.h"
#include "format/keys.h"
#include "meta/dump.h"
#include "meta/load.h"
#include "meta/owner_impl.h"

namespace shoal::meta {
namespace {

constexpr size_t kOpensKept = 64;

// What the volume has otherwise than asked for; "" when it is the same.
std::string difference(const format::Volume& volume, const VolumeSpec& spec) {
  if (volume.name != spec.name) return fmt::format("its name is {}", volume.name);
  if (volume.bucket != spec.bucket) return fmt::format("its bucket is {}", volume.bucket);
  if (volume.durability != spec.durability) return "its durability class is another";
  if (volume.trash_days != spec.trash_days)
    return fmt::format("it keeps its trash for {} days", volume.trash_days);
  if (volume.capacity_bytes != spec.capacity_bytes)
    return fmt::format("its capacity is {} bytes (0: no limit)", volume.capacity_bytes);
  if (volume.inodes_max != spec.inodes_max)
    return fmt::format("its limit of inodes is {} (0: none)", volume.inodes_max);
  return {};
}

Result<std::optional<std::pair<format::Volume, Stamp>>> find_volume(engine::KvEngine& engine) {
  TRY_ASSIGN(auto found, engine.get(nullptr, format::format_record_key()));
  if (!found) {
    TRY(check_no_load(engine));
    return std::optional<std::pair<format::Volume, Stamp>>();
  }
  TRY_ASSIGN(format::Volume volume, format::decode_volume(found->value));
  return std::optional(std::pair(std::move(volume), found->stamp));
}

format::Inode root_inode(const Time& time, uint64_t generation) {
  format::Inode root;
  root.mode = 0040755;
  root.nlink = 2;
  root.atime = root.mtime = root.ctime = root.btime = time;
  root.parent = kRootIno;
  root.generation = generation;
  return root;
}

}  // namespace

Result<format::Volume> format_volume(engine::KvEngine& engine, const VolumeSpec& spec,
                                     const Clock& clock, Random& random) {
  TRY_ASSIGN(auto found, find_volume(engine));
  if (found) {
    const std::string other = difference(found->first, spec);
    if (other.empty()) return std::move(found->first);
    return error(EEXIST,
                 "there is a volume already, and {}; choose another META-URL, destroy that volume, "
                 "or change its settings with shoal config",
                 other);
  }
  format::Volume volume;
  volume.uuid = random.uuid();
  volume.name = spec.name;
  volume.lineage = random.u64();
  volume.epoch = 1;
  volume.opens.push_back(random.uuid());  // what the bucket's marker names until the first open
  volume.created = clock.now();
  volume.bucket = spec.bucket;
  volume.durability = spec.durability;
  volume.trash_days = spec.trash_days;
  volume.capacity_bytes = spec.capacity_bytes;
  volume.inodes_max = spec.inodes_max;
  engine::Batch batch(volume.epoch << kStampSequenceBits);
  batch.insert(format::format_record_key(), format::encode_volume(volume));
  batch.insert(format::inode_key(kRootIno),
               format::encode_inode(root_inode(volume.created, random.u64() >> 32)));
  batch.merge_add(format::usage_key(0, kInodes), 1);
  TRY_ASSIGN(const engine::CommitResult result, engine.commit(batch));
  if (result.kind == engine::CommitResult::Kind::kConflict) {
    return error(EEXIST, "somebody else is making a volume here");
  }
  TRY(engine.sync());
  TRY_ASSIGN(found, find_volume(engine));
  if (!found || found->first.uuid != volume.uuid) {
    return error(EIO, "the volume record could not be written; try again");
  }
  return volume;
}

Result<format::Volume> read_volume(engine::KvEngine& engine) {
  TRY_ASSIGN(auto found, find_volume(engine));
  if (!found) return error(ENOENT, "no volume here; make one with `shoal format`");
  return std::move(found->first);
}

Result<std::unique_ptr<OwnerHandle>> open_owner(engine::KvEngine& engine, const Clock& clock,
                                                Random& random, Executor& executor,
                                                OwnerOptions options) {
  TRY_ASSIGN(auto found, find_volume(engine));
  if (!found) return error(ENOENT, "no volume here; make one with `shoal format`");
  Owner::Opening opening;
  opening.volume = std::move(found->first);
  opening.open_id = random.uuid();
  format::Volume& volume = opening.volume;
  if (options.redraw_lineage) {
    volume.moved.reset();
    volume.lineage_before = 0;
  }
  if (!options.though_moved) TRY(check_not_moved(volume));
  volume.epoch += 1;
  volume.opens.push_back(opening.open_id);
  while (volume.opens.size() > kOpensKept) volume.opens.erase(volume.opens.begin());
  if (options.redraw_lineage) volume.lineage = random.u64();
  opening.volume_stamp = volume.epoch << kStampSequenceBits;
  engine::Batch batch(opening.volume_stamp);
  batch.update(format::format_record_key(), format::encode_volume(volume), found->second);
  TRY_ASSIGN(const engine::CommitResult result, engine.commit(batch));
  if (result.kind == engine::CommitResult::Kind::kConflict) {
    return error(EBUSY, "another process opened the volume '{}' just now", volume.name);
  }
  if (result.kind == engine::CommitResult::Kind::kUnknown) {
    return error(EIO, "opening the volume '{}': the engine lost the reply; try again", volume.name);
  }
  TRY(engine.sync());
  for (uint16_t slot = 0; slot < kUsageSlots; ++slot) {
    TRY_ASSIGN(opening.usage[slot],
               engine::read_counter(engine, nullptr, format::usage_key(0, slot)));
  }
  auto owner =
      std::make_unique<Owner>(engine, clock, random, executor, options, std::move(opening));
  TRY(owner->take_over());
  return std::unique_ptr<OwnerHandle>(std::move(owner));
}

}  // namespace shoal::meta
