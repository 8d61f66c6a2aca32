#include "object/folder/folder_store.h"

#include "object/call_tracker.h"
#include "object/folder/folder_bucket.h"
#include "object/request_counters.h"
#include "object/validation.h"

namespace shoal::object {
namespace {

class FolderStore final : public ObjectStore {
 public:
  FolderStore(Executor& executor, std::unique_ptr<FolderBucket> bucket)
      : bucket_(std::move(bucket)), calls_(executor) {}
  ~FolderStore() override { calls_.stop(); }

  void put(std::string key, std::vector<ByteView> spans, CallOptions options,
           Done<std::string> done) override {
    calls_.run<std::string>(
        [this, key = std::move(key), spans = std::move(spans), options]() -> Result<std::string> {
          TRY(check_key(key));
          ++counters_.put;
          counters_.bytes_out += total_bytes(spans);
          return bucket_->put(key, spans, options.if_absent);
        },
        std::move(done));
  }

  void get(std::string key, uint64_t offset, MutableBytes into, GetOptions options,
           Done<GetResult> done) override {
    calls_.run<GetResult>(
        [this, key = std::move(key), offset, into,
         if_match = std::move(options.if_match)]() -> Result<GetResult> {
          TRY(check_key(key));
          ++counters_.get;
          TRY_ASSIGN(GetResult got, bucket_->get(key, offset, into, if_match));
          counters_.bytes_in += got.bytes;
          return got;
        },
        std::move(done));
  }

  void head(std::string key, CallOptions /*options*/, Done<ObjectInfo> done) override {
    calls_.run<ObjectInfo>(
        [this, key = std::move(key)]() -> Result<ObjectInfo> {
          TRY(check_key(key));
          ++counters_.head;
          return bucket_->head(key);
        },
        std::move(done));
  }

  void remove_many(std::vector<std::string> keys, CallOptions /*options*/,
                   Done<std::vector<std::string>> done) override {
    calls_.run<std::vector<std::string>>(
        [this, keys = std::move(keys)]() -> Result<std::vector<std::string>> {
          TRY(check_keys(keys));
          ++counters_.remove;
          return bucket_->remove_many(keys);
        },
        std::move(done));
  }

  void list(std::string prefix, ListOptions options, Done<ListPage> done) override {
    calls_.run<ListPage>(
        [this, prefix = std::move(prefix), options = std::move(options)]() -> Result<ListPage> {
          TRY(check_limit(options));
          ++counters_.list;
          return bucket_->list(prefix, options);
        },
        std::move(done));
  }

  void upload_begin(std::string key, CallOptions /*options*/, Done<std::string> done) override {
    calls_.run<std::string>(
        [this, key = std::move(key)]() -> Result<std::string> {
          TRY(check_key(key));
          ++counters_.multipart;
          return bucket_->upload_begin(key);
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
          return bucket_->upload_part(key, upload, number, spans);
        },
        std::move(done));
  }

  void upload_complete(std::string key, std::string upload, std::vector<UploadedPart> parts,
                       CallOptions options, Done<std::string> done) override {
    calls_.run<std::string>(
        [this, key = std::move(key), upload = std::move(upload), parts = std::move(parts),
         options]() -> Result<std::string> {
          TRY(check_parts(parts));
          ++counters_.multipart;
          return bucket_->upload_complete(key, upload, parts, options.if_absent);
        },
        std::move(done));
  }

  void upload_abort(std::string key, std::string upload, CallOptions /*options*/,
                    Done<bool> done) override {
    calls_.run<bool>(
        [this, key = std::move(key), upload = std::move(upload)]() -> Result<bool> {
          ++counters_.multipart;
          TRY(bucket_->upload_abort(key, upload));
          return true;
        },
        std::move(done));
  }

  RequestCounts counts() const override { return counters_.read(); }
  std::string describe() const override { return "file://" + bucket_->root(); }

 private:
  RequestCounters counters_;
  std::unique_ptr<FolderBucket> bucket_;
  CallTracker calls_;  // last: its tasks use the members above
};

}  // namespace

Result<std::unique_ptr<ObjectStore>> open_folder_store(LocalFs& fs, Executor& executor,
                                                       const Path& folder) {
  Path root = folder;
  while (root.size() > 1 && root.back() == '/') root.pop_back();
  TRY_ASSIGN(std::unique_ptr<FolderBucket> bucket, FolderBucket::open(fs, root));
  return std::unique_ptr<ObjectStore>(std::make_unique<FolderStore>(executor, std::move(bucket)));
}

}  // namespace shoal::object
