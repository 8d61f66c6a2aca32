// dump: a volume's metadata as a stream that load() puts into another engine. The format is
// format/dump.h's, what travels is travelling.h's business.
//
// The fence is the epoch: whoever dumps has opened the volume as its owner and let the owner go. No
// older owner can commit any more, and when a newer one opened the volume meanwhile the dump fails.
#pragma once

#include <functional>
#include <string>

#include "engine/engine.h"
#include "format/dump.h"
#include "sys/clock.h"
#include "sys/random.h"

namespace shoal::meta {

// EBUSY while acknowledged bytes are only in a staging folder: they cannot travel.
Status check_nothing_staged(engine::KvEngine& engine);

// EBUSY while a mount has a session. kOutliving: only those that a new owner does not end.
enum class Sessions { kAny, kOutliving };
Status check_no_session(engine::KvEngine& engine, Sessions which);

struct DumpReport {
  format::DumpHeader header;
  format::DumpFooter footer;
  uint64_t stream_bytes = 0;
};
using DumpSink = std::function<Status(ByteView)>;
struct DumpOptions {
  std::function<void(uint64_t keys)> progress;               // called now and then
  size_t chunk_bytes = format::kDumpChunkPlainBytesMax / 2;  // at most that, + an item fits
};

// REQUIRES that the caller's epoch is the volume's last one and its owner is gone. EBUSY when
// something is staged or a session is open, ESTALE when another process opened the volume
// meanwhile.
Result<DumpReport> dump(engine::KvEngine& engine, const Clock& clock, Random& random,
                        const DumpSink& sink, const DumpOptions& options);

// After a dump that is safe where it is: the volume is not to be opened here any more, because its
// copy goes on. ESTALE when another process opened it since the dump.
Status move_away(engine::KvEngine& engine, const DumpReport& dumped, const Clock& clock);

// ESTALE with what to do when the volume was moved away.
Status check_not_moved(const format::Volume& volume);

}  // namespace shoal::meta
