// Replay: what an earlier process journaled and the owner may not have, offered again (design
// §6.2.8). Private to StagingImpl::replay().
//
// Records go to the owner in the order of their sequences over all journals. The owner decides by
// `applied` and the chain of previous sequences and base versions; a record whose predecessor is
// missing is refused, and with it all that build on it.
#pragma once

#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "data/staging_impl.h"

namespace shoal::data {

class Replay {
 public:
  Replay(StagingImpl& staging, meta::Metadata& metadata) : staging_(staging), metadata_(metadata) {}
  Result<ReplayReport> run();

 private:
  struct Source {  // one journal being read record by record; of a large writer: only counted
    JournalPtr journal;
    uint64_t next = format::kSegmentHeaderBytes;
    uint64_t end = 0;
    uint64_t position = 0;  // of `header`
    format::RecordHeader header;
    uint64_t living = 0;   // records that became or were part of an inode
    uint64_t refused = 0;  // whose bytes the report names
  };

  Status make_durable();
  Status offer_all();
  Status advance(Source& source);  // position == end: no more
  struct Offered {
    meta::DataRecord record;
    Source* journal = nullptr;
    Source* bytes = nullptr;  // who holds the bytes: the journal, or a large writer's segment
  };
  Result<Offered> offered(Source& source);
  Status offer(Source& source);
  Status flush_batch();
  void count(const Offered& offered, const meta::DataOutcome& outcome);
  void note(std::string line);
  Status settle();
  Status drop_unless_wanted(Source& source);
  void settle_journal(Source& source, bool staging_in_b, Stamp stamp);
  Status write_report();

  StagingImpl& staging_;
  meta::Metadata& metadata_;
  ReplayReport report_;
  std::vector<std::unique_ptr<Source>> sources_;
  std::unordered_map<SegmentId, Source*> large_;
  std::vector<Offered> batch_;
  uint64_t batch_bytes_ = 0;
  uint64_t lines_dropped_ = 0;
};

}  // namespace shoal::data
