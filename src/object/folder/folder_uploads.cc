// Multipart in a folder: every part is a file; completing writes them behind one another into the
// object. Parts need no sync: an upload does not outlive its process.
#include <algorithm>

#include "base/log.h"
#include "object/folder/folder_bucket.h"

namespace shoal::object {
namespace {

constexpr size_t kCopyBytes = 1 << 20;

std::string part_etag(const FileInfo& info) {
  return fmt::format("{:x}-{:x}-{}.{:09}", info.inode, info.size, info.modified.seconds,
                     info.modified.nanoseconds);
}

std::string part_name(int number) { return fmt::format("{:05}", number); }

Status append_file(LocalFs& fs, const Path& from, File& to, uint64_t& at, MutableBytes buffer) {
  TRY_ASSIGN(const std::unique_ptr<File> part, fs.open(from, OpenMode::kRead));
  for (uint64_t offset = 0;;) {
    TRY_ASSIGN(const size_t bytes, part->read_at(offset, buffer));
    if (bytes == 0) return {};
    TRY(to.write_at(at, buffer.first(bytes)));
    offset += bytes;
    at += bytes;
  }
}

}  // namespace

void FolderBucket::remove_old_uploads() {
  if (number_ == 0) return;
  const Path uploads = join(root_, ".uploads");
  const Result<std::vector<std::string>> names = fs_.list(uploads);
  if (!names.ok()) return;  // none yet
  for (const std::string& name : *names) {
    if (!name.starts_with(fmt::format("{}-", number_))) continue;
    const Status removed = remove_tree(fs_, join(uploads, name));
    if (!removed.ok())
      log(LogLevel::kWarn, "old multipart upload {}: {}", name, removed.error().text());
  }
}

Result<Path> FolderBucket::upload_folder(const std::string& key, const std::string& upload) {
  const bool clean =
      !upload.empty() && upload.front() != '.' && upload.find('/') == std::string::npos;
  const Path folder = join(join(root_, ".uploads"), upload);
  if (clean) {
    const Result<std::string> owner = read_file(fs_, join(folder, "key"), kObjectKeyBytesMax);
    if (owner.ok() && *owner == key) return folder;
  }
  return error(ENOENT, "no multipart upload {} of {}", upload, key);
}

Result<std::string> FolderBucket::upload_begin(const std::string& key) {
  if (number_ == 0) return error(EROFS, "the bucket folder {} is read-only", root_);
  const Path uploads = join(root_, ".uploads");
  const Status made = fs_.make_dir(uploads);
  if (!made.ok() && !made.error().is(EEXIST))
    return made.error().is(ENOENT) ? missing(key) : made.error();
  while (true) {
    std::string id = fmt::format("{}-{}", number_, next_++);
    const Status own = fs_.make_dir(join(uploads, id));
    if (!own.ok() && own.error().is(EEXIST)) continue;  // could not be removed when we opened
    TRY(own);
    TRY(write_file_atomically(fs_, join(join(uploads, id), "key"), as_bytes(key)));
    return id;
  }
}

Result<UploadedPart> FolderBucket::upload_part(const std::string& key, const std::string& upload,
                                               int number, std::span<const ByteView> spans) {
  TRY_ASSIGN(const Path folder, upload_folder(key, upload));
  const Path path = join(folder, part_name(number));
  const Path temporary = path + fmt::format(".{}", next_++);
  TRY_ASSIGN(std::unique_ptr<File> file, fs_.open(temporary, OpenMode::kTruncate));
  TRY(file->write_spans_at(0, spans));
  file.reset();
  TRY_ASSIGN(const FileInfo info, fs_.stat(temporary));
  TRY(fs_.rename(temporary, path));
  return UploadedPart{number, part_etag(info)};
}

Result<std::string> FolderBucket::upload_complete(const std::string& key, const std::string& upload,
                                                  const std::vector<UploadedPart>& parts,
                                                  bool if_absent) {
  TRY_ASSIGN(const Path folder, upload_folder(key, upload));
  for (const UploadedPart& part : parts) {
    const Result<FileInfo> info = fs_.stat(join(folder, part_name(part.number)));
    if (!info.ok() || part_etag(*info) != part.etag) {
      return error(EIO, "multipart upload {} of {} has no part {} with etag {}", upload, key,
                   part.number, part.etag);
    }
  }
  const auto fill = [&](File& file) -> Status {
    ByteBuffer buffer(kCopyBytes);
    uint64_t at = 0;
    for (const UploadedPart& part : parts) {
      TRY(append_file(fs_, join(folder, part_name(part.number)), file, at, buffer));
    }
    return {};
  };
  TRY_ASSIGN(std::string etag, write_object(key, fill, if_absent));
  remove_tree(fs_, folder)
      .ignore("the object is complete; what is left goes when the bucket is opened next");
  return etag;
}

Status FolderBucket::upload_abort(const std::string& key, const std::string& upload) {
  TRY_ASSIGN(const Path folder, upload_folder(key, upload));
  return remove_tree(fs_, folder);
}

}  // namespace shoal::object
