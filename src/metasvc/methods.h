// The methods of the metadata protocol: one struct per call of meta::Metadata, with its arguments,
// its number on the wire and what it answers. Numbers are for ever; new ones are added at the end.
//
// Private to metasvc/.
#pragma once

#include "metasvc/wire.h"
#include "rpc/frame.h"

namespace shoal::metasvc {

struct Nothing {};  // also what has no arguments is one
inline auto fields(const Nothing&) { return std::tuple<>(); }
inline Result<Nothing> nothing(const Status& status) {
  if (!status.ok()) return status.error();
  return Nothing{};
}

// Before the arguments of each: on whose behalf. Session, slot and sequence are the frame's.
template <typename Arguments>
struct Asked {
  meta::Caller caller;
  Arguments arguments;
};
template <typename Arguments>
auto fields(Asked<Arguments>& v) {
  return std::tie(v.caller, v.arguments);
}
template <typename Arguments>
auto fields(const Asked<Arguments>& v) {
  return std::tie(v.caller, v.arguments);
}

// On the serving side.
inline meta::Request request_of(const rpc::Identity& identity, meta::Caller caller) {
  meta::Request request;
  request.session = identity.session;
  request.slot = identity.slot;
  request.sequence = identity.sequence;
  request.caller = std::move(caller);
  return request;
}

template <uint16_t number, typename Answered>
struct Method {
  static constexpr uint16_t kNumber = number;
  using Reply = Answered;
};

// --- sessions and stores ---
struct SessionOpen : Method<1, SessionId> {
  std::string host, description;
};
SHOAL_WIRE_FIELDS(SessionOpen, v.host, v.description)
struct SessionClose : Method<2, Nothing> {
  SessionId session = 0;
};
SHOAL_WIRE_FIELDS(SessionClose, v.session)
struct StoreOpen : Method<3, uint32_t> {
  SessionId session = 0;
  Uuid store;
  std::string host, path;
  uint64_t nonce = 0;
  std::string address;
};
SHOAL_WIRE_FIELDS(StoreOpen, v.session, v.store, v.host, v.path, v.nonce, v.address)

struct Heartbeat : Method<4, Nothing>, Nothing {};  // the session lives; also after a reconnect
// To an owner that answered kReturnFirst: the session is here, and this is what it has open, as it
// knows from answers. Requests that it has not got an answer to come again afterwards.
struct SessionReturn : Method<5, Nothing> {
  std::vector<meta::HeldOpen> opens;
};
SHOAL_WIRE_FIELDS(SessionReturn, v.opens)

// --- namespace ---
struct Lookup : Method<10, meta::Attr> {
  Ino parent = 0;
  std::string name;
};
SHOAL_WIRE_FIELDS(Lookup, v.parent, v.name)
struct GetAttr : Method<11, meta::Attr> {
  Ino ino = 0;
};
SHOAL_WIRE_FIELDS(GetAttr, v.ino)
struct GetAttrMany : Method<12, std::vector<Result<meta::Attr>>> {
  std::vector<Ino> inos;
};
SHOAL_WIRE_FIELDS(GetAttrMany, v.inos)
struct LookupPath : Method<13, meta::Attr> {
  Ino from = 0;
  std::string path;
};
SHOAL_WIRE_FIELDS(LookupPath, v.from, v.path)
struct MakeNode : Method<14, meta::Attr> {
  Ino parent = 0;
  std::string name;
  uint32_t mode = 0;
  uint64_t rdev = 0;
};
SHOAL_WIRE_FIELDS(MakeNode, v.parent, v.name, v.mode, v.rdev)
struct MakeDirectory : Method<15, meta::Attr> {
  Ino parent = 0;
  std::string name;
  uint32_t mode = 0;
};
SHOAL_WIRE_FIELDS(MakeDirectory, v.parent, v.name, v.mode)
struct MakeSymlink : Method<16, meta::Attr> {
  Ino parent = 0;
  std::string name, target;
};
SHOAL_WIRE_FIELDS(MakeSymlink, v.parent, v.name, v.target)
struct Link : Method<17, meta::Attr> {
  Ino ino = 0, parent = 0;
  std::string name;
};
SHOAL_WIRE_FIELDS(Link, v.ino, v.parent, v.name)
struct Create : Method<18, meta::Created> {
  Ino parent = 0;
  std::string name;
  uint32_t mode = 0;
  meta::OpenFlags flags;
  bool exclusive = false;
};
SHOAL_WIRE_FIELDS(Create, v.parent, v.name, v.mode, v.flags, v.exclusive)
struct CreateMany : Method<19, std::vector<Result<meta::Created>>> {
  Ino parent = 0;
  std::vector<meta::Metadata::CreateMany> files;
};
SHOAL_WIRE_FIELDS(CreateMany, v.parent, v.files)
struct CreateUnnamed : Method<20, meta::Opened> {
  Ino parent = 0;
  uint32_t mode = 0;
  meta::OpenFlags flags;
};
SHOAL_WIRE_FIELDS(CreateUnnamed, v.parent, v.mode, v.flags)
struct Unlink : Method<21, meta::Attr> {
  Ino parent = 0;
  std::string name;
};
SHOAL_WIRE_FIELDS(Unlink, v.parent, v.name)
struct RemoveDirectory : Method<22, meta::Attr> {
  Ino parent = 0;
  std::string name;
};
SHOAL_WIRE_FIELDS(RemoveDirectory, v.parent, v.name)
struct Rename : Method<23, meta::Metadata::Renamed> {
  Ino parent = 0;
  std::string name;
  Ino new_parent = 0;
  std::string new_name;
  meta::RenameMode mode = meta::RenameMode::kReplace;
};
SHOAL_WIRE_FIELDS(Rename, v.parent, v.name, v.new_parent, v.new_name, v.mode)
struct ReadLink : Method<24, std::string> {
  Ino ino = 0;
};
SHOAL_WIRE_FIELDS(ReadLink, v.ino)
struct SetAttributes : Method<25, meta::Attr> {
  Ino ino = 0;
  meta::SetAttr change;
};
SHOAL_WIRE_FIELDS(SetAttributes, v.ino, v.change)
struct ReadDirectory : Method<26, meta::DirPage> {
  Ino ino = 0;
  std::string after;
  uint64_t limit = 0;
  bool with_attributes = false;
};
SHOAL_WIRE_FIELDS(ReadDirectory, v.ino, v.after, v.limit, v.with_attributes)

// --- open files ---
struct Open : Method<30, meta::Opened> {
  Ino ino = 0;
  meta::OpenFlags flags;
};
SHOAL_WIRE_FIELDS(Open, v.ino, v.flags)
struct Release : Method<31, Nothing> {
  Ino ino = 0;
  meta::OpenFlags flags;
};
SHOAL_WIRE_FIELDS(Release, v.ino, v.flags)

// --- extended attributes ---
struct GetXattr : Method<35, std::string> {
  Ino ino = 0;
  std::string name;
};
SHOAL_WIRE_FIELDS(GetXattr, v.ino, v.name)
struct ListXattr : Method<36, std::vector<std::string>> {
  Ino ino = 0;
};
SHOAL_WIRE_FIELDS(ListXattr, v.ino)
struct SetXattr : Method<37, Nothing> {
  Ino ino = 0;
  std::string name, value;
  meta::Metadata::XattrMode mode = meta::Metadata::XattrMode::kEither;
  bool kill_sgid = false;
};
SHOAL_WIRE_FIELDS(SetXattr, v.ino, v.name, v.value, v.mode, v.kill_sgid)
struct RemoveXattr : Method<38, Nothing> {
  Ino ino = 0;
  std::string name;
};
SHOAL_WIRE_FIELDS(RemoveXattr, v.ino, v.name)

// --- data ---
struct Extents : Method<40, meta::ExtentPage> {
  Ino ino = 0;
  uint64_t from = 0, limit = 0;
};
SHOAL_WIRE_FIELDS(Extents, v.ino, v.from, v.limit)
struct SegmentOpen : Method<41, Nothing> {
  SegmentId id;
  uint32_t store = 0;
};
SHOAL_WIRE_FIELDS(SegmentOpen, v.id, v.store)
struct CommitData : Method<42, meta::CommitReply> {
  uint32_t store = 0;
  std::vector<meta::DataRecord> records;
};
SHOAL_WIRE_FIELDS(CommitData, v.store, v.records)
struct SegmentStored : Method<43, Nothing> {
  SegmentId id;
  uint64_t length = 0;
  bool complete = false;
};
SHOAL_WIRE_FIELDS(SegmentStored, v.id, v.length, v.complete)
struct SegmentDiscard : Method<44, Nothing> {
  SegmentId id;
};
SHOAL_WIRE_FIELDS(SegmentDiscard, v.id)
struct StoreSegments : Method<45, std::vector<meta::SegmentInfo>> {
  uint32_t store = 0;
};
SHOAL_WIRE_FIELDS(StoreSegments, v.store)
struct CopyRange : Method<46, meta::Attr> {
  Ino source = 0;
  uint64_t from = 0;
  Ino target = 0;
  uint64_t to = 0, length = 0;
};
SHOAL_WIRE_FIELDS(CopyRange, v.source, v.from, v.target, v.to, v.length)
struct SpaceGrant : Method<47, uint64_t> {
  uint64_t want_bytes = 0;
};
SHOAL_WIRE_FIELDS(SpaceGrant, v.want_bytes)
struct SpaceReturn : Method<48, Nothing> {
  uint64_t bytes = 0;
};
SHOAL_WIRE_FIELDS(SpaceReturn, v.bytes)

struct SegmentPlace : Method<49, meta::SegmentPlace> {
  SegmentId id;
};
SHOAL_WIRE_FIELDS(SegmentPlace, v.id)

// --- locks ---
struct LockGet : Method<50, meta::Lock> {
  Ino ino = 0;
  meta::Lock wanted;
};
SHOAL_WIRE_FIELDS(LockGet, v.ino, v.wanted)
struct LockSet : Method<51, Nothing> {
  Ino ino = 0;
  meta::Lock wanted;
};
SHOAL_WIRE_FIELDS(LockSet, v.ino, v.wanted)
struct LockWait : Method<52, Nothing> {  // answered when queued; LockDone tells the rest
  Ino ino = 0;
  meta::Lock wanted;
  uint64_t wait = 0;  // drawn by the session, never again
};
SHOAL_WIRE_FIELDS(LockWait, v.ino, v.wanted, v.wait)
struct ReleasePosixLocks : Method<53, Nothing> {
  Ino ino = 0;
  uint64_t owner = 0;
};
SHOAL_WIRE_FIELDS(ReleasePosixLocks, v.ino, v.owner)
struct ReleaseHandleLocks : Method<54, Nothing> {
  Ino ino = 0;
  uint64_t handle = 0;
};
SHOAL_WIRE_FIELDS(ReleaseHandleLocks, v.ino, v.handle)

struct LockCancel : Method<55, Nothing> {  // its LockDone says EINTR, or that it came too late
  uint64_t wait = 0;
};
SHOAL_WIRE_FIELDS(LockCancel, v.wait)

// --- volume ---
struct Usage : Method<60, meta::VolumeUsage>, Nothing {};
struct DescribeVolume : Method<61, format::Volume>, Nothing {};
struct Sync : Method<62, Nothing>, Nothing {};

// --- what the owner tells unasked ---
struct LockDone {  // granted (0), EDEADLK, EINTR
  static constexpr uint16_t kNumber = 1;
  uint64_t wait = 0;
  int code = 0;
};
SHOAL_WIRE_FIELDS(LockDone, v.wait, v.code)
struct SessionTold {  // meta::SessionEvent
  static constexpr uint16_t kNumber = 2;
  meta::SessionEvent event;
};
SHOAL_WIRE_FIELDS(SessionTold, v.event)

}  // namespace shoal::metasvc
