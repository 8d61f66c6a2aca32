#include "object/memory/memory_store.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "base/crc32c.h"
#include "object/call_tracker.h"
#include "object/page_builder.h"
#include "object/request_counters.h"
#include "object/validation.h"
#include "sys/mutex.h"

namespace shoal::object {
namespace {

using Bytes = std::shared_ptr<const std::string>;  // shared: a get copies it outside the lock while
                                                   // a put replaces it

struct Stored {
  Bytes bytes;
  std::string etag;
  Time modified;
};

struct Upload {
  std::string key;
  std::map<int, Stored> parts;
};

std::string joined(const std::vector<ByteView>& spans) {
  std::string out;
  out.reserve(total_bytes(spans));
  for (const ByteView& span : spans) out += as_text(span);
  return out;
}

class MemoryStore final : public ObjectStore {
 public:
  explicit MemoryStore(Executor& executor) : calls_(executor) {}
  ~MemoryStore() override { calls_.stop(); }

  void put(std::string key, std::vector<ByteView> spans, CallOptions options,
           Done<std::string> done) override {
    calls_.run<std::string>(
        [this, key = std::move(key), spans = std::move(spans), options]() -> Result<std::string> {
          TRY(check_key(key));
          ++counters_.put;
          counters_.bytes_out += total_bytes(spans);
          return store(key, joined(spans), options.if_absent);
        },
        std::move(done));
  }

  void get(std::string key, uint64_t offset, MutableBytes into, GetOptions options,
           Done<GetResult> done) override {
    calls_.run<GetResult>(
        [this, key = std::move(key), offset, into, options = std::move(options)] {
          return read(key, offset, into, options);
        },
        std::move(done));
  }

  void head(std::string key, CallOptions /*options*/, Done<ObjectInfo> done) override {
    calls_.run<ObjectInfo>(
        [this, key = std::move(key)]() -> Result<ObjectInfo> {
          TRY(check_key(key));
          ++counters_.head;
          TRY_ASSIGN(const Stored object, find(key));
          return ObjectInfo{key, object.bytes->size(), object.etag, object.modified};
        },
        std::move(done));
  }

  void remove_many(std::vector<std::string> keys, CallOptions /*options*/,
                   Done<std::vector<std::string>> done) override {
    calls_.run<std::vector<std::string>>(
        [this, keys = std::move(keys)]() -> Result<std::vector<std::string>> {
          TRY(check_keys(keys));
          ++counters_.remove;
          MutexLock lock(mutex_);
          for (const std::string& key : keys) objects_.erase(key);
          return std::vector<std::string>{};
        },
        std::move(done));
  }

  void list(std::string prefix, ListOptions options, Done<ListPage> done) override {
    calls_.run<ListPage>(
        [this, prefix = std::move(prefix), options = std::move(options)]() -> Result<ListPage> {
          TRY(check_limit(options));
          ++counters_.list;
          PageBuilder page(prefix, options);
          MutexLock lock(mutex_);
          for (auto it = objects_.lower_bound(prefix);
               it != objects_.end() && it->first.starts_with(prefix); ++it) {
            if (page.would_take(it->first)) {
              page.add({it->first, it->second.bytes->size(), it->second.etag, it->second.modified});
            }
          }
          return page.finish();
        },
        std::move(done));
  }

  void upload_begin(std::string key, CallOptions /*options*/, Done<std::string> done) override {
    calls_.run<std::string>(
        [this, key = std::move(key)]() -> Result<std::string> {
          TRY(check_key(key));
          ++counters_.multipart;
          MutexLock lock(mutex_);
          std::string id = "upload-" + std::to_string(++version_);
          uploads_[id].key = key;
          return id;
        },
        std::move(done));
  }

  void upload_part(std::string key, std::string upload, int number, std::vector<ByteView> spans,
                   CallOptions /*options*/, Done<UploadedPart> done) override {
    calls_.run<UploadedPart>(
        [this, key = std::move(key), upload = std::move(upload), number,
         spans = std::move(spans)]() -> Result<UploadedPart> {
          TRY(check_parts({{number, ""}}));
          ++counters_.multipart;
          counters_.bytes_out += total_bytes(spans);
          std::string bytes = joined(spans);
          MutexLock lock(mutex_);
          TRY_ASSIGN(Upload * found, find_upload(key, upload));
          Stored part = make(std::move(bytes));
          UploadedPart result{number, part.etag};
          found->parts[number] = std::move(part);
          return result;
        },
        std::move(done));
  }

  void upload_complete(std::string key, std::string upload, std::vector<UploadedPart> parts,
                       CallOptions options, Done<std::string> done) override {
    calls_.run<std::string>(
        [this, key = std::move(key), upload = std::move(upload), parts = std::move(parts),
         options] { return complete(key, upload, parts, options); },
        std::move(done));
  }

  void upload_abort(std::string key, std::string upload, CallOptions /*options*/,
                    Done<bool> done) override {
    calls_.run<bool>(
        [this, key = std::move(key), upload = std::move(upload)]() -> Result<bool> {
          ++counters_.multipart;
          MutexLock lock(mutex_);
          TRY(find_upload(key, upload));
          uploads_.erase(upload);
          return true;
        },
        std::move(done));
  }

  RequestCounts counts() const override { return counters_.read(); }
  std::string describe() const override { return "memory:///"; }

 private:
  Stored make(std::string bytes) REQUIRES(mutex_) {
    ++version_;
    // The version makes an etag of every write new; times are a count, so that runs repeat exactly.
    std::string etag = fmt::format("{:08x}-{}", crc32c(as_bytes(bytes)), version_);
    return {std::make_shared<const std::string>(std::move(bytes)), std::move(etag),
            Time{static_cast<int64_t>(version_), 0}};
  }

  Result<std::string> store(const std::string& key, std::string bytes, bool if_absent)
      EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    if (if_absent && objects_.contains(key))
      return error(EEXIST, "object {} is there already", key);
    Stored object = make(std::move(bytes));
    std::string etag = object.etag;
    objects_[key] = std::move(object);
    return etag;
  }

  Result<Stored> find(const std::string& key) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    const auto found = objects_.find(key);
    if (found == objects_.end()) return error(ENOENT, "no object {}", key);
    return found->second;
  }

  Result<Upload*> find_upload(const std::string& key, const std::string& upload) REQUIRES(mutex_) {
    const auto found = uploads_.find(upload);
    if (found == uploads_.end() || found->second.key != key) {
      return error(ENOENT, "no multipart upload {} of {}", upload, key);
    }
    return &found->second;
  }

  Result<GetResult> read(const std::string& key, uint64_t offset, MutableBytes into,
                         const GetOptions& options) {
    TRY(check_key(key));
    ++counters_.get;
    TRY_ASSIGN(const Stored object, find(key));
    if (!options.if_match.empty() && options.if_match != object.etag) {
      return error(ESTALE, "object {} is no longer the one with etag {}", key, options.if_match);
    }
    const uint64_t size = object.bytes->size();
    const size_t bytes = offset >= size ? 0 : std::min<uint64_t>(into.size(), size - offset);
    if (bytes > 0) std::memcpy(into.data(), object.bytes->data() + offset, bytes);
    counters_.bytes_in += bytes;
    return GetResult{bytes, size, object.etag};
  }

  Result<std::string> complete(const std::string& key, const std::string& upload,
                               const std::vector<UploadedPart>& parts, const CallOptions& options) {
    TRY(check_parts(parts));
    ++counters_.multipart;
    std::string bytes;
    {
      MutexLock lock(mutex_);
      TRY_ASSIGN(Upload * found, find_upload(key, upload));
      for (const UploadedPart& part : parts) {
        const auto stored = found->parts.find(part.number);
        if (stored == found->parts.end() || stored->second.etag != part.etag) {
          return error(EIO, "multipart upload {} of {} has no part {} with etag {}", upload, key,
                       part.number, part.etag);
        }
        bytes += *stored->second.bytes;
      }
    }
    TRY_ASSIGN(std::string etag, store(key, std::move(bytes), options.if_absent));
    MutexLock lock(mutex_);
    uploads_.erase(upload);
    return etag;
  }

  RequestCounters counters_;
  Mutex mutex_;
  std::map<std::string, Stored> objects_ GUARDED_BY(mutex_);
  std::map<std::string, Upload> uploads_ GUARDED_BY(mutex_);
  uint64_t version_ GUARDED_BY(mutex_) = 0;
  CallTracker calls_;  // last: its tasks use the members above
};

}  // namespace

std::unique_ptr<ObjectStore> make_memory_store(Executor& executor) {
  return std::make_unique<MemoryStore>(executor);
}

}  // namespace shoal::object
