// The methods that jobs need (gc, repack, trash, fsck, status): meta::Maintenance, and reading the
// engine as it is. They continue methods.h; numbers 70 … 99 are theirs.
//
// Private to metasvc/.
#pragma once

#include "metasvc/methods.h"

namespace shoal::metasvc {

struct Place {  // of a name
  Ino parent = 0;
  std::string name;
};
SHOAL_WIRE_FIELDS(Place, v.parent, v.name)

// --- meta::Maintenance ---
struct TrashList : Method<70, std::vector<meta::TrashEntry>> {
  uint64_t limit = 0;
};
SHOAL_WIRE_FIELDS(TrashList, v.limit)
struct TrashRestore : Method<71, Place> {
  Ino ino = 0;
  std::optional<Place> place;
};
SHOAL_WIRE_FIELDS(TrashRestore, v.ino, v.place)
struct TrashEmpty : Method<72, uint64_t> {
  uint32_t days = 0;
};
SHOAL_WIRE_FIELDS(TrashEmpty, v.days)
struct Reclaim : Method<73, uint64_t> {
  uint64_t inodes_max = 0;
};
SHOAL_WIRE_FIELDS(Reclaim, v.inodes_max)
struct Segments : Method<74, std::vector<meta::SegmentInfo>> {
  SegmentId after;
  uint64_t limit = 0;
};
SHOAL_WIRE_FIELDS(Segments, v.after, v.limit)
struct SegmentDying : Method<75, bool> {
  SegmentId id;
};
SHOAL_WIRE_FIELDS(SegmentDying, v.id)
struct SegmentForget : Method<76, Nothing> {
  SegmentId id;
};
SHOAL_WIRE_FIELDS(SegmentForget, v.id)
struct SegmentLost : Method<77, Nothing> {
  SegmentId id;
};
SHOAL_WIRE_FIELDS(SegmentLost, v.id)
struct References : Method<78, std::vector<meta::Maintenance::Reference>> {
  SegmentId id;
  std::vector<Ino> writers;
};
SHOAL_WIRE_FIELDS(References, v.id, v.writers)
struct MoveExtents : Method<79, uint64_t> {
  std::vector<meta::Maintenance::Move> moves;
};
SHOAL_WIRE_FIELDS(MoveExtents, v.moves)
struct ChangeVolume : Method<80, Nothing> {
  meta::VolumeChange change;
};
SHOAL_WIRE_FIELDS(ChangeVolume, v.change)
struct PathOf : Method<81, std::string> {
  Ino ino = 0;
};
SHOAL_WIRE_FIELDS(PathOf, v.ino)

// --- the engine, read only ---
struct EngineGet : Method<90, std::vector<std::optional<engine::Versioned>>> {
  uint64_t moment = 0;  // of EngineMoment; 0: now
  std::vector<std::string> keys;
};
SHOAL_WIRE_FIELDS(EngineGet, v.moment, v.keys)
struct EngineScan : Method<91, engine::Page> {
  uint64_t moment = 0;
  std::string begin, end;
  uint64_t limit = 0;
};
SHOAL_WIRE_FIELDS(EngineScan, v.moment, v.begin, v.end, v.limit)
struct EngineLast : Method<92, std::optional<engine::Item>> {
  uint64_t moment = 0;
  std::string begin, end;
};
SHOAL_WIRE_FIELDS(EngineLast, v.moment, v.begin, v.end)
struct EngineMoment : Method<93, uint64_t>, Nothing {};  // a read token, for a while
struct EngineMomentEnd : Method<94, Nothing> {
  uint64_t moment = 0;
};
SHOAL_WIRE_FIELDS(EngineMomentEnd, v.moment)
struct EngineFacts : Method<95, std::string>, Nothing {};  // describe()
struct EngineDiskBytes : Method<96, uint64_t>, Nothing {};

}  // namespace shoal::metasvc
