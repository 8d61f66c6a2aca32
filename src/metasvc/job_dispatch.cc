#include "metasvc/job_dispatch.h"

#include <array>

#include "metasvc/codec.h"
#include "metasvc/job_methods.h"

namespace shoal::metasvc {
namespace {

using meta::Request;

// --- one function per method; the overload set is the table ---

Result<std::vector<meta::TrashEntry>> run(JobDispatch& j, const Request&, const TrashList& a) {
  return j.maintenance.trash_list(a.limit);
}
Result<Place> run(JobDispatch& j, const Request&, const TrashRestore& a) {
  std::optional<std::pair<Ino, std::string>> place;
  if (a.place) place.emplace(a.place->parent, a.place->name);
  TRY_ASSIGN(auto restored, j.maintenance.trash_restore(a.ino, place));
  return Place{restored.first, std::move(restored.second)};
}
Result<uint64_t> run(JobDispatch& j, const Request&, const TrashEmpty& a) {
  return j.maintenance.trash_empty(a.days);
}
Result<uint64_t> run(JobDispatch& j, const Request&, const Reclaim& a) {
  return j.maintenance.reclaim(a.inodes_max);
}
Result<std::vector<meta::SegmentInfo>> run(JobDispatch& j, const Request&, const Segments& a) {
  return j.maintenance.segments(a.after, a.limit);
}
Result<bool> run(JobDispatch& j, const Request&, const SegmentDying& a) {
  return j.maintenance.segment_dying(a.id);
}
Result<Nothing> run(JobDispatch& j, const Request&, const SegmentForget& a) {
  return nothing(j.maintenance.segment_forget(a.id));
}
Result<Nothing> run(JobDispatch& j, const Request&, const SegmentLost& a) {
  return nothing(j.maintenance.segment_lost(a.id));
}
Result<std::vector<meta::Maintenance::Reference>> run(JobDispatch& j, const Request&,
                                                      const References& a) {
  return j.maintenance.references(a.id, a.writers);
}
Result<uint64_t> run(JobDispatch& j, const Request& r, const MoveExtents& a) {
  TRY_ASSIGN(const size_t moved, j.maintenance.move_extents(r, a.moves));
  return uint64_t{moved};
}
Result<Nothing> run(JobDispatch& j, const Request&, const ChangeVolume& a) {
  return nothing(j.maintenance.change_volume(a.change));
}
Result<std::string> run(JobDispatch& j, const Request&, const PathOf& a) {
  return j.maintenance.path_of(a.ino);
}
Result<std::vector<std::optional<engine::Versioned>>> run(JobDispatch& j, const Request&,
                                                          const EngineGet& a) {
  TRY_ASSIGN(const auto token, j.token(a.moment));
  return j.engine.get_many(token.get(), a.keys);
}
Result<engine::Page> run(JobDispatch& j, const Request&, const EngineScan& a) {
  TRY_ASSIGN(const auto token, j.token(a.moment));
  return j.engine.scan(token.get(), a.begin, a.end, a.limit);
}
Result<std::optional<engine::Item>> run(JobDispatch& j, const Request&, const EngineLast& a) {
  TRY_ASSIGN(const auto token, j.token(a.moment));
  return j.engine.last(token.get(), a.begin, a.end);
}
Result<uint64_t> run(JobDispatch& j, const Request&, const EngineMoment&) {
  return j.open_moment();
}
Result<Nothing> run(JobDispatch& j, const Request&, const EngineMomentEnd& a) {
  j.close_moment(a.moment);
  return Nothing{};
}
Result<std::string> run(JobDispatch& j, const Request&, const EngineFacts&) {
  return j.engine.describe();
}
Result<uint64_t> run(JobDispatch& j, const Request&, const EngineDiskBytes&) {
  return j.engine.disk_bytes();
}

// --- the table ---

constexpr uint16_t kFirst = 70, kEnd = 100;

template <typename M>
Result<std::string> serve(JobDispatch& jobs, const rpc::Identity& identity, std::string_view body) {
  TRY_ASSIGN(Asked<M> asked, decode<Asked<M>>(body));
  const Request request = request_of(identity, std::move(asked.caller));
  TRY_ASSIGN(const typename M::Reply reply, run(jobs, request, asked.arguments));
  return encode(reply);
}

struct Served {
  Result<std::string> (*serve)(JobDispatch&, const rpc::Identity&, std::string_view) = nullptr;
  bool changes = false;
};
using Table = std::array<Served, kEnd - kFirst>;

template <typename... M>
void add(Table& table, bool changes) {
  ((table[M::kNumber - kFirst] = {&serve<M>, changes}), ...);
}

const Table& table() {
  static const Table made = [] {
    Table table;
    add<TrashList, Segments, References, PathOf, EngineGet, EngineScan, EngineLast, EngineMoment,
        EngineMomentEnd, EngineFacts, EngineDiskBytes>(table, false);
    add<TrashRestore, TrashEmpty, Reclaim, SegmentDying, SegmentForget, SegmentLost, MoveExtents,
        ChangeVolume>(table, true);
    return table;
  }();
  return made;
}

}  // namespace

bool JobDispatch::knows(uint16_t method) {
  return method >= kFirst && method < kEnd && table()[method - kFirst].serve != nullptr;
}

bool JobDispatch::changes_anything(uint16_t method) {
  return knows(method) && table()[method - kFirst].changes;
}

Result<std::string> JobDispatch::dispatch(uint16_t method, const rpc::Identity& identity,
                                          std::string_view body) {
  if (!knows(method)) return error(ENOSYS, "method {} is not known here", method);
  return table()[method - kFirst].serve(*this, identity, body);
}

uint64_t JobDispatch::open_moment() {
  std::shared_ptr<engine::ReadToken> token = engine.read_token();
  std::shared_ptr<engine::ReadToken> oldest;  // ends outside of the lock
  MutexLock lock(mutex_);
  if (moments_.size() >= kMomentsMax) {
    oldest = std::move(moments_.begin()->second);
    moments_.erase(moments_.begin());
  }
  moments_.emplace(++drawn_, std::move(token));
  return drawn_;
}

void JobDispatch::close_moment(uint64_t moment) {
  std::shared_ptr<engine::ReadToken> token;
  MutexLock lock(mutex_);
  const auto at = moments_.find(moment);
  if (at == moments_.end()) return;
  token = std::move(at->second);
  moments_.erase(at);
}

Result<std::shared_ptr<engine::ReadToken>> JobDispatch::token(uint64_t moment) {
  if (moment == 0) return std::shared_ptr<engine::ReadToken>();
  MutexLock lock(mutex_);
  const auto at = moments_.find(moment);
  if (at == moments_.end())
    return error(ESTALE, "the moment {} of the engine has ended: too many others came", moment);
  return at->second;
}

}  // namespace shoal::metasvc
