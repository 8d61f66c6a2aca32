// Keys of the metadata schema (design §5.2). One letter, then big-endian numbers, so that order
// means something.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/ids.h"

namespace shoal::format {

std::string inode_key(Ino ino);                            // I
std::string entry_key(Ino parent, std::string_view name);  // D
std::string entry_prefix(Ino parent);
std::string extent_key(Ino ino, uint64_t offset);  // E
std::string extent_prefix(Ino ino);
std::string xattr_key(Ino ino, std::string_view name);  // X
std::string xattr_prefix(Ino ino);
std::string acl_key(uint64_t id);           // A
std::string link_key(Ino ino, Ino parent);  // L
std::string link_prefix(Ino ino);
std::string segment_key(const SegmentId& id);  // B
std::string segment_prefix();
std::string live_key(const SegmentId& id);                                            // W
std::string back_reference_key(const SegmentId& id, uint64_t slice_offset, Ino ino);  // R
std::string back_reference_prefix(const SegmentId& id);
std::string open_unlinked_key(SessionId session, Ino ino);  // O
std::string open_unlinked_prefix(SessionId session);
std::string reclaim_key(Stamp stamp, Ino ino);  // G
std::string session_key(SessionId session);     // S
// N; more parts of the n-th batch have its key and two bytes.
std::string batch_key(uint64_t n);
std::string store_prefix();
std::string store_key(
    const Uuid& store);          // H: a store (staging folder): number, host, path, nonces
std::string locks_key(Ino ino);  // K
std::string quota_key(Ino ino);  // Q
std::string usage_key(Ino ino, uint16_t slot);   // U; ino 0: the whole volume. slot 0 bytes, 1
                                                 // inodes, 2 trash bytes, 3 trash inodes
std::string trash_key(uint32_t day, Ino ino);    // T; day = days since 1970 of the deletion
std::string counter_key(std::string_view name);  // C: id leases
std::string format_record_key();                 // F
std::string election_key();                      // V
std::string access_token_key();                  // P
std::string load_key();                          // M: a load of a dump that is not finished

// Inverse forms for scans: EBADMSG when the key is not one.
Result<std::pair<Ino, std::string>> parse_entry_key(std::string_view key);
Result<std::pair<Ino, uint64_t>> parse_extent_key(std::string_view key);
Result<Ino> parse_inode_key(std::string_view key);
Result<SegmentId> parse_segment_key(std::string_view key);  // B or W
struct BackReference {
  SegmentId segment;
  uint64_t slice_offset = 0;
  Ino ino = 0;
};
Result<BackReference> parse_back_reference_key(std::string_view key);
Result<std::pair<Ino, Ino>> parse_link_key(std::string_view key);
Result<std::pair<Ino, std::string>> parse_xattr_key(std::string_view key);
Result<std::pair<uint32_t, Ino>> parse_trash_key(std::string_view key);
Result<SessionId> parse_session_key(std::string_view key);
Result<Ino> parse_locks_key(std::string_view key);
Result<uint64_t> parse_batch_key(std::string_view key);  // of any part
Result<std::pair<Stamp, Ino>> parse_reclaim_key(std::string_view key);
Result<std::pair<SessionId, Ino>> parse_open_unlinked_key(std::string_view key);

}  // namespace shoal::format
