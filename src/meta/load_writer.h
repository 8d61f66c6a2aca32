// Puts a dump's chunks into an engine so that a load may be interrupted anywhere: `M` counts the
// chunks that are there. Private to load().
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "format/dump.h"
#include "meta/dump_reader.h"

namespace shoal::meta {

// On an engine with bulk ingest chunks are gathered and ingested together, and M follows: an ingest
// without its M is recognised, key by key, when the load goes on. Elsewhere a chunk is a batch with
// its M. Counters (stamp 0) are merged in the batch of M, so that none is counted twice.
class LoadWriter {
 public:
  // Makes M, or finds that of an interrupted load of the same dump. EEXIST when there is anything
  // else.
  static Result<LoadWriter> begin(engine::KvEngine& engine, const format::DumpHeader& header,
                                  size_t ingest_bytes);

  uint64_t done() const { return record_.chunks; }  // chunks that are in the engine
  Status add(DumpedChunk chunk);  // in the order of their numbers; those that are there are skipped
  Status flush();

 private:
  LoadWriter(engine::KvEngine& engine, const format::DumpHeader& header, size_t ingest_bytes);
  Status ingest();
  Status drop_ingested();
  // Commits the counters, what was not ingested, and M.
  Status commit();
  Result<bool> attempt(const std::string& after);

  engine::KvEngine& engine_;
  bool bulk_;
  size_t ingest_bytes_;
  Stamp stamps_;  // of the batches that write M: this + the chunks
  format::LoadRecord record_;
  std::string record_value_;  // as it is in the engine
  Stamp record_stamp_ = 0;
  uint64_t last_chunk_ = 0;  // of what is waiting
  std::vector<engine::Item> items_;
  std::vector<engine::Item> counters_;
  size_t items_bytes_ = 0;
  size_t counters_bytes_ = 0;
};

}  // namespace shoal::meta
