#include "format/volume.h"

#include "base/coding.h"
#include "base/limits.h"
#include "format/fields_internal.h"

namespace shoal::format {
namespace {

constexpr uint8_t kFormat = kRecordFormat;
constexpr size_t kOpensMax = 64;
constexpr uint64_t kNoncesMax = 1 << 12;
constexpr uint8_t kHasLineageBefore = 1;
constexpr uint8_t kHasMoved = 2;

uint32_t decode_u32(Decoder& in) {
  const uint64_t v = in.varint();
  if (v > 0xffffffffu) in.fail();
  return static_cast<uint32_t>(v);
}

// Appended after the first volumes were made: left out while there is nothing to say, so that their
// records stay what they are.
void encode_moves(Encoder& out, const Volume& volume) {
  uint8_t flags = 0;
  if (volume.lineage_before != 0) flags |= kHasLineageBefore;
  if (volume.moved) flags |= kHasMoved;
  if (flags == 0 && volume.unknown_tail.empty()) return;
  out.u8(flags);
  if (volume.lineage_before != 0) out.le64(volume.lineage_before);
  if (volume.moved) encode_time(out, *volume.moved);
}

void decode_moves(Decoder& in, Volume& volume) {
  if (!in.ok() || in.remaining() == 0) return;
  const uint8_t flags = in.u8();
  if ((flags & ~(kHasLineageBefore | kHasMoved)) != 0) in.fail();
  if ((flags & kHasLineageBefore) != 0) volume.lineage_before = in.le64();
  if ((flags & kHasMoved) != 0) volume.moved = decode_time(in);
}

}  // namespace

std::string encode_volume(const Volume& volume) {
  std::string value;
  Encoder out(value);
  out.u8(kFormat);
  encode_uuid(out, volume.uuid);
  out.string(volume.name);
  out.le64(volume.lineage);
  out.varint(volume.epoch);
  out.varint(volume.opens.size());
  for (const Uuid& open : volume.opens) encode_uuid(out, open);
  encode_time(out, volume.created);
  out.string(volume.bucket);
  out.u8(static_cast<uint8_t>(volume.durability));
  out.varint(volume.trash_days);
  out.varint(volume.capacity_bytes);
  out.varint(volume.inodes_max);
  out.u8(volume.metadata_loss_accepted ? 1 : 0);
  encode_moves(out, volume);
  out.raw(volume.unknown_tail);
  return value;
}

Result<Volume> decode_volume(std::string_view value) {
  Decoder in(value);
  TRY(decode_format(in, "volume"));
  Volume volume;
  volume.uuid = decode_uuid(in);
  volume.name = in.string();
  volume.lineage = in.le64();
  volume.epoch = in.varint();
  const uint64_t opens = in.varint();
  if (opens > kOpensMax) in.fail();
  for (uint64_t i = 0; i < opens && in.ok(); ++i) volume.opens.push_back(decode_uuid(in));
  volume.created = decode_time(in);
  volume.bucket = in.string();
  const uint8_t durability = in.u8();
  volume.trash_days = decode_u32(in);
  volume.capacity_bytes = in.varint();
  volume.inodes_max = in.varint();
  volume.metadata_loss_accepted = decode_bool(in);
  decode_moves(in, volume);
  if (durability < 1 || durability > 3) in.fail();
  volume.durability = static_cast<Durability>(durability);
  TRY(in.status("volume"));
  volume.unknown_tail = in.rest();
  return volume;
}

std::string encode_segment(const Segment& segment) {
  std::string value;
  Encoder out(value);
  out.u8(kFormat);
  out.u8(static_cast<uint8_t>(segment.state));
  out.u8(segment.complete ? 1 : 0);
  out.varint(segment.store);
  out.varint(segment.length);
  out.varint(segment.born);
  out.varint(segment.died);
  return value;
}

Result<Segment> decode_segment(std::string_view value) {
  Decoder in(value);
  TRY(decode_format(in, "segment"));
  Segment segment;
  const uint8_t state = in.u8();
  if (state < 1 || state > 4) in.fail();
  segment.complete = decode_bool(in);
  segment.store = decode_u32(in);
  segment.length = in.varint();
  segment.born = in.varint();
  segment.died = in.varint();
  TRY(in.finish("segment"));
  segment.state = static_cast<Segment::State>(state);
  return segment;
}

std::string encode_store(const StoreRecord& store) {
  std::string value;
  Encoder out(value);
  out.u8(kFormat);
  out.varint(store.number);
  out.string(store.host);
  out.string(store.path);
  out.varint(store.nonces.size());
  for (const uint64_t nonce : store.nonces) out.le64(nonce);
  if (!store.address.empty()) out.string(store.address);  // came later
  return value;
}

Result<StoreRecord> decode_store(std::string_view value) {
  Decoder in(value);
  TRY(decode_format(in, "store"));
  StoreRecord store;
  store.number = decode_u32(in);
  store.host = in.string();
  store.path = in.string();
  const uint64_t nonces = in.varint();
  if (nonces > kNoncesMax || store.number == 0) in.fail();
  for (uint64_t i = 0; i < nonces && in.ok(); ++i) store.nonces.push_back(in.le64());
  if (in.ok() && in.remaining() > 0) store.address = in.string();
  TRY(in.finish("store"));
  return store;
}

std::string encode_trash(const TrashRecord& trash) {
  std::string value;
  Encoder out(value);
  out.u8(kFormat);
  out.varint(trash.parent);
  out.string(trash.name);
  encode_time(out, trash.deleted);
  return value;
}

Result<TrashRecord> decode_trash(std::string_view value) {
  Decoder in(value);
  TRY(decode_format(in, "trash"));
  TrashRecord trash;
  trash.parent = in.varint();
  trash.name = in.string();
  trash.deleted = decode_time(in);
  if (trash.parent == 0 || trash.parent > kInoMax || trash.name.empty() ||
      trash.name.size() > kNameBytesMax) {
    in.fail();
  }
  TRY(in.finish("trash"));
  return trash;
}

std::string encode_session(const SessionRecord& session) {
  std::string value;
  Encoder out(value);
  out.u8(kFormat);
  out.string(session.host);
  out.string(session.description);
  encode_time(out, session.opened);
  if (session.outlives_owner) out.u8(1);  // what was written before this field is as it was
  return value;
}

Result<SessionRecord> decode_session(std::string_view value) {
  Decoder in(value);
  TRY(decode_format(in, "session"));
  SessionRecord session;
  session.host = in.string();
  session.description = in.string();
  session.opened = decode_time(in);
  if (in.remaining() > 0) session.outlives_owner = decode_bool(in);
  TRY(in.finish("session"));
  return session;
}

std::string encode_reclaim(const ReclaimRecord& reclaim) {
  std::string value;
  Encoder out(value);
  out.u8(kFormat);
  out.u8(reclaim.range ? 1 : 0);
  if (reclaim.range) {
    out.varint(reclaim.from);
    out.varint(reclaim.to);
  }
  return value;
}

Result<ReclaimRecord> decode_reclaim(std::string_view value) {
  Decoder in(value);
  TRY(decode_format(in, "reclaim"));
  ReclaimRecord reclaim;
  reclaim.range = decode_bool(in);
  if (reclaim.range) {
    reclaim.from = in.varint();
    reclaim.to = in.varint();
    if (reclaim.from >= reclaim.to) in.fail();
  }
  TRY(in.finish("reclaim"));
  return reclaim;
}

std::string encode_open_unlinked() { return std::string(1, static_cast<char>(kFormat)); }

std::string encode_back_reference() { return std::string(1, static_cast<char>(kFormat)); }

std::string encode_owner_marker(const OwnerMarker& marker) {
  std::string value;
  Encoder out(value);
  out.raw("SHOALOWN");
  out.u8(kFormat);
  encode_uuid(out, marker.volume);
  out.le64(marker.lineage);
  out.le64(marker.epoch);
  encode_uuid(out, marker.open_id);
  return value;
}

Result<OwnerMarker> decode_owner_marker(std::string_view value) {
  Decoder in(value);
  if (in.raw(8) != "SHOALOWN") return error(EBADMSG, "not an owner marker of shoal");
  TRY(decode_format(in, "owner marker"));
  OwnerMarker marker;
  marker.volume = decode_uuid(in);
  marker.lineage = in.le64();
  marker.epoch = in.le64();
  marker.open_id = decode_uuid(in);
  TRY(in.finish("owner marker"));
  return marker;
}

}  // namespace shoal::format
