#include "metasvc/dispatch.h"

#include <array>

#include "metasvc/codec.h"

namespace shoal::metasvc {
namespace {

using meta::Metadata;
using meta::Request;

// --- one function per method; the overload set is the table ---

Result<SessionId> run(Metadata& m, const Request&, const SessionOpen& a) {
  return m.session_open(a.host, a.description);
}
Result<Nothing> run(Metadata& m, const Request&, const SessionClose& a) {
  return nothing(m.session_close(a.session));
}
Result<uint32_t> run(Metadata& m, const Request&, const StoreOpen& a) {
  return m.store_open(a.session, a.store, a.host, a.path, a.nonce, a.address);
}
Result<meta::Attr> run(Metadata& m, const Request& r, const Lookup& a) {
  return m.lookup(r, a.parent, a.name);
}
Result<meta::Attr> run(Metadata& m, const Request& r, const GetAttr& a) {
  return m.getattr(r, a.ino);
}
Result<std::vector<Result<meta::Attr>>> run(Metadata& m, const Request& r, const GetAttrMany& a) {
  return m.getattr_many(r, a.inos);
}
Result<meta::Attr> run(Metadata& m, const Request& r, const LookupPath& a) {
  return m.lookup_path(r, a.from, a.path);
}
Result<meta::Attr> run(Metadata& m, const Request& r, const MakeNode& a) {
  return m.mknod(r, a.parent, a.name, a.mode, a.rdev);
}
Result<meta::Attr> run(Metadata& m, const Request& r, const MakeDirectory& a) {
  return m.mkdir(r, a.parent, a.name, a.mode);
}
Result<meta::Attr> run(Metadata& m, const Request& r, const MakeSymlink& a) {
  return m.symlink(r, a.parent, a.name, a.target);
}
Result<meta::Attr> run(Metadata& m, const Request& r, const Link& a) {
  return m.link(r, a.ino, a.parent, a.name);
}
Result<meta::Created> run(Metadata& m, const Request& r, const Create& a) {
  return m.create(r, a.parent, a.name, a.mode, a.flags, a.exclusive);
}
Result<std::vector<Result<meta::Created>>> run(Metadata& m, const Request& r, const CreateMany& a) {
  return m.create_many(r, a.parent, a.files);
}
Result<meta::Opened> run(Metadata& m, const Request& r, const CreateUnnamed& a) {
  return m.create_unnamed(r, a.parent, a.mode, a.flags);
}
Result<meta::Attr> run(Metadata& m, const Request& r, const Unlink& a) {
  return m.unlink(r, a.parent, a.name);
}
Result<meta::Attr> run(Metadata& m, const Request& r, const RemoveDirectory& a) {
  return m.rmdir(r, a.parent, a.name);
}
Result<Metadata::Renamed> run(Metadata& m, const Request& r, const Rename& a) {
  return m.rename(r, a.parent, a.name, a.new_parent, a.new_name, a.mode);
}
Result<std::string> run(Metadata& m, const Request& r, const ReadLink& a) {
  return m.readlink(r, a.ino);
}
Result<meta::Attr> run(Metadata& m, const Request& r, const SetAttributes& a) {
  return m.setattr(r, a.ino, a.change);
}
Result<meta::DirPage> run(Metadata& m, const Request& r, const ReadDirectory& a) {
  return m.readdir(r, a.ino, a.after, a.limit, a.with_attributes);
}
Result<meta::Opened> run(Metadata& m, const Request& r, const Open& a) {
  return m.open(r, a.ino, a.flags);
}
Result<Nothing> run(Metadata& m, const Request& r, const Release& a) {
  return nothing(m.release(r, a.ino, a.flags));
}
Result<std::string> run(Metadata& m, const Request& r, const GetXattr& a) {
  return m.getxattr(r, a.ino, a.name);
}
Result<std::vector<std::string>> run(Metadata& m, const Request& r, const ListXattr& a) {
  return m.listxattr(r, a.ino);
}
Result<Nothing> run(Metadata& m, const Request& r, const SetXattr& a) {
  return nothing(m.setxattr(r, a.ino, a.name, a.value, a.mode, a.kill_sgid));
}
Result<Nothing> run(Metadata& m, const Request& r, const RemoveXattr& a) {
  return nothing(m.removexattr(r, a.ino, a.name));
}
Result<meta::ExtentPage> run(Metadata& m, const Request& r, const Extents& a) {
  return m.extents(r, a.ino, a.from, a.limit);
}
Result<Nothing> run(Metadata& m, const Request& r, const SegmentOpen& a) {
  return nothing(m.segment_open(r, a.id, a.store));
}
Result<meta::CommitReply> run(Metadata& m, const Request& r, const CommitData& a) {
  return m.commit_data(r, a.store, a.records);
}
Result<Nothing> run(Metadata& m, const Request& r, const SegmentStored& a) {
  return nothing(m.segment_stored(r, a.id, a.length, a.complete));
}
Result<Nothing> run(Metadata& m, const Request& r, const SegmentDiscard& a) {
  return nothing(m.segment_discard(r, a.id));
}
Result<std::vector<meta::SegmentInfo>> run(Metadata& m, const Request&, const StoreSegments& a) {
  return m.store_segments(a.store);
}
Result<meta::SegmentPlace> run(Metadata& m, const Request&, const SegmentPlace& a) {
  return m.segment_place(a.id);
}
Result<meta::Attr> run(Metadata& m, const Request& r, const CopyRange& a) {
  return m.copy_range(r, a.source, a.from, a.target, a.to, a.length);
}
Result<uint64_t> run(Metadata& m, const Request& r, const SpaceGrant& a) {
  return m.space_grant(r, a.want_bytes);
}
Result<Nothing> run(Metadata& m, const Request& r, const SpaceReturn& a) {
  m.space_return(r, a.bytes);
  return Nothing{};
}
Result<meta::Lock> run(Metadata& m, const Request& r, const LockGet& a) {
  return m.lock_get(r, a.ino, a.wanted);
}
Result<Nothing> run(Metadata& m, const Request& r, const LockSet& a) {
  return nothing(m.lock_set(r, a.ino, a.wanted));
}
Result<Nothing> run(Metadata& m, const Request& r, const ReleasePosixLocks& a) {
  m.release_posix_locks(r, a.ino, a.owner);
  return Nothing{};
}
Result<Nothing> run(Metadata& m, const Request& r, const ReleaseHandleLocks& a) {
  m.release_handle_locks(r, a.ino, a.handle);
  return Nothing{};
}
Result<meta::VolumeUsage> run(Metadata& m, const Request&, const Usage&) { return m.usage(); }
Result<format::Volume> run(Metadata& m, const Request&, const DescribeVolume&) {
  return m.volume();
}
Result<Nothing> run(Metadata& m, const Request&, const Sync&) { return nothing(m.sync()); }

// --- the table ---

template <typename M>
Result<std::string> serve(Metadata& metadata, const rpc::Identity& identity,
                          std::string_view body) {
  TRY_ASSIGN(Asked<M> asked, decode<Asked<M>>(body));
  const Request request = request_of(identity, std::move(asked.caller));
  TRY_ASSIGN(const typename M::Reply reply, run(metadata, request, asked.arguments));
  return encode(reply);
}

struct Served {
  Result<std::string> (*serve)(Metadata&, const rpc::Identity&, std::string_view) = nullptr;
  bool changes = false;
};
using Table = std::array<Served, 64>;

template <typename... M>
void add(Table& table, bool changes) {
  ((table[M::kNumber] = {&serve<M>, changes}), ...);
}

const Table& table() {
  static const Table made = [] {
    Table table;
    add<Lookup, GetAttr, GetAttrMany, LookupPath, ReadLink, ReadDirectory, GetXattr, ListXattr,
        Extents, StoreSegments, SegmentPlace, SpaceGrant, SpaceReturn, LockGet, Usage,
        DescribeVolume, Sync>(table, false);
    add<SessionOpen, SessionClose, StoreOpen, MakeNode, MakeDirectory, MakeSymlink, Link, Create,
        CreateMany, CreateUnnamed, Unlink, RemoveDirectory, Rename, SetAttributes, Open, Release,
        SetXattr, RemoveXattr, SegmentOpen, CommitData, SegmentStored, SegmentDiscard, CopyRange,
        LockSet, ReleasePosixLocks, ReleaseHandleLocks>(table, true);
    // Served by who knows sessions (service.cc).
    for (const uint16_t number : {LockWait::kNumber, LockCancel::kNumber})
      table[number].changes = true;
    return table;
  }();
  return made;
}

}  // namespace

bool changes_anything(uint16_t method) {
  return method < table().size() && table()[method].changes;
}

Result<std::string> dispatch(Metadata& metadata, uint16_t method, const rpc::Identity& identity,
                             std::string_view body) {
  if (method >= table().size() || table()[method].serve == nullptr)
    return error(ENOSYS, "method {} is not known here: the peer is newer", method);
  return table()[method].serve(metadata, identity, body);
}

}  // namespace shoal::metasvc
