// commit_data: journaled data operations become part of their inodes (design §6.2).
//
// A record is applied when it continues what the inode holds: its predecessor of the same store is
// the last one that was applied, or the inode's data version is the one below the store's
// uncommitted records. So a record is applied once (replays are kAlready), and never over newer
// data (kConflict).
//
// The record of a mount that is alive asks for the predecessor only: whatever others committed
// since, its programs wrote later than what they have seen closed, and two mounts that write
// different ranges keep both. The inode remembers the last record of each of its recent stores.
#include <sys/stat.h>

#include <algorithm>
#include <unordered_map>

#include "base/log.h"
#include "format/keys.h"
#include "meta/owner_impl.h"

namespace shoal::meta {
namespace {

constexpr size_t kRecordsMax = 1000;
constexpr size_t kInodesPerBatch = 256;
constexpr size_t kBatchBytesEnough = kBatchBytesMax / 2;
constexpr size_t kExtentsPerCommit = 1000;

using format::RecordHeader;
using format::RecordKind;

struct Range {
  uint64_t from = 0;
  uint64_t to = 0;
};

// What a record touches; nullopt when it is malformed.
std::optional<Range> range_of(const DataRecord& record, uint64_t offset) {
  const RecordHeader& header = record.header;
  if (offset > kFileBytesMax) return std::nullopt;
  switch (header.kind) {
    case RecordKind::kData:
      if (!record.target || record.first > record.target->length ||
          header.length > record.target->length - record.first) {
        return std::nullopt;
      }
      [[fallthrough]];
    case RecordKind::kPunch:
    case RecordKind::kZero:
      if (header.length == 0 || header.length > kFileBytesMax - offset) return std::nullopt;
      return Range{offset, offset + header.length};
    case RecordKind::kTruncate:
      return Range{offset, kFileBytesMax};
    case RecordKind::kTimes:
      return Range{};
    default:
      return std::nullopt;
  }
}

// The store's last record that is part of the inode; 0: none that is known.
uint64_t applied_of(const format::Inode& inode, uint32_t store) {
  if (inode.applied.store == store) return inode.applied.sequence;
  for (const format::Applied& other : inode.applied_others) {
    if (other.store == store) return other.sequence;
  }
  return 0;
}

void note_applied(format::Inode& inode, uint32_t store, uint64_t sequence) {
  if (inode.applied.store != store) {
    auto& others = inode.applied_others;
    std::erase_if(others, [&](const format::Applied& other) { return other.store == store; });
    if (inode.applied.store != 0) others.insert(others.begin(), inode.applied);
    if (others.size() > format::kAppliedOthersMax) others.pop_back();
  }
  inode.applied = {store, sequence};
}

bool continues(const DataRecord& record, uint32_t store, const format::Inode& inode) {
  const RecordHeader& header = record.header;
  const uint64_t mine = applied_of(inode, store);
  if (header.previous_sequence != 0) {
    if (mine != 0 && mine != header.previous_sequence) return false;
    if (mine != 0 && inode.applied.store == store) return true;
    // Of this store nothing was ever applied, so the predecessor is missing.
    const bool forgotten = inode.applied_others.size() == format::kAppliedOthersMax;
    if (mine == 0 && (inode.applied.store == 0 || (record.live && !forgotten))) return false;
  }
  if (record.live) return true;
  return header.base_version == inode.data_version;
}

// kTimes carries the moment of the call in the fields that it has no other use for (0: not known).
Time times_ctime(const RecordHeader& header, const Time& now) {
  if (header.offset == 0 && header.length == 0) return now;
  if (header.length >= 1'000'000'000) return now;
  return {static_cast<int64_t>(header.offset), static_cast<uint32_t>(header.length)};
}

}  // namespace

struct Owner::DataCall {
  struct Work {  // the inode being worked on
    Ino ino = 0;
    InodeRef ref;
    format::Inode* inode = nullptr;  // the change's copy, once something is applied
    std::optional<ExtentWork> extents;

    // Goes on with what was committed meanwhile.
    void restart(const InodeRef& committed) {
      ref = committed;
      inode = nullptr;
      extents.reset();
    }
  };

  Owner& owner;
  const Request& request;
  const uint32_t store;
  const std::vector<DataRecord>& records;
  CommitReply reply;
  std::vector<Ino> inos = {};                  // distinct, by first appearance
  std::vector<std::vector<uint32_t>> of = {};  // records of inos[i]
  std::vector<InodeRef> refs = {};             // latest version of inos[i]; null: there is none
  std::vector<Stamp> before = {};              // the data version that the call met
  std::optional<Change> change = {};
  std::vector<size_t> changed = {};     // indexes of inos in `change`
  std::vector<SegmentId> checked = {};  // segments that `change` checks

  void group();
  Status run();
  Status run_page(size_t begin, size_t end);
  Status read_inodes(size_t begin, size_t end);
  Status run_inode(size_t index);
  Status finish(Work& work, size_t index);
  Status flush();
  DataOutcome::Kind judge(const DataRecord& record, const format::Inode& inode);
  Result<bool> usable(const DataRecord& record);
  Status apply(Work& work, const DataRecord& record, DataOutcome& outcome, const Range& range);
  void edit(Work& work, const RecordHeader& header);
  Result<bool> is_long(const Work& work, const DataRecord& record, const Range& range);
  Status apply_long(size_t index, const DataRecord& record, const Range& range);
};

void Owner::DataCall::group() {
  std::unordered_map<Ino, size_t> slots;
  slots.reserve(records.size());
  for (uint32_t i = 0; i < records.size(); ++i) {
    const Ino ino = records[i].header.ino;
    const bool again = !inos.empty() && inos.back() == ino;
    const size_t slot = again ? inos.size() - 1 : slots.try_emplace(ino, inos.size()).first->second;
    if (slot == inos.size()) {
      inos.push_back(ino);
      of.emplace_back();
    }
    of[slot].push_back(i);
  }
  refs.resize(inos.size());
  before.resize(inos.size());
  reply.outcomes.resize(records.size());
}

Status Owner::DataCall::run() {
  group();
  for (size_t begin = 0; begin < inos.size(); begin += kInodesPerBatch) {
    TRY(run_page(begin, std::min(inos.size(), begin + kInodesPerBatch)));
  }
  for (size_t i = 0; i < inos.size(); ++i) {
    if (refs[i] != nullptr) reply.inodes.push_back({inos[i], attr_of(inos[i], refs[i]), before[i]});
  }
  return {};
}

Status Owner::DataCall::run_page(size_t begin, size_t end) {
  std::vector<Want> inode_wants;
  std::vector<Want> segment_wants;
  for (size_t i = begin; i < end; ++i) {
    inode_wants.push_back(exclusive(inos[i]));
    for (const uint32_t r : of[i]) {
      if (!records[r].target) continue;
      const uint64_t key = latch_key(records[r].target->segment);
      if (segment_wants.empty() || segment_wants.back().key != key) {
        segment_wants.push_back(shared(key));
      }
    }
  }
  const Latches latches(owner.latches_, inode_wants);
  const Latches segment_latches(owner.segment_latches_, segment_wants);
  TRY(read_inodes(begin, end));
  for (size_t i = begin; i < end; ++i) {
    TRY(run_inode(i));
    if (change && change->bytes() > kBatchBytesEnough) TRY(flush());
  }
  return flush();
}

Status Owner::DataCall::read_inodes(size_t begin, size_t end) {
  std::vector<std::string> keys;
  std::vector<size_t> missing;
  for (size_t i = begin; i < end; ++i) {
    if (auto cached = owner.inodes_.get(inos[i])) {
      refs[i] = std::move(*cached);
    } else {
      keys.push_back(format::inode_key(inos[i]));
      missing.push_back(i);
    }
  }
  if (missing.empty()) return {};
  TRY_ASSIGN(const auto found, owner.engine_.get_many(nullptr, keys));
  for (size_t k = 0; k < missing.size(); ++k) {
    if (!found[k]) continue;
    TRY_ASSIGN(format::Inode inode, format::decode_inode(found[k]->value));
    const size_t i = missing[k];
    refs[i] = std::make_shared<CachedInode>(CachedInode{std::move(inode), found[k]->stamp});
    owner.inodes_.put(inos[i], refs[i]);
  }
  return {};
}

DataOutcome::Kind Owner::DataCall::judge(const DataRecord& record, const format::Inode& inode) {
  using Kind = DataOutcome::Kind;
  const RecordHeader& header = record.header;
  if (header.generation != inode.generation) return Kind::kNoInode;
  const bool gone = inode.nlink == 0 && (inode.flags & format::kFlagTrashed) == 0 &&
                    !owner.opens_.is_open(header.ino);
  if (gone) return Kind::kNoInode;
  if (header.sequence <= applied_of(inode, store)) return Kind::kAlready;
  return inode.is_regular() && continues(record, store, inode) ? Kind::kApplied : Kind::kConflict;
}

// The segment that the record names is there; checked once per batch.
Result<bool> Owner::DataCall::usable(const DataRecord& record) {
  if (record.header.kind != RecordKind::kData) return true;
  if (record.target->kind != format::Target::Kind::kSegment) return true;
  const SegmentId& id = record.target->segment;
  if (std::find(checked.rbegin(), checked.rend(), id) != checked.rend()) return true;
  Status status = owner.check_segment(*change, id);
  if (status.ok()) {
    checked.push_back(id);
    return true;
  }
  if (!status.error().is(ENOENT) && !status.error().is(ESTALE)) return status.error();
  log(LogLevel::kWarn, "data of inode {} at {} not taken: {}", record.header.ino,
      record.header.offset, status.error().text());
  return false;
}

Status Owner::DataCall::run_inode(size_t index) {
  if (refs[index] == nullptr) {
    for (const uint32_t r : of[index]) reply.outcomes[r].kind = DataOutcome::Kind::kNoInode;
    return {};
  }
  before[index] = refs[index]->inode.data_version;
  Work work{inos[index], refs[index], nullptr, std::nullopt};
  for (const uint32_t r : of[index]) {
    const DataRecord& record = records[r];
    DataOutcome& outcome = reply.outcomes[r];
    const format::Inode& inode = work.inode != nullptr ? *work.inode : work.ref->inode;
    outcome.kind = judge(record, inode);
    outcome.placed_at = record.append ? inode.size : record.header.offset;
    if (outcome.kind != DataOutcome::Kind::kApplied) continue;
    const auto range = range_of(record, outcome.placed_at);
    if (!change) change.emplace(owner.stamps_);
    bool good = range.has_value();
    if (good) {
      TRY_ASSIGN(good, usable(record));
    }
    if (!good) {
      outcome.kind = DataOutcome::Kind::kConflict;
      continue;
    }
    TRY_ASSIGN(const bool long_range, is_long(work, record, *range));
    if (long_range) {
      TRY(finish(work, index));
      TRY(flush());
      TRY(apply_long(index, record, *range));
      work.restart(refs[index]);
      continue;
    }
    TRY(apply(work, record, outcome, *range));
    if (change->bytes() > kBatchBytesEnough) {
      TRY(finish(work, index));
      TRY(flush());
      work.restart(refs[index]);
    }
  }
  return finish(work, index);
}

// Size, times and versions; the extents are apply()'s.
void Owner::DataCall::edit(Work& work, const RecordHeader& header) {
  if (work.inode == nullptr) work.inode = &change->edit(work.ino, work.ref);
  format::Inode& inode = *work.inode;
  note_applied(inode, store, header.sequence);
  inode.mtime = header.mtime;
  if (header.kind == RecordKind::kTimes) {
    if ((header.flags & format::kRecordAtime) != 0) inode.atime = header.atime;
    inode.ctime = std::max(inode.ctime, times_ctime(header, owner.now()));
    return;
  }
  // The moment of the operation, which is what the writer has seen since; a later chmod stays
  // later.
  inode.ctime = std::max(inode.ctime, header.mtime);
  inode.data_version = change->stamp();
}

Status Owner::DataCall::apply(Work& work, const DataRecord& record, DataOutcome& outcome,
                              const Range& range) {
  const RecordHeader& header = record.header;
  edit(work, header);
  if (header.kind == RecordKind::kTimes) return {};
  if (!work.extents) work.extents.emplace(owner.extent_store_, work.ino, work.ref);
  TRY(work.extents->load(range.from, range.to));
  ExtentMap& map = work.extents->map();
  format::Inode& inode = *work.inode;
  switch (header.kind) {
    case RecordKind::kData: {
      format::Extent extent;
      extent.offset = outcome.placed_at;
      extent.length = header.length;
      extent.target = *record.target;
      extent.first = record.first;
      map.replace(extent);
      inode.size = std::max(inode.size, range.to);
      break;
    }
    case RecordKind::kTruncate:
      map.punch(range.from, range.to);
      inode.size = header.offset;
      break;
    case RecordKind::kZero:
      if ((header.flags & format::kRecordKeepSize) == 0)
        inode.size = std::max(inode.size, range.to);
      [[fallthrough]];
    default:
      map.punch(range.from, range.to);
      break;
  }
  return {};
}

Status Owner::DataCall::finish(Work& work, size_t index) {
  if (work.inode == nullptr) return {};
  if (work.extents) TRY(work.extents->finish(*change, *work.inode));
  changed.push_back(index);
  return {};
}

Status Owner::DataCall::flush() {
  if (!change) return {};
  if (!changed.empty()) {
    const int64_t bytes = change->usage_delta(kUsedBytes);
    TRY(owner.commit(*change));
    for (const size_t index : changed) refs[index] = change->result(inos[index]);
    owner.use_grant(request.session, bytes);
  }
  change.reset();
  changed.clear();
  checked.clear();
  return {};
}

// Does the record remove more extents than one commit should?
Result<bool> Owner::DataCall::is_long(const Work& work, const DataRecord& record,
                                      const Range& range) {
  if (work.ref->inode.content != format::Content::kExtents) return false;
  if (record.header.kind == RecordKind::kData || record.header.kind == RecordKind::kTimes) {
    return false;
  }
  if (range.from >= work.ref->inode.size) return false;
  TRY_ASSIGN(const auto found,
             owner.extent_store_.load(work.ino, work.ref, range.from, range.to, kExtentsPerCommit));
  return found.size() > kExtentsPerCommit;
}

// The inode says at once what the record makes of it; a marker says that the range counts as a hole
// until the pages that free it are done, here or in the next take_over().
Status Owner::DataCall::apply_long(size_t index, const DataRecord& record, const Range& range) {
  change.emplace(owner.stamps_);
  const Stamp marker = change->stamp();
  Work work{inos[index], refs[index], nullptr, std::nullopt};
  edit(work, record.header);
  if (record.header.kind == RecordKind::kTruncate) work.inode->size = record.header.offset;
  const bool extends = record.header.kind == RecordKind::kZero &&
                       (record.header.flags & format::kRecordKeepSize) == 0;
  if (extends) work.inode->size = std::max(work.inode->size, range.to);
  change->batch().insert(format::reclaim_key(marker, work.ino),
                         format::encode_reclaim({true, range.from, range.to}));
  changed.push_back(index);
  TRY(flush());
  TRY(owner.reclaim_range(work.ino, marker, range.from, range.to));
  TRY_ASSIGN(refs[index], owner.inode_latched(work.ino));
  return {};
}

Result<CommitReply> Owner::commit_data(const Request& request, uint32_t store,
                                       const std::vector<DataRecord>& records) {
  TRY(healthy());
  if (records.size() > kRecordsMax) return error(EINVAL, "{} records in one call", records.size());
  if (store == 0) return error(EINVAL, "records of no store");
  DataCall call{*this, request, store, records, {}};
  TRY(call.run());
  return std::move(call.reply);
}

}  // namespace shoal::meta
