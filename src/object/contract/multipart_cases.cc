#include "object/contract/cases.h"

namespace shoal::object::contract_internal {
namespace {

constexpr size_t kPartBytes = 5 << 20;  // the smallest that every server takes

std::string begin(ObjectStore& store, const std::string& key) {
  return wait_for<std::string>(
             [&](Done<std::string> done) { store.upload_begin(key, {}, std::move(done)); })
      .value();
}

Result<UploadedPart> part(ObjectStore& store, const std::string& key, const std::string& upload,
                          int number, const std::string& bytes) {
  return wait_for<UploadedPart>([&](Done<UploadedPart> done) {
    store.upload_part(key, upload, number, {as_bytes(bytes)}, {}, std::move(done));
  });
}

Result<std::string> complete(ObjectStore& store, const std::string& key, const std::string& upload,
                             std::vector<UploadedPart> parts) {
  return wait_for<std::string>([&](Done<std::string> done) {
    store.upload_complete(key, upload, std::move(parts), {}, std::move(done));
  });
}

Result<bool> abort_upload(ObjectStore& store, const std::string& key, const std::string& upload) {
  return wait_for<bool>(
      [&](Done<bool> done) { store.upload_abort(key, upload, {}, std::move(done)); });
}

void parts_become_one_object_at_completion(ContractBucket& bucket, const std::string& prefix) {
  ObjectStore& store = bucket.store();
  const std::string key = prefix + "dir/big one", first = pattern(kPartBytes, 1),
                    last = pattern(12'345, 2);
  const std::string upload = begin(store, key);
  const UploadedPart two = part(store, key, upload, 2, last).value();
  const UploadedPart one = part(store, key, upload, 1, first).value();
  EXPECT_EQ(head_and_wait(store, key).code(), ENOENT);
  EXPECT_TRUE(list_and_wait(store, prefix).value().objects.empty());
  const std::string etag = complete(store, key, upload, {one, two}).value();
  const ObjectInfo info = head_and_wait(store, key).value();
  EXPECT_EQ(info.size, first.size() + last.size());
  EXPECT_EQ(info.etag, etag);
  EXPECT_EQ(get_and_wait(store, key, kPartBytes - 10, 20).value(),
            first.substr(kPartBytes - 10) + last.substr(0, 10));
  EXPECT_EQ(get_and_wait(store, key, 0, info.size).value(), first + last);
}

void a_part_sent_again_replaces_the_first(ContractBucket& bucket, const std::string& prefix) {
  ObjectStore& store = bucket.store();
  const std::string key = prefix + "k", upload = begin(store, key);
  part(store, key, upload, 1, "first try").value();
  const UploadedPart again = part(store, key, upload, 1, "second").value();
  complete(store, key, upload, {again}).value();
  EXPECT_EQ(get_and_wait(store, key, 0, 99).value(), "second");
}

void an_aborted_upload_leaves_nothing(ContractBucket& bucket, const std::string& prefix) {
  ObjectStore& store = bucket.store();
  const std::string key = prefix + "k", upload = begin(store, key);
  const UploadedPart one = part(store, key, upload, 1, "bytes").value();
  EXPECT_TRUE(abort_upload(store, key, upload).ok());
  EXPECT_FALSE(complete(store, key, upload, {one}).ok());
  EXPECT_EQ(head_and_wait(store, key).code(), ENOENT);
  EXPECT_TRUE(list_and_wait(store, prefix).value().objects.empty());
}

void completing_with_a_part_never_sent_is_an_error(ContractBucket& bucket,
                                                   const std::string& prefix) {
  ObjectStore& store = bucket.store();
  const std::string key = prefix + "k", upload = begin(store, key);
  const UploadedPart one = part(store, key, upload, 1, "bytes").value();
  EXPECT_FALSE(complete(store, key, upload, {{2, one.etag}}).ok());
  EXPECT_EQ(complete(store, key, upload, {}).code(), EINVAL);
  EXPECT_EQ(complete(store, key, upload, {one, one}).code(), EINVAL);
  EXPECT_EQ(head_and_wait(store, key).code(), ENOENT);
  EXPECT_TRUE(abort_upload(store, key, upload).ok());
}

void an_unknown_upload_is_an_error(ContractBucket& bucket, const std::string& prefix) {
  ObjectStore& store = bucket.store();
  EXPECT_FALSE(part(store, prefix + "k", "00000000-none", 1, "bytes").ok());
  EXPECT_FALSE(complete(store, prefix + "k", "00000000-none", {{1, "\"x\""}}).ok());
}

}  // namespace

#define CASE(name) \
  { #name, name }

std::vector<ContractCase> multipart_cases() {
  return {CASE(parts_become_one_object_at_completion), CASE(a_part_sent_again_replaces_the_first),
          CASE(an_aborted_upload_leaves_nothing),
          CASE(completing_with_a_part_never_sent_is_an_error), CASE(an_unknown_upload_is_an_error)};
}

}  // namespace shoal::object::contract_internal
