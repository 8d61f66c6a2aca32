// The cache's index on disk: a header and then records of 64 bytes, appended and never changed,
// until they are written anew because too many of them are history. Format, little-endian:
//
//   header: 8 "shoalidx" · u8 version 1 · 3 zero · u32 slot bytes · u32 unit bytes · zeros ·
//           u32 CRC-32C of the 60 before
//   record: u8 kind · u8 part · u16 zero · u32 slot · u32 chunk bytes · u64 key high ·
//           u64 key low · 32 bytes bitmap · u32 CRC-32C of the 60 before
//
// Kind 1, units: the slot holds the chunk, and of its units 256 × part … + 255 those in the bitmap
// are valid, beside those that earlier records named; whatever else the slot held, and wherever
// else the chunk was, is gone. Kind 2, drop: the slot no longer holds this chunk.
//
// A whole block is four records, so 100 GiB are 6.5 MB to read at a start. Nothing is synced:
// records may be lost, torn or survive without their data. Records of one size let a reader pass
// over a torn one, and the CRCs of the data, which are bound to the key, make every wrong record a
// miss (disk_cache.h).
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>

#include "cache/slot_table.h"
#include "sys/local_fs.h"
#include "sys/mutex.h"

namespace shoal::cache {

inline constexpr size_t kIndexRecordBytes = 64;
inline constexpr uint8_t kIndexVersion = 1;
inline constexpr uint32_t kIndexParts = 4;
inline constexpr uint64_t kIndexBytesMax = uint64_t{1}
                                           << 30;  // a larger file is not an index of ours

struct IndexRecord {
  enum class Kind : uint8_t { kUnits = 1, kDrop = 2 };
  Kind kind = Kind::kUnits;
  uint8_t part = 0;
  uint32_t slot = 0;
  uint32_t chunk_bytes = 0;  // 1 … kBlockBytes
  ChunkKey key;
  std::array<uint64_t, UnitSet::kWords / kIndexParts> units{};
};

std::string encode_index_header();
Status check_index_header(std::string_view bytes);  // EBADMSG
void encode_index_record(const IndexRecord& record, std::string& out);
// False for anything that encode_index_record would not have written. REQUIRES kIndexRecordBytes
// bytes.
bool decode_index_record(std::string_view bytes, IndexRecord* record);
// The records for the units of `set` inside `range` of `entry`'s chunk; parts without any are left
// out.
void encode_units(const SlotTable::Entry& entry, const UnitSet& set, UnitRange range,
                  std::string& out);
void encode_drop(const SlotTable::Entry& entry, std::string& out);

// Thread-safe. No lock is held over I/O: a place in the file is taken under a lock, the bytes go
// there without one.
class IndexLog {
 public:
  struct Loaded {
    uint64_t records = 0;
    uint64_t broken = 0;  // torn or never written; passed over
  };
  // Bytes with a place in the file.
  struct Ticket {
    std::shared_ptr<File> file;  // shared with the log, which may go on to a new file meanwhile
    uint64_t offset = 0;
    std::string bytes;
  };

  IndexLog(LocalFs& fs, Path folder) : fs_(fs), folder_(std::move(folder)) {}

  // Reads what is there and hands every whole record to `visit`, in order. ENOENT when there is
  // none; EBADMSG when it is not an index of this version.
  Result<Loaded> load(const std::function<void(const IndexRecord&)>& visit);
  // Begins an empty one.
  Status begin_anew();

  // The caller holds the lock of the shard that the records speak of: their order in the file is
  // that of the changes.
  Ticket take_place(std::string records);
  Status write(const Ticket& ticket);

  uint64_t bytes() const;
  // Replaces the file by one with what `snapshot` appends, called once without a lock, and what was
  // appended since. At most one at a time: false when another is under way.
  Result<bool> compact(const std::function<void(std::string&)>& snapshot);

 private:
  Result<bool> compact_into_new_file(const std::function<void(std::string&)>& snapshot);

  LocalFs& fs_;
  const Path folder_;
  mutable Mutex mutex_;
  std::shared_ptr<File> file_ GUARDED_BY(mutex_);  // shared with tickets
  uint64_t end_ GUARDED_BY(mutex_) = 0;
  bool compacting_ GUARDED_BY(mutex_) = false;
  std::string since_ GUARDED_BY(mutex_);  // appended while compacting
};

}  // namespace shoal::cache
