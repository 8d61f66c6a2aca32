#include "format/keys.h"

#include "base/coding.h"
#include "base/limits.h"

namespace shoal::format {
namespace {

std::string key1(char letter, uint64_t a) {
  std::string key;
  Encoder out(key);
  out.u8(static_cast<uint8_t>(letter));
  out.be64(a);
  return key;
}

std::string key2(char letter, uint64_t a, uint64_t b) {
  std::string key;
  key.reserve(17);
  Encoder out(key);
  out.u8(static_cast<uint8_t>(letter));
  out.be64(a);
  out.be64(b);
  return key;
}

std::string named_key(char letter, Ino ino, std::string_view name) {
  std::string key;
  key.reserve(9 + name.size());
  Encoder out(key);
  out.u8(static_cast<uint8_t>(letter));
  out.be64(ino);
  out.raw(name);
  return key;
}

Error not_a_key(std::string_view what) { return error(EBADMSG, "not a key of {}", what); }

// Reads the letter; the rest stays in the decoder.
Decoder open_key(std::string_view key, char letter) {
  Decoder in(key);
  if (in.u8() != static_cast<uint8_t>(letter)) in.fail();
  return in;
}

Result<std::pair<uint64_t, uint64_t>> parse_key2(std::string_view key, char letter,
                                                 std::string_view what) {
  Decoder in = open_key(key, letter);
  const uint64_t a = in.be64();
  const uint64_t b = in.be64();
  if (!in.ok() || in.remaining() != 0) return not_a_key(what);
  return std::pair(a, b);
}

Result<std::pair<Ino, std::string>> parse_named_key(std::string_view key, char letter,
                                                    std::string_view what) {
  Decoder in = open_key(key, letter);
  const Ino ino = in.be64();
  if (!in.ok() || ino == 0 || ino > kInoMax || in.remaining() == 0 ||
      in.remaining() > kNameBytesMax) {
    return not_a_key(what);
  }
  return std::pair(ino, std::string(in.rest()));
}

bool valid_ino(Ino ino) { return ino != 0 && ino <= kInoMax; }

}  // namespace

std::string inode_key(Ino ino) { return key1('I', ino); }
std::string entry_key(Ino parent, std::string_view name) { return named_key('D', parent, name); }
std::string entry_prefix(Ino parent) { return key1('D', parent); }
std::string extent_key(Ino ino, uint64_t offset) { return key2('E', ino, offset); }
std::string extent_prefix(Ino ino) { return key1('E', ino); }
std::string xattr_key(Ino ino, std::string_view name) { return named_key('X', ino, name); }
std::string xattr_prefix(Ino ino) { return key1('X', ino); }
std::string acl_key(uint64_t id) { return key1('A', id); }
std::string link_key(Ino ino, Ino parent) { return key2('L', ino, parent); }
std::string link_prefix(Ino ino) { return key1('L', ino); }
std::string segment_key(const SegmentId& id) { return key2('B', id.nonce, id.sequence); }
std::string live_key(const SegmentId& id) { return key2('W', id.nonce, id.sequence); }

std::string back_reference_key(const SegmentId& id, uint64_t slice_offset, Ino ino) {
  std::string key = back_reference_prefix(id);
  Encoder out(key);
  out.be64(slice_offset);
  out.be64(ino);
  return key;
}
std::string back_reference_prefix(const SegmentId& id) { return key2('R', id.nonce, id.sequence); }
std::string open_unlinked_key(SessionId session, Ino ino) { return key2('O', session, ino); }
std::string open_unlinked_prefix(SessionId session) { return key1('O', session); }
std::string reclaim_key(Stamp stamp, Ino ino) { return key2('G', stamp, ino); }
std::string session_key(SessionId session) { return key1('S', session); }
std::string batch_key(uint64_t n) { return key1('N', n); }

std::string segment_prefix() { return "B"; }
std::string store_prefix() { return "H"; }

std::string store_key(const Uuid& store) {
  std::string key = store_prefix();
  key.append(reinterpret_cast<const char*>(store.bytes.data()), store.bytes.size());
  return key;
}

std::string locks_key(Ino ino) { return key1('K', ino); }
std::string quota_key(Ino ino) { return key1('Q', ino); }

std::string usage_key(Ino ino, uint16_t slot) {
  std::string key = key1('U', ino);
  Encoder(key).be16(slot);
  return key;
}

std::string trash_key(uint32_t day, Ino ino) {
  std::string key;
  Encoder out(key);
  out.u8('T');
  out.be32(day);
  out.be64(ino);
  return key;
}

std::string counter_key(std::string_view name) { return "C" + std::string(name); }
std::string format_record_key() { return "F"; }
std::string election_key() { return "V"; }
std::string load_key() { return "M"; }
std::string access_token_key() { return "P"; }

Result<std::pair<Ino, std::string>> parse_entry_key(std::string_view key) {
  return parse_named_key(key, 'D', "an entry");
}

Result<std::pair<Ino, uint64_t>> parse_extent_key(std::string_view key) {
  TRY_ASSIGN(auto parts, parse_key2(key, 'E', "an extent"));
  if (!valid_ino(parts.first) || parts.second >= kFileBytesMax) return not_a_key("an extent");
  return parts;
}

Result<Ino> parse_inode_key(std::string_view key) {
  Decoder in = open_key(key, 'I');
  const Ino ino = in.be64();
  if (!in.ok() || in.remaining() != 0 || !valid_ino(ino)) return not_a_key("an inode");
  return ino;
}

Result<SegmentId> parse_segment_key(std::string_view key) {
  Decoder in(key);
  const uint8_t letter = in.u8();
  SegmentId id;
  id.nonce = in.be64();
  id.sequence = in.be64();
  if (!in.ok() || in.remaining() != 0 || (letter != 'B' && letter != 'W')) {
    return not_a_key("a segment");
  }
  return id;
}

Result<BackReference> parse_back_reference_key(std::string_view key) {
  Decoder in = open_key(key, 'R');
  BackReference reference;
  reference.segment.nonce = in.be64();
  reference.segment.sequence = in.be64();
  reference.slice_offset = in.be64();
  reference.ino = in.be64();
  if (!in.ok() || in.remaining() != 0 || !valid_ino(reference.ino)) {
    return not_a_key("a back reference");
  }
  return reference;
}

Result<std::pair<Ino, Ino>> parse_link_key(std::string_view key) {
  TRY_ASSIGN(auto parts, parse_key2(key, 'L', "a link"));
  if (!valid_ino(parts.first) || !valid_ino(parts.second)) return not_a_key("a link");
  return parts;
}

Result<std::pair<Ino, std::string>> parse_xattr_key(std::string_view key) {
  return parse_named_key(key, 'X', "an extended attribute");
}

Result<std::pair<uint32_t, Ino>> parse_trash_key(std::string_view key) {
  Decoder in = open_key(key, 'T');
  const uint32_t day = in.be32();
  const Ino ino = in.be64();
  if (!in.ok() || in.remaining() != 0 || !valid_ino(ino)) return not_a_key("a trash record");
  return std::pair(day, ino);
}

Result<SessionId> parse_session_key(std::string_view key) {
  Decoder in = open_key(key, 'S');
  const SessionId session = in.be64();
  if (!in.ok() || in.remaining() != 0) return not_a_key("a session");
  return session;
}

Result<Ino> parse_locks_key(std::string_view key) {
  Decoder in = open_key(key, 'K');
  const Ino ino = in.be64();
  if (!in.ok() || in.remaining() != 0) return not_a_key("locks");
  return ino;
}

Result<uint64_t> parse_batch_key(std::string_view key) {
  Decoder in = open_key(key, 'N');
  const uint64_t n = in.be64();
  const bool whole = in.remaining() == 0 || in.remaining() == sizeof(uint16_t);
  if (!in.ok() || !whole) return not_a_key("a batch");
  return n;
}

Result<std::pair<Stamp, Ino>> parse_reclaim_key(std::string_view key) {
  TRY_ASSIGN(auto parts, parse_key2(key, 'G', "a reclaim record"));
  if (!valid_ino(parts.second)) return not_a_key("a reclaim record");
  return parts;
}

Result<std::pair<SessionId, Ino>> parse_open_unlinked_key(std::string_view key) {
  TRY_ASSIGN(auto parts, parse_key2(key, 'O', "an open, unlinked inode"));
  if (!valid_ino(parts.second)) return not_a_key("an open, unlinked inode");
  return parts;
}

}  // namespace shoal::format
