// The bodies of the metadata protocol: how the structs of meta/types.h travel. Each is an array of
// its fields in a fixed order (MessagePack, by msgpack-cxx): a later version appends fields, an
// older peer ignores what it does not know and takes the default of what is missing.
//
// Private to metasvc/: heavy to include.
#pragma once

#include <msgpack.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "engine/engine.h"
#include "meta/maintenance.h"
#include "meta/metadata.h"
#include "meta/session_keeper.h"

namespace shoal::metasvc {

// --- what travels: `fields(value)` is a tuple of references, in the order of the wire ---

#define SHOAL_WIRE_FIELDS(type, ...)                            \
  inline auto fields(type& v) { return std::tie(__VA_ARGS__); } \
  inline auto fields(const type& v) { return std::tie(__VA_ARGS__); }

SHOAL_WIRE_FIELDS(Time, v.seconds, v.nanoseconds)
SHOAL_WIRE_FIELDS(SegmentId, v.nonce, v.sequence)
SHOAL_WIRE_FIELDS(Uuid, v.bytes)
SHOAL_WIRE_FIELDS(format::Target, v.kind, v.segment, v.imported, v.offset, v.length, v.crc, v.flags)
SHOAL_WIRE_FIELDS(format::Extent, v.offset, v.length, v.target, v.first)
SHOAL_WIRE_FIELDS(format::Segment, v.state, v.complete, v.store, v.length, v.born, v.died)
SHOAL_WIRE_FIELDS(format::RecordHeader, v.kind, v.flags, v.payload_crc, v.payload_length,
                  v.frame_bytes, v.ino, v.generation, v.sequence, v.previous_sequence,
                  v.base_version, v.offset, v.length, v.mtime, v.parent, v.atime)
SHOAL_WIRE_FIELDS(format::Volume, v.uuid, v.name, v.lineage, v.epoch, v.opens, v.created, v.bucket,
                  v.durability, v.trash_days, v.capacity_bytes, v.inodes_max,
                  v.metadata_loss_accepted, v.lineage_before)

SHOAL_WIRE_FIELDS(meta::Caller, v.uid, v.gid, v.pid, v.umask, v.groups, v.kernel_checked)
SHOAL_WIRE_FIELDS(meta::Attr, v.ino, v.mode, v.uid, v.gid, v.nlink, v.size, v.allocated, v.atime,
                  v.mtime, v.ctime, v.btime, v.rdev, v.flags, v.parent, v.generation, v.entries,
                  v.data_version, v.has_acl, v.has_capability)
SHOAL_WIRE_FIELDS(meta::SetAttr::SetTime, v.now, v.time)
SHOAL_WIRE_FIELDS(meta::SetAttr, v.mode, v.uid, v.gid, v.atime, v.mtime, v.flags, v.ctime,
                  v.kill_privileges)
SHOAL_WIRE_FIELDS(meta::OpenFlags, v.read, v.write)
SHOAL_WIRE_FIELDS(meta::Opened, v.attr, v.extents_known, v.extents, v.written_by_several)
SHOAL_WIRE_FIELDS(meta::Created, v.opened, v.existed)
SHOAL_WIRE_FIELDS(meta::Metadata::CreateMany, v.name, v.mode)
SHOAL_WIRE_FIELDS(meta::Metadata::Renamed, v.moved, v.replaced)
SHOAL_WIRE_FIELDS(meta::DirEntry, v.name, v.type, v.ino, v.attr)
SHOAL_WIRE_FIELDS(meta::DirPage, v.entries, v.more)
SHOAL_WIRE_FIELDS(meta::ExtentPage, v.data_version, v.size, v.extents, v.more)
SHOAL_WIRE_FIELDS(meta::DataRecord, v.header, v.target, v.first, v.append, v.live)
SHOAL_WIRE_FIELDS(meta::DataOutcome, v.kind, v.placed_at)
SHOAL_WIRE_FIELDS(meta::InodeCommit, v.ino, v.attr, v.before)
SHOAL_WIRE_FIELDS(meta::CommitReply, v.outcomes, v.inodes)
SHOAL_WIRE_FIELDS(meta::VolumeUsage, v.capacity_bytes, v.used_bytes, v.trash_bytes, v.inodes_max,
                  v.inodes, v.trash_inodes)
SHOAL_WIRE_FIELDS(meta::SegmentInfo, v.id, v.record, v.live_bytes)
SHOAL_WIRE_FIELDS(meta::SegmentPlace, v.state, v.store, v.host, v.path, v.address)
SHOAL_WIRE_FIELDS(meta::HeldOpen, v.ino, v.reads, v.writes)
SHOAL_WIRE_FIELDS(meta::SessionEvent, v.kind, v.ino)
SHOAL_WIRE_FIELDS(meta::Lock, v.kind, v.type, v.start, v.end, v.owner, v.handle, v.pid)

// --- for jobs ---

SHOAL_WIRE_FIELDS(meta::TrashEntry, v.ino, v.day, v.parent, v.name, v.path, v.size, v.is_directory,
                  v.deleted)
SHOAL_WIRE_FIELDS(meta::VolumeChange, v.trash_days, v.capacity_bytes, v.inodes_max, v.durability)
SHOAL_WIRE_FIELDS(meta::Maintenance::Reference, v.ino, v.parent, v.extent)
SHOAL_WIRE_FIELDS(meta::Maintenance::Move, v.ino, v.from, v.to, v.first)
SHOAL_WIRE_FIELDS(engine::Versioned, v.stamp, v.value)
SHOAL_WIRE_FIELDS(engine::Item, v.key, v.stamp, v.value)
SHOAL_WIRE_FIELDS(engine::Page, v.items, v.more)

}  // namespace shoal::metasvc
