#include "engine/rocksdb/manifest_redo.h"

#include "base/coding.h"
#include "base/crc32c.h"

namespace shoal::engine {
namespace {

constexpr const char* kFile = "REDO";
constexpr std::string_view kFirstLine = "SHREDO1\n";
constexpr uint64_t kBytesMax = 256 << 20;  // of a note; a MANIFEST starts anew long before

struct Note {
  uint64_t offset = 0;
  std::string_view name;
  std::string_view bytes;
};

std::string encode(const Note& note) {
  std::string body;
  Encoder out(body);
  out.le64(note.offset);
  out.string(note.name);
  out.string(note.bytes);
  std::string all(kFirstLine);
  Encoder(all).le32(crc32c(as_bytes(body)));
  return all + body;
}

// Empty name: no note, or a torn one.
Note decode(std::string_view all) {
  Decoder in(all);
  if (in.raw(kFirstLine.size()) != kFirstLine) return {};
  const uint32_t crc = in.le32();
  const std::string_view body = in.rest();
  Note note;
  note.offset = in.le64();
  note.name = in.string();
  note.bytes = in.string();
  if (!in.ok()) return {};
  if (crc32c(as_bytes(body.substr(0, body.size() - in.remaining()))) != crc) return {};
  return note;
}

}  // namespace

Status ManifestRedo::note(std::string_view name, uint64_t offset, std::string_view bytes) {
  if (file_ == nullptr) {
    TRY_ASSIGN(file_, fs_.open(join(folder_, kFile), OpenMode::kCreate));
    TRY(fs_.sync_dir(folder_));
  }
  TRY(file_->write_at(0, as_bytes(encode({offset, name, bytes}))));
  return file_->sync_data();
}

Status ManifestRedo::revoke() {
  if (file_ == nullptr) return {};
  TRY(file_->write_at(0, as_bytes(std::string(kFirstLine.size(), '\0'))));
  return file_->sync_data();
}

Status ManifestRedo::apply(LocalFs& fs, const Path& folder) {
  const Result<std::string> all = read_file(fs, join(folder, kFile), kBytesMax);
  if (!all.ok()) return all.error().is(ENOENT) ? Status() : Status(all.error());
  const Note note = decode(*all);
  if (note.name.empty()) return {};
  if (note.name.find('/') != std::string_view::npos) {
    return error(EBADMSG, "{}/{} names a file elsewhere; restore the folder from a backup", folder,
                 kFile);
  }
  const Result<std::unique_ptr<File>> file = fs.open(join(folder, note.name), OpenMode::kReadWrite);
  if (!file.ok()) return file.error().is(ENOENT) ? Status() : Status(file.error());
  TRY((*file)->write_at(note.offset, as_bytes(note.bytes)));
  return (*file)->sync_data();
}

}  // namespace shoal::engine
