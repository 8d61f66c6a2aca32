#include "object/faulty/faulty_store.h"

#include <algorithm>
#include <atomic>

#include "sys/mutex.h"

namespace shoal::object {
namespace {

// Outlives the store as long as a call is under way.
struct Shared {
  Mutex mutex;
  CondVar idle;
  int under_way GUARDED_BY(mutex) = 0;
  std::atomic<uint64_t> bounces{0};  // heads that we made for ourselves

  void begin() {
    MutexLock lock(mutex);
    ++under_way;
  }
  void end() {
    MutexLock lock(mutex);
    if (--under_way == 0) idle.notify_all();
  }
};

template <typename T>
Result<T> spoiled(Fault fault, const std::string& key, Result<T> result) {
  if (fault == Fault::kErrorAfter && result.ok())
    return error(EIO, "injected after the effect on {}", key);
  return result;
}

Error refusal(Fault fault, const std::string& key) {
  if (fault == Fault::kTimeout) return error(ETIMEDOUT, "injected: no answer about {}", key);
  if (fault == Fault::kNotFound) return error(ENOENT, "injected: no object {}", key);
  return error(EIO, "injected before any effect on {}", key);
}

class FaultyStore final : public ObjectStore {
 public:
  FaultyStore(ObjectStore& under, std::function<Fault(Call, const std::string&, uint64_t)> decide)
      : under_(under), decide_(std::move(decide)) {}
  // Waits for calls under way: they hold the callers' memory. `under` must still be able to answer.
  ~FaultyStore() override {
    MutexLock lock(shared_->mutex);
    while (shared_->under_way > 0) shared_->idle.wait(shared_->mutex);
  }

  void put(std::string key, std::vector<ByteView> spans, CallOptions options,
           Done<std::string> done) override {
    const Fault fault = decide(Call::kPut, key);
    Done<std::string> wrapped = wrap(fault, key, std::move(done));
    if (refuses(fault, Call::kPut)) return refuse(fault, key, std::move(wrapped));
    under_.put(std::move(key), std::move(spans), options, std::move(wrapped));
  }

  void get(std::string key, uint64_t offset, MutableBytes into, GetOptions options,
           Done<GetResult> done) override {
    const Fault fault = decide(Call::kGet, key);
    Done<GetResult> wrapped = wrap(fault, key, std::move(done));
    if (refuses(fault, Call::kGet)) return refuse(fault, key, std::move(wrapped));
    under_.get(std::move(key), offset, into, std::move(options),
               [fault, into, wrapped = std::move(wrapped)](Result<GetResult> result) {
                 if (result.ok() && fault == Fault::kShort) result->bytes /= 2;
                 if (result.ok() && fault == Fault::kCorrupt && result->bytes > 0) {
                   into[result->bytes / 2] ^= std::byte{0x20};
                 }
                 wrapped(std::move(result));
               });
  }

  void head(std::string key, CallOptions options, Done<ObjectInfo> done) override {
    const Fault fault = decide(Call::kHead, key);
    Done<ObjectInfo> wrapped = wrap(fault, key, std::move(done));
    if (refuses(fault, Call::kHead)) return refuse(fault, key, std::move(wrapped));
    under_.head(std::move(key), options, std::move(wrapped));
  }

  void remove_many(std::vector<std::string> keys, CallOptions options,
                   Done<std::vector<std::string>> done) override {
    const std::string first = keys.empty() ? "" : keys.front();
    const Fault fault = decide(Call::kRemove, first);
    Done<std::vector<std::string>> wrapped = wrap(fault, first, std::move(done));
    if (refuses(fault, Call::kRemove)) return refuse(fault, first, std::move(wrapped));
    under_.remove_many(std::move(keys), options, std::move(wrapped));
  }

  void list(std::string prefix, ListOptions options, Done<ListPage> done) override {
    const Fault fault = decide(Call::kList, prefix);
    Done<ListPage> wrapped = wrap(fault, prefix, std::move(done));
    if (refuses(fault, Call::kList)) return refuse(fault, prefix, std::move(wrapped));
    under_.list(std::move(prefix), std::move(options), std::move(wrapped));
  }

  void upload_begin(std::string key, CallOptions options, Done<std::string> done) override {
    const Fault fault = decide(Call::kUpload, key);
    Done<std::string> wrapped = wrap(fault, key, std::move(done));
    if (refuses(fault, Call::kUpload)) return refuse(fault, key, std::move(wrapped));
    under_.upload_begin(std::move(key), options, std::move(wrapped));
  }

  void upload_part(std::string key, std::string upload, int number, std::vector<ByteView> spans,
                   CallOptions options, Done<UploadedPart> done) override {
    const Fault fault = decide(Call::kUpload, key);
    Done<UploadedPart> wrapped = wrap(fault, key, std::move(done));
    if (refuses(fault, Call::kUpload)) return refuse(fault, key, std::move(wrapped));
    under_.upload_part(std::move(key), std::move(upload), number, std::move(spans), options,
                       std::move(wrapped));
  }

  void upload_complete(std::string key, std::string upload, std::vector<UploadedPart> parts,
                       CallOptions options, Done<std::string> done) override {
    const Fault fault = decide(Call::kUpload, key);
    Done<std::string> wrapped = wrap(fault, key, std::move(done));
    if (refuses(fault, Call::kUpload)) return refuse(fault, key, std::move(wrapped));
    under_.upload_complete(std::move(key), std::move(upload), std::move(parts), options,
                           std::move(wrapped));
  }

  void upload_abort(std::string key, std::string upload, CallOptions options,
                    Done<bool> done) override {
    const Fault fault = decide(Call::kUpload, key);
    Done<bool> wrapped = wrap(fault, key, std::move(done));
    if (refuses(fault, Call::kUpload)) return refuse(fault, key, std::move(wrapped));
    under_.upload_abort(std::move(key), std::move(upload), options, std::move(wrapped));
  }

  RequestCounts counts() const override {
    RequestCounts counts = under_.counts();
    counts.head -= std::min(counts.head, shared_->bounces.load());
    return counts;
  }
  std::string describe() const override { return "faulty over " + under_.describe(); }

 private:
  Fault decide(Call call, const std::string& key) { return decide_(call, key, calls_++); }

  static bool refuses(Fault fault, Call call) {
    if (fault == Fault::kNotFound) return call == Call::kGet || call == Call::kHead;
    return fault == Fault::kErrorBefore || fault == Fault::kTimeout;
  }

  template <typename T>
  Done<T> wrap(Fault fault, const std::string& key, Done<T> done) {
    shared_->begin();
    return [shared = shared_, fault, key, done = std::move(done)](Result<T> result) {
      done(spoiled(fault, key, std::move(result)));
      shared->end();
    };
  }

  // The answer must not come inside the call, and we have no thread: a harmless call of `under`
  // lends us one of its.
  template <typename T>
  void refuse(Fault fault, const std::string& key, Done<T> wrapped) {
    under_.head(key.empty() ? "k" : key, {},
                [shared = shared_, fault, key, wrapped = std::move(wrapped)](Result<ObjectInfo>) {
                  ++shared->bounces;
                  wrapped(refusal(fault, key));
                });
  }

  ObjectStore& under_;
  const std::function<Fault(Call, const std::string&, uint64_t)> decide_;
  std::atomic<uint64_t> calls_{0};
  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

}  // namespace

std::unique_ptr<ObjectStore> make_faulty_store(
    ObjectStore& under, std::function<Fault(Call, const std::string&, uint64_t)> decide) {
  return std::make_unique<FaultyStore>(under, std::move(decide));
}

}  // namespace shoal::object
