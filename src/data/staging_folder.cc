#include "data/staging_folder.h"

#include <charconv>

#include "base/coding.h"
#include "base/crc32c.h"
#include "base/log.h"

namespace shoal::data {
namespace {

constexpr std::string_view kStoreMagic = "SHOALSTO";
constexpr uint8_t kStoreVersion = 1;
constexpr uint64_t kIdentityBytesMax = 8 << 20;  // a million starts
constexpr std::string_view kFreePrefix = "free-";
constexpr std::string_view kEndMark = ".end-";

void put_uuid(Encoder& out, const Uuid& uuid) {
  out.raw({reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()});
}
Uuid get_uuid(Decoder& in) {
  Uuid uuid;
  const std::string_view raw = in.raw(uuid.bytes.size());
  if (raw.size() == uuid.bytes.size()) std::memcpy(uuid.bytes.data(), raw.data(), raw.size());
  return uuid;
}

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t n = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || failure != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return n;
}

}  // namespace

std::string encode_store_identity(const StoreIdentity& identity) {
  std::string bytes;
  Encoder out(bytes);
  out.raw(kStoreMagic);
  out.u8(kStoreVersion);
  put_uuid(out, identity.store);
  put_uuid(out, identity.volume);
  out.le64(identity.lineage);
  out.string(identity.host);
  out.varint(identity.starts);
  out.varint(identity.nonces.size());
  for (const uint64_t nonce : identity.nonces) out.le64(nonce);
  out.le32(crc32c(as_bytes(bytes)));
  return bytes;
}

Result<StoreIdentity> decode_store_identity(std::string_view bytes) {
  if (bytes.size() < kStoreMagic.size() + 5 || !bytes.starts_with(kStoreMagic)) {
    return error(EBADMSG, "no store identity");
  }
  const std::string_view body = bytes.substr(0, bytes.size() - 4);
  if (Decoder(bytes.substr(body.size())).le32() != crc32c(as_bytes(body))) {
    return error(EBADMSG, "store identity: CRC does not match");
  }
  Decoder in(body.substr(kStoreMagic.size()));
  if (const uint8_t version = in.u8(); version != kStoreVersion) {
    return error(ENOTSUP, "store identity version {}: made by a newer shoal", version);
  }
  StoreIdentity identity;
  identity.store = get_uuid(in);
  identity.volume = get_uuid(in);
  identity.lineage = in.le64();
  identity.host = in.string();
  identity.starts = in.varint();
  const uint64_t nonces = in.varint();
  if (nonces > in.remaining() / 8) return error(EBADMSG, "store identity: {} nonces", nonces);
  for (uint64_t i = 0; i < nonces; ++i) identity.nonces.push_back(in.le64());
  TRY(in.finish("store identity"));
  return identity;
}

std::string JournalName::to_string() const {
  std::string name = fmt::format("{}{:08}", free ? kFreePrefix : "", number);
  if (end.has_value()) name += fmt::format("{}{}", kEndMark, *end);
  return name;
}

std::optional<JournalName> JournalName::parse(std::string_view text) {
  JournalName name;
  if (text.starts_with(kFreePrefix)) {
    name.free = true;
    text.remove_prefix(kFreePrefix.size());
  }
  if (const size_t mark = text.find(kEndMark); mark != std::string_view::npos && !name.free) {
    name.end = parse_number(text.substr(mark + kEndMark.size()));
    if (!name.end.has_value()) return std::nullopt;
    text = text.substr(0, mark);
  }
  const auto number = parse_number(text);
  if (!number.has_value() || text.size() < 8) return std::nullopt;
  name.number = *number;
  return name;
}

Result<std::unique_ptr<StoreFolder>> StoreFolder::open(LocalFs& fs, Random& random,
                                                       const Path& state_dir, const Uuid& volume,
                                                       uint64_t lineage, const std::string& host) {
  const Path stores = join(state_dir, "stores");
  TRY(make_dirs(fs, stores));
  TRY_ASSIGN(const auto names, fs.list(stores));
  std::vector<std::string> notes;
  for (const std::string& name : names) {
    const auto uuid = Uuid::parse(name);
    if (!uuid.ok()) {
      notes.push_back(fmt::format("{} is no store", join(stores, name)));
      continue;
    }
    auto folder = take(fs, join(stores, name), *uuid, volume, notes);
    if (folder.code() == EWOULDBLOCK || folder.code() == ENOENT) continue;
    if (!folder.ok()) return folder;
    TRY((*folder)->start(random, volume, lineage, host));
    (*folder)->notes_ = std::move(notes);
    return folder;
  }
  const Uuid uuid = random.uuid();
  const Path path = join(stores, uuid.to_string());
  TRY(make_dirs(fs, path));
  TRY_ASSIGN(auto folder, take(fs, path, uuid, volume, notes));
  TRY(folder->start(random, volume, lineage, host));
  folder->notes_ = std::move(notes);
  return folder;
}

Result<std::unique_ptr<StoreFolder>> StoreFolder::take(LocalFs& fs, const Path& path,
                                                       const Uuid& uuid, const Uuid& volume,
                                                       std::vector<std::string>& notes) {
  std::unique_ptr<StoreFolder> folder(new StoreFolder(fs, path));
  TRY_ASSIGN(folder->lock_, fs.lock(join(path, "lock")));
  const auto bytes = read_file(fs, join(path, "store"), kIdentityBytesMax);
  if (bytes.code() == ENOENT) {  // its maker died before it was one: nothing was promised
    const auto journals = fs.list(folder->journals());
    if (journals.ok() && !journals->empty()) {
      notes.push_back(fmt::format("store {} holds journals but no identity; left alone", path));
      return Error(ENOENT);
    }
    folder->identity_.store = uuid;
    return folder;
  }
  if (!bytes.ok()) return bytes.error();
  auto identity = decode_store_identity(*bytes);
  if (!identity.ok()) {
    notes.push_back(fmt::format("store {} left alone: {}", path, identity.error().text()));
    return Error(ENOENT);
  }
  if (identity->volume != volume || identity->store != uuid) {
    notes.push_back(fmt::format("store {} left alone: it belongs to volume {}", path,
                                identity->volume.to_string()));
    return Error(ENOENT);
  }
  folder->identity_ = std::move(*identity);
  return folder;
}

Status StoreFolder::start(Random& random, const Uuid& volume, uint64_t lineage,
                          const std::string& host) {
  TRY(make_dirs(fs_, journals()));
  TRY(make_dirs(fs_, join(path_, "quarantine")));
  identity_.volume = volume;
  identity_.lineage = lineage;
  identity_.host = host;
  identity_.starts += 1;
  identity_.nonces.push_back(random.u64());
  return write_file_atomically(fs_, join(path_, "store"),
                               as_bytes(encode_store_identity(identity_)));
}

Status StoreFolder::quarantine(const std::string& name) {
  const Path folder = join(path_, "quarantine");
  Path to = join(folder, name);
  for (int n = 1;; ++n) {
    TRY_ASSIGN(const bool taken, exists(fs_, to));
    if (!taken) break;
    to = join(folder, fmt::format("{}.{}", name, n));
  }
  TRY(fs_.rename(join(journals(), name), to));
  TRY(fs_.sync_dir(folder));
  return fs_.sync_dir(journals());
}

}  // namespace shoal::data
