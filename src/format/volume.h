// Values of the volume-wide records: F (format), B (segment), H (store), S (session), T (trash), G
// (reclaim). Each starts with a format byte; a greater one than we know is ENOTSUP ("made by a
// newer shoal").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "base/time.h"

namespace shoal::format {

enum class Durability : uint8_t { kLocal = 1, kPeer = 2, kObject = 3 };

struct Volume {  // F
  Uuid uuid;
  std::string name;
  uint64_t lineage = 0;
  uint64_t epoch = 0;       // of the current owner
  std::vector<Uuid> opens;  // random ids of the last 64 opens, newest last
  Time created;
  std::string bucket;  // canonical BUCKET-URL, without credentials
  Durability durability = Durability::kLocal;
  uint32_t trash_days = 1;      // 0: no trash
  uint64_t capacity_bytes = 0;  // 0: unlimited
  uint64_t inodes_max = 0;      // 0: unlimited
  bool metadata_loss_accepted = false;
  // Of the copy that this one was loaded from; 0: none. Until the first mount the bucket's marker
  // still names that one.
  uint64_t lineage_before = 0;
  std::optional<Time> moved;  // away from here, by a dump: not to be opened any more
  std::string unknown_tail;
};
std::string encode_volume(const Volume& volume);
Result<Volume> decode_volume(std::string_view value);

struct Segment {  // B
  // Lost: it was staging, and an operator gave it up with its journal. Should the journal come
  // back, it is stored after all.
  enum class State : uint8_t { kStaging = 1, kStored = 2, kDying = 3, kLost = 4 };
  State state = State::kStaging;
  bool complete = false;  // no uncommitted record in it
  uint32_t store = 0;     // number of its H record
  uint64_t length = 0;    // of the object; 0 while staging or lost
  Stamp born = 0;
  Stamp died = 0;
};
std::string encode_segment(const Segment& segment);
Result<Segment> decode_segment(std::string_view value);

struct StoreRecord {    // H
  uint32_t number = 0;  // from 1, unique in the volume for ever
  std::string host;
  std::string path;
  std::vector<uint64_t> nonces;
  std::string address;  // where its mount serves what is staged; empty: nowhere
};
std::string encode_store(const StoreRecord& store);
Result<StoreRecord> decode_store(std::string_view value);

struct TrashRecord {  // T
  Ino parent = 0;
  std::string name;
  Time deleted;
};
std::string encode_trash(const TrashRecord& trash);
Result<TrashRecord> decode_trash(std::string_view value);

struct SessionRecord {  // S: one mount
  std::string host;
  std::string description;
  Time opened;
  bool outlives_owner = false;  // of a mount in another process than the owner
};
std::string encode_session(const SessionRecord& session);
Result<SessionRecord> decode_session(std::string_view value);

struct ReclaimRecord {  // G: the whole inode, or of a living one what lies in [from, to)
  bool range = false;
  uint64_t from = 0;
  uint64_t to = 0;
};
std::string encode_reclaim(const ReclaimRecord& reclaim);
Result<ReclaimRecord> decode_reclaim(std::string_view value);

// O and R carry no data: their value is a format byte.
std::string encode_open_unlinked();
std::string encode_back_reference();

// `<volume>/owner` in the bucket.
struct OwnerMarker {
  Uuid volume;
  uint64_t lineage = 0;
  uint64_t epoch = 0;
  Uuid open_id;
};
std::string encode_owner_marker(const OwnerMarker& marker);
Result<OwnerMarker> decode_owner_marker(std::string_view value);

}  // namespace shoal::format
