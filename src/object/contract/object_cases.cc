#include <algorithm>

#include "object/contract/cases.h"

namespace shoal::object::contract_internal {
namespace {

void what_was_put_is_read_back_whole_and_in_ranges(ContractBucket& bucket,
                                                   const std::string& prefix) {
  ObjectStore& store = bucket.store();
  const std::string bytes = pattern(300'000);
  const std::string etag = put_and_wait(store, prefix + "k", as_bytes(bytes)).value();
  EXPECT_FALSE(etag.empty());
  EXPECT_EQ(get_and_wait(store, prefix + "k", 0, bytes.size()).value(), bytes);
  EXPECT_EQ(get_and_wait(store, prefix + "k", 0, bytes.size() + 100).value(), bytes);
  EXPECT_EQ(get_and_wait(store, prefix + "k", 1, 1).value(), bytes.substr(1, 1));
  EXPECT_EQ(get_and_wait(store, prefix + "k", 123'456, 65'536).value(),
            bytes.substr(123'456, 65'536));
  EXPECT_EQ(get_and_wait(store, prefix + "k", 299'990, 4096).value(), bytes.substr(299'990));
}

void a_put_stores_its_spans_one_behind_the_other(ContractBucket& bucket,
                                                 const std::string& prefix) {
  ObjectStore& store = bucket.store();
  const std::string a = pattern(100'000, 2), b = pattern(1, 3), c, d = pattern(70'000, 4);
  wait_for<std::string>([&](Done<std::string> done) {
    store.put(prefix + "k", {as_bytes(a), as_bytes(b), as_bytes(c), as_bytes(d)}, {},
              std::move(done));
  }).value();
  EXPECT_EQ(get_and_wait(store, prefix + "k", 0, 1'000'000).value(), a + b + d);
}

void get_tells_size_and_etag_and_leaves_the_rest_of_the_target(ContractBucket& bucket,
                                                               const std::string& prefix) {
  ObjectStore& store = bucket.store();
  const std::string etag = put_and_wait(store, prefix + "k", as_bytes("0123456789")).value();
  std::string target(8, '#');
  const GetResult got = wait_for<GetResult>([&](Done<GetResult> done) {
                          store.get(prefix + "k", 7, as_mutable_bytes(target), {}, std::move(done));
                        }).value();
  EXPECT_EQ(got.bytes, 3u);
  EXPECT_EQ(got.object_size, 10u);
  EXPECT_EQ(got.etag, etag);
  EXPECT_EQ(target, "789#####");
}

void reading_at_or_behind_the_end_reads_nothing(ContractBucket& bucket, const std::string& prefix) {
  ObjectStore& store = bucket.store();
  put_and_wait(store, prefix + "k", as_bytes("0123456789")).value();
  EXPECT_EQ(get_and_wait(store, prefix + "k", 10, 5).value(), "");
  EXPECT_EQ(get_and_wait(store, prefix + "k", 1'000'000, 5).value(), "");
  EXPECT_EQ(get_and_wait(store, prefix + "k", 3, 0).value(), "");
  EXPECT_EQ(get_and_wait(store, prefix + "none", 3, 0).code(), ENOENT);
}

void an_empty_object_is_an_object(ContractBucket& bucket, const std::string& prefix) {
  ObjectStore& store = bucket.store();
  const std::string etag = put_and_wait(store, prefix + "e", {}).value();
  EXPECT_EQ(get_and_wait(store, prefix + "e", 0, 10).value(), "");
  const ObjectInfo info = head_and_wait(store, prefix + "e").value();
  EXPECT_EQ(info.size, 0u);
  EXPECT_EQ(info.etag, etag);
}

void what_is_absent_is_enoent(ContractBucket& bucket, const std::string& prefix) {
  ObjectStore& store = bucket.store();
  EXPECT_EQ(get_and_wait(store, prefix + "none", 0, 10).code(), ENOENT);
  EXPECT_EQ(head_and_wait(store, prefix + "none").code(), ENOENT);
  put_and_wait(store, prefix + "d/e", as_bytes("x")).value();
  EXPECT_EQ(get_and_wait(store, prefix + "d", 0, 10).code(), ENOENT);
  EXPECT_EQ(head_and_wait(store, prefix + "d").code(), ENOENT);
  EXPECT_EQ(head_and_wait(store, prefix + "d/e/f").code(), ENOENT);
}

void head_agrees_with_put_and_list(ContractBucket& bucket, const std::string& prefix) {
  ObjectStore& store = bucket.store();
  const std::string etag = put_and_wait(store, prefix + "k", as_bytes(pattern(5000))).value();
  const ObjectInfo info = head_and_wait(store, prefix + "k").value();
  EXPECT_EQ(info.key, prefix + "k");
  EXPECT_EQ(info.size, 5000u);
  EXPECT_EQ(info.etag, etag);
  const ListPage page = list_and_wait(store, prefix).value();
  ASSERT_EQ(page.objects.size(), 1u);
  EXPECT_EQ(page.objects[0].key, info.key);
  EXPECT_EQ(page.objects[0].size, info.size);
  EXPECT_EQ(page.objects[0].etag, info.etag);
  EXPECT_EQ(page.objects[0].modified.seconds, info.modified.seconds);
}

void a_second_put_replaces_the_first(ContractBucket& bucket, const std::string& prefix) {
  ObjectStore& store = bucket.store();
  const std::string first = put_and_wait(store, prefix + "k", as_bytes(pattern(5000, 1))).value();
  const std::string second = put_and_wait(store, prefix + "k", as_bytes(pattern(3000, 2))).value();
  EXPECT_NE(first, second);
  EXPECT_EQ(get_and_wait(store, prefix + "k", 0, 9999).value(), pattern(3000, 2));
}

void if_match_reads_only_the_version_asked_for(ContractBucket& bucket, const std::string& prefix) {
  ObjectStore& store = bucket.store();
  const std::string first = put_and_wait(store, prefix + "k", as_bytes("first")).value();
  EXPECT_EQ(get_and_wait(store, prefix + "k", 0, 9, {{}, first}).value(), "first");
  put_and_wait(store, prefix + "k", as_bytes("second")).value();
  EXPECT_EQ(get_and_wait(store, prefix + "k", 0, 9, {{}, first}).code(), ESTALE);
}

void an_etag_survives_a_restart_of_the_client(ContractBucket& bucket, const std::string& prefix) {
  const std::string etag = put_and_wait(bucket.store(), prefix + "k", as_bytes("bytes")).value();
  if (!bucket.reopen()) return;
  EXPECT_EQ(head_and_wait(bucket.store(), prefix + "k").value().etag, etag);
  EXPECT_EQ(get_and_wait(bucket.store(), prefix + "k", 0, 9, {{}, etag}).value(), "bytes");
}

void removing_is_final_and_absent_keys_are_no_error(ContractBucket& bucket,
                                                    const std::string& prefix) {
  ObjectStore& store = bucket.store();
  for (const char* name : {"a", "b", "c/d", "c/e"})
    put_and_wait(store, prefix + name, as_bytes("x")).value();
  const std::vector<std::string> left =
      wait_for<std::vector<std::string>>([&](Done<std::vector<std::string>> done) {
        store.remove_many({prefix + "a", prefix + "none", prefix + "c/d"}, {}, std::move(done));
      }).value();
  EXPECT_TRUE(left.empty());
  EXPECT_EQ(head_and_wait(store, prefix + "a").code(), ENOENT);
  EXPECT_EQ(head_and_wait(store, prefix + "c/d").code(), ENOENT);
  EXPECT_EQ(get_and_wait(store, prefix + "b", 0, 9).value(), "x");
  EXPECT_EQ(get_and_wait(store, prefix + "c/e", 0, 9).value(), "x");
  EXPECT_TRUE(remove_and_wait(store, prefix + "none").ok());
  EXPECT_TRUE(wait_for<std::vector<std::string>>([&](Done<std::vector<std::string>> done) {
                store.remove_many({}, {}, std::move(done));
              })
                  .value()
                  .empty());
}

void a_thousand_keys_are_removed_in_one_call(ContractBucket& bucket, const std::string& prefix) {
  ObjectStore& store = bucket.store();
  std::vector<std::string> keys;
  for (int i = 0; i < 1000; ++i) keys.push_back(fmt::format("{}k{}", prefix, i));
  for (int i = 0; i < 1000; i += 100) put_and_wait(store, keys[i], as_bytes("x")).value();
  const uint64_t before = store.counts().remove;
  EXPECT_TRUE(wait_for<std::vector<std::string>>([&](Done<std::vector<std::string>> done) {
                store.remove_many(keys, {}, std::move(done));
              })
                  .value()
                  .empty());
  EXPECT_EQ(store.counts().remove - before, 1u);
  EXPECT_TRUE(list_and_wait(store, prefix).value().objects.empty());
  keys.push_back(prefix + "one too many");
  EXPECT_EQ(wait_for<std::vector<std::string>>([&](Done<std::vector<std::string>> done) {
              store.remove_many(keys, {}, std::move(done));
            }).code(),
            EINVAL);
}

void a_key_and_the_keys_below_it_live_side_by_side(ContractBucket& bucket,
                                                   const std::string& prefix) {
  ObjectStore& store = bucket.store();
  for (const char* name : {"a/b/c", "a", "a/b"})
    put_and_wait(store, prefix + name, as_bytes(name)).value();
  for (const char* name : {"a", "a/b", "a/b/c"}) {
    EXPECT_EQ(get_and_wait(store, prefix + name, 0, 99).value(), name);
  }
  EXPECT_TRUE(remove_and_wait(store, prefix + "a").ok());
  EXPECT_EQ(get_and_wait(store, prefix + "a/b/c", 0, 99).value(), "a/b/c");
}

void odd_keys_are_kept_apart_and_listed_as_they_are(ContractBucket& bucket,
                                                    const std::string& prefix) {
  ObjectStore& store = bucket.store();
  std::vector<std::string> keys = odd_keys(bucket, prefix);
  for (const std::string& key : keys) {
    const Result<std::string> put = put_and_wait(store, key, as_bytes(key));
    ASSERT_TRUE(put.ok()) << put.error().text();
  }
  for (const std::string& key : keys) {
    EXPECT_EQ(get_and_wait(store, key, 0, 2000).value(), key);
    EXPECT_EQ(head_and_wait(store, key).value().size, key.size()) << key;
  }
  std::sort(keys.begin(), keys.end());
  const ListPage page = list_and_wait(store, prefix).value();
  std::vector<std::string> listed;
  for (const ObjectInfo& object : page.objects) listed.push_back(object.key);
  EXPECT_EQ(listed, keys);
  EXPECT_TRUE(wait_for<std::vector<std::string>>([&](Done<std::vector<std::string>> done) {
                store.remove_many(keys, {}, std::move(done));
              })
                  .value()
                  .empty());
  EXPECT_TRUE(list_and_wait(store, prefix).value().objects.empty());
}

void impossible_keys_are_refused(ContractBucket& bucket, const std::string& prefix) {
  ObjectStore& store = bucket.store();
  EXPECT_EQ(put_and_wait(store, "", as_bytes("x")).code(), EINVAL);
  EXPECT_EQ(get_and_wait(store, "", 0, 1).code(), EINVAL);
  EXPECT_EQ(head_and_wait(store, prefix + std::string(kObjectKeyBytesMax, 'k')).code(), EINVAL);
  EXPECT_EQ(remove_and_wait(store, "").code(), EINVAL);
}

void if_absent_never_replaces(ContractBucket& bucket, const std::string& prefix) {
  if (!bucket.has_if_none_match()) return;
  ObjectStore& store = bucket.store();
  CallOptions if_absent;
  if_absent.if_absent = true;
  EXPECT_TRUE(put_and_wait(store, prefix + "k", as_bytes("first"), if_absent).ok());
  EXPECT_EQ(put_and_wait(store, prefix + "k", as_bytes("second"), if_absent).code(), EEXIST);
  EXPECT_EQ(get_and_wait(store, prefix + "k", 0, 99).value(), "first");
}

}  // namespace

#define CASE(name) \
  { #name, name }

std::vector<ContractCase> object_cases() {
  return {CASE(what_was_put_is_read_back_whole_and_in_ranges),
          CASE(a_put_stores_its_spans_one_behind_the_other),
          CASE(get_tells_size_and_etag_and_leaves_the_rest_of_the_target),
          CASE(reading_at_or_behind_the_end_reads_nothing),
          CASE(an_empty_object_is_an_object),
          CASE(what_is_absent_is_enoent),
          CASE(head_agrees_with_put_and_list),
          CASE(a_second_put_replaces_the_first),
          CASE(if_match_reads_only_the_version_asked_for),
          CASE(an_etag_survives_a_restart_of_the_client),
          CASE(removing_is_final_and_absent_keys_are_no_error),
          CASE(a_thousand_keys_are_removed_in_one_call),
          CASE(a_key_and_the_keys_below_it_live_side_by_side),
          CASE(odd_keys_are_kept_apart_and_listed_as_they_are),
          CASE(impossible_keys_are_refused),
          CASE(if_absent_never_replaces)};
}

}  // namespace shoal::object::contract_internal
