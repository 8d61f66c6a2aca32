#include "forgetful_fs.h"

#include "format/segment.h"

namespace shoal::power {
namespace {

bool is_large_segment(ByteView head) {
  const auto header = format::decode_segment_header(head);
  return header.ok() && header->external;
}

class ForgetfulFile final : public File {
 public:
  ForgetfulFile(std::unique_ptr<File> below, std::string kind, const ForgetfulFs::Forget& forget)
      : below_(std::move(below)), kind_(std::move(kind)), forget_(forget) {}

  Result<size_t> read_at(uint64_t offset, MutableBytes into) override {
    return below_->read_at(offset, into);
  }
  Status write_at(uint64_t offset, ByteView bytes) override {
    return write_spans_at(offset, {&bytes, 1});
  }
  Status write_spans_at(uint64_t offset, std::span<const ByteView> spans) override {
    if (offset == 0 && !spans.empty() && is_large_segment(spans[0])) kind_ = "large segment";
    return below_->write_spans_at(offset, spans);
  }
  Status sync_data() override { return forget_(kind_) ? Status() : below_->sync_data(); }
  Status sync() override { return forget_(kind_) ? Status() : below_->sync(); }
  Result<uint64_t> size() const override { return below_->size(); }
  Status truncate(uint64_t size) override { return below_->truncate(size); }
  Status allocate(uint64_t offset, uint64_t length) override {
    return below_->allocate(offset, length);
  }
  Status punch(uint64_t offset, uint64_t length) override { return below_->punch(offset, length); }

 private:
  const std::unique_ptr<File> below_;
  std::string kind_;
  const ForgetfulFs::Forget& forget_;
};

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string directory_kind(const Path& path) {
  if (path.starts_with("/bucket")) return path == "/bucket" ? "bucket" : "bucket directory";
  if (path.starts_with("/cache")) return "cache directory";
  if (path.ends_with("/journals")) return "directory of journals";
  if (path.ends_with("/quarantine")) return "quarantine";
  if (path.ends_with("/db")) return "database directory";
  if (path.ends_with("/stores")) return "directory of stores";
  if (has(path, "/stores/")) return "store directory";
  return path == "/" || path.empty() || path == "." ? "root" : "state directory";
}

std::string file_kind(const Path& path) {
  const std::string name(base_name(path));
  if (path.starts_with("/bucket")) return "object";
  if (path.starts_with("/cache")) return "cache file";
  if (has(path, "/journals/")) return name.starts_with("free-") ? "free journal" : "journal";
  if (has(path, "/stores/")) return name.starts_with("report") ? "report" : "store identity";
  if (name.ends_with(".log")) return "database log";
  if (name.ends_with(".sst")) return "database table";
  if (name.starts_with("MANIFEST")) return "MANIFEST";
  if (name.starts_with("REDO")) return "REDO";
  if (name.starts_with("FORMAT")) return "FORMAT";
  if (name.ends_with(".dbtmp") || name.starts_with("CURRENT")) return "CURRENT";
  return "other: " + name;
}

}  // namespace

std::string sync_kind(const Path& path, bool directory) {
  return directory ? directory_kind(path) : file_kind(path);
}

Result<std::unique_ptr<File>> ForgetfulFs::open(const Path& path, OpenMode mode) {
  TRY_ASSIGN(std::unique_ptr<File> file, below_.open(path, mode));
  std::string kind = file_kind(path);
  if (kind == "journal") {
    std::string head(format::kSegmentHeaderBytes, '\0');
    TRY_ASSIGN(const size_t n, file->read_at(0, as_mutable_bytes(head)));
    if (is_large_segment(as_bytes(head).first(n))) kind = "large segment";
  }
  return std::unique_ptr<File>(
      std::make_unique<ForgetfulFile>(std::move(file), std::move(kind), forget_));
}

}  // namespace shoal::power
