#include "object/object_store.h"

#include "sys/mutex.h"

namespace shoal::object {

template <typename T>
Result<T> wait_for(const std::function<void(Done<T>)>& start) {
  // The notify happens under the lock: the waiter must not leave (and take these with it) in
  // between.
  Mutex mutex;
  CondVar answered;
  std::optional<Result<T>> answer;
  start([&](Result<T> result) {
    MutexLock lock(mutex);
    answer.emplace(std::move(result));
    answered.notify_one();
  });
  MutexLock lock(mutex);
  while (!answer.has_value()) answered.wait(mutex);
  return std::move(*answer);
}

template Result<std::string> wait_for(const std::function<void(Done<std::string>)>&);
template Result<GetResult> wait_for(const std::function<void(Done<GetResult>)>&);
template Result<ObjectInfo> wait_for(const std::function<void(Done<ObjectInfo>)>&);
template Result<ListPage> wait_for(const std::function<void(Done<ListPage>)>&);
template Result<UploadedPart> wait_for(const std::function<void(Done<UploadedPart>)>&);
template Result<std::vector<std::string>> wait_for(
    const std::function<void(Done<std::vector<std::string>>)>&);
template Result<bool> wait_for(const std::function<void(Done<bool>)>&);

Result<std::string> put_and_wait(ObjectStore& store, std::string key, ByteView bytes,
                                 CallOptions options) {
  return wait_for<std::string>([&](Done<std::string> done) {
    store.put(std::move(key), {bytes}, options, std::move(done));
  });
}

Result<std::string> get_and_wait(ObjectStore& store, std::string key, uint64_t offset,
                                 size_t bytes_max, GetOptions options) {
  std::string bytes(bytes_max, '\0');
  TRY_ASSIGN(const GetResult got, wait_for<GetResult>([&](Done<GetResult> done) {
               store.get(std::move(key), offset, as_mutable_bytes(bytes), std::move(options),
                         std::move(done));
             }));
  bytes.resize(got.bytes);
  return bytes;
}

Result<ObjectInfo> head_and_wait(ObjectStore& store, std::string key, CallOptions options) {
  return wait_for<ObjectInfo>(
      [&](Done<ObjectInfo> done) { store.head(std::move(key), options, std::move(done)); });
}

Result<ListPage> list_and_wait(ObjectStore& store, std::string prefix, ListOptions options) {
  return wait_for<ListPage>([&](Done<ListPage> done) {
    store.list(std::move(prefix), std::move(options), std::move(done));
  });
}

Status remove_and_wait(ObjectStore& store, std::string key, CallOptions options) {
  TRY_ASSIGN(const std::vector<std::string> kept,
             wait_for<std::vector<std::string>>([&](Done<std::vector<std::string>> done) {
               store.remove_many({key}, options, std::move(done));
             }));
  if (!kept.empty()) return error(EIO, "object {}: the store did not remove it", key);
  return {};
}

}  // namespace shoal::object
