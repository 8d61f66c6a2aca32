// load: puts a dump into an engine that holds nothing else, chunk by chunk, each verified before.
//
// `M` says how far a load has come; `F` is written last, in the batch that removes `M`, after
// everything was read back and compared. So what is half loaded is no volume, and the same dump
// goes on where it was interrupted.
#pragma once

#include "engine/engine.h"
#include "meta/dump.h"
#include "meta/dump_reader.h"
#include "sys/random.h"

namespace shoal::meta {

struct LoadOptions {
  std::function<void(uint64_t keys)> progress;  // called now and then
  size_t ingest_bytes = 16 << 20;               // at once, held in memory; with bulk ingest only
};

struct LoadReport {
  format::Volume volume;  // as written: a new lineage, the epoch above the dump's
  format::DumpFooter footer;
  uint64_t chunks_before = 0;  // that an earlier, interrupted load had put there
};

// EEXIST when the engine holds a volume, another dump's load, or anything else.
Result<LoadReport> load(engine::KvEngine& engine, DumpReader& reader, Random& random,
                        const LoadOptions& options = {});

// EINPROGRESS with what to do when a load was begun and is not finished. (Not EBUSY: nobody is at
// it, waiting does not help.)
Status check_no_load(engine::KvEngine& engine);

}  // namespace shoal::meta
