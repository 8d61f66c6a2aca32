#include "cache/index_log.h"

#include <algorithm>

#include "base/check.h"

namespace shoal::cache {
namespace {

constexpr std::string_view kName = "index";
constexpr std::string_view kNewName = "index.new";
constexpr size_t kReadBytes = 16384 * kIndexRecordBytes;  // 1 MiB at a time

}  // namespace

Result<IndexLog::Loaded> IndexLog::load(const std::function<void(const IndexRecord&)>& visit) {
  TRY_ASSIGN(std::unique_ptr<File> file, fs_.open(join(folder_, kName), OpenMode::kReadWrite));
  TRY_ASSIGN(const uint64_t size, file->size());
  if (size > kIndexBytesMax) return error(EBADMSG, "an index of {} bytes is none of ours", size);
  Loaded loaded;
  std::string buffer(kReadBytes, '\0');
  IndexRecord record;
  for (uint64_t offset = 0; offset == 0 || offset < size; offset += kReadBytes) {
    TRY_ASSIGN(const size_t n, file->read_at(offset, as_mutable_bytes(buffer)));
    std::string_view rest = std::string_view(buffer).substr(0, n);
    if (offset == 0) {
      TRY(check_index_header(rest));
      rest.remove_prefix(kIndexRecordBytes);
    }
    for (; rest.size() >= kIndexRecordBytes; rest.remove_prefix(kIndexRecordBytes)) {
      if (decode_index_record(rest.substr(0, kIndexRecordBytes), &record)) {
        ++loaded.records;
        visit(record);
      } else {
        ++loaded.broken;
      }
    }
    if (!rest.empty()) ++loaded.broken;
  }
  MutexLock lock(mutex_);
  file_ = std::move(file);
  end_ = size / kIndexRecordBytes * kIndexRecordBytes;  // a torn tail is written over
  return loaded;
}

Status IndexLog::begin_anew() {
  TRY_ASSIGN(std::unique_ptr<File> file, fs_.open(join(folder_, kName), OpenMode::kTruncate));
  TRY(file->write_at(0, as_bytes(encode_index_header())));
  MutexLock lock(mutex_);
  file_ = std::move(file);
  end_ = kIndexRecordBytes;
  return {};
}

IndexLog::Ticket IndexLog::take_place(std::string records) {
  MutexLock lock(mutex_);
  if (compacting_) since_ += records;
  Ticket ticket{file_, end_, std::move(records)};
  end_ += ticket.bytes.size();
  return ticket;
}

Status IndexLog::write(const Ticket& ticket) {
  // When compacting fails for ever the file stops growing; what is not in it is a miss after the
  // next start.
  if (ticket.bytes.empty() || ticket.offset + ticket.bytes.size() > kIndexBytesMax) return {};
  return ticket.file->write_at(ticket.offset, as_bytes(ticket.bytes));
}

uint64_t IndexLog::bytes() const {
  MutexLock lock(mutex_);
  return end_;
}

Result<bool> IndexLog::compact(const std::function<void(std::string&)>& snapshot) {
  {
    MutexLock lock(mutex_);
    if (compacting_) return false;
    compacting_ = true;
  }
  Result<bool> done = compact_into_new_file(snapshot);
  MutexLock lock(mutex_);
  compacting_ = false;
  std::string().swap(since_);
  return done;
}

Result<bool> IndexLog::compact_into_new_file(const std::function<void(std::string&)>& snapshot) {
  const Path path = join(folder_, kNewName);
  TRY_ASSIGN(std::shared_ptr<File> file, fs_.open(path, OpenMode::kTruncate));
  std::string records = encode_index_header();
  snapshot(records);
  TRY(file->write_at(0, as_bytes(records)));
  uint64_t end = records.size();
  // Between the rename and the switch below, appends go to the old file, which has no name any
  // more, and to since_: a crash here loses a few records, which is a few misses.
  TRY(fs_.rename(path, join(folder_, kName)));
  Status written;
  for (;;) {
    {
      MutexLock lock(mutex_);
      records.clear();
      records.swap(since_);
      if (records.empty() || !written.ok()) {
        file_ = std::move(file);
        end_ = end;
        break;
      }
    }
    written = file->write_at(end, as_bytes(records));
    end += records.size();
  }
  if (!written.ok()) return std::move(written).error();
  return true;
}

}  // namespace shoal::cache
