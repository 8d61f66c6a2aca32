#include "meta/owner_impl.h"
namespace shoal::meta {
Result<ExtentPage> Owner::extents(const Request&, Ino, uint64_t, size_t) { return Error(ENOSYS); }
Status Owner::segment_open(const Request&, const SegmentId&, uint32_t) { return Error(ENOSYS); }
Result<CommitReply> Owner::commit_data(const Request&, uint32_t, const std::vector<DataRecord>&) { return Error(ENOSYS); }
Status Owner::segment_stored(const Request&, const SegmentId&, uint64_t, bool) { return Error(ENOSYS); }
Status Owner::segment_discard(const Request&, const SegmentId&) { return Error(ENOSYS); }
Result<std::vector<SegmentInfo>> Owner::store_segments(uint32_t) { return Error(ENOSYS); }
Result<Attr> Owner::copy_range(const Request&, Ino, uint64_t, Ino, uint64_t, uint64_t) { return Error(ENOSYS); }
Result<uint64_t> Owner::reclaim(size_t) { return Error(ENOSYS); }
Result<std::vector<SegmentInfo>> Owner::segments(const SegmentId&, size_t) { return Error(ENOSYS); }
Result<bool> Owner::segment_dying(const SegmentId&) { return Error(ENOSYS); }
Status Owner::segment_forget(const SegmentId&) { return Error(ENOSYS); }
Result<std::vector<Maintenance::Reference>> Owner::references(const SegmentId&, const std::vector<Ino>&) { return Error(ENOSYS); }
Result<size_t> Owner::move_extents(const Request&, const std::vector<Move>&) { return Error(ENOSYS); }
void Owner::schedule_reclaim() {}
Status Owner::take_over_reclaim() { return {}; }
}  // namespace shoal::meta
