#include <algorithm>

#include "object/contract/cases.h"

namespace shoal::object::contract_internal {
namespace {

std::vector<std::string> keys_of(const ListPage& page) {
  std::vector<std::string> keys;
  for (const ObjectInfo& object : page.objects) keys.push_back(object.key);
  return keys;
}

std::vector<std::string> with(const std::string& prefix, std::vector<std::string> names) {
  for (std::string& name : names) name.insert(0, prefix);
  return names;
}

void fill(ObjectStore& store, const std::string& prefix, const std::vector<std::string>& names) {
  for (const std::string& name : names) put_and_wait(store, prefix + name, as_bytes(name)).value();
}

void a_list_ascends_by_bytes(ContractBucket& bucket, const std::string& prefix) {
  // '-' < '.' < '/' < '0': the children of "a/" stand between "a.x" and "a0", whatever a directory
  // walk thinks.
  std::vector<std::string> names{"a0", "a/b", "a", "a.x", "a-", "B", "é", "a/b/c", "a/b-", "z"};
  if (bucket.is_tree()) names = {"a0", "a/b", "a/b-", "a", "B", "é", "z"};
  fill(bucket.store(), prefix, names);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(keys_of(list_and_wait(bucket.store(), prefix).value()), with(prefix, names));
}

void a_prefix_need_not_end_at_a_slash(ContractBucket& bucket, const std::string& prefix) {
  fill(bucket.store(), prefix, {"ab", "abc/x", "abd", "ac", "b"});
  EXPECT_EQ(keys_of(list_and_wait(bucket.store(), prefix + "ab").value()),
            with(prefix, {"ab", "abc/x", "abd"}));
  EXPECT_EQ(keys_of(list_and_wait(bucket.store(), prefix + "abc/").value()),
            with(prefix, {"abc/x"}));
  EXPECT_TRUE(keys_of(list_and_wait(bucket.store(), prefix + "zz").value()).empty());
}

void pages_join_to_the_whole(ContractBucket& bucket, const std::string& prefix) {
  std::vector<std::string> names;
  for (int i = 0; i < 25; ++i) names.push_back(fmt::format("{}/{:02}", i % 3 == 0 ? "d" : "e", i));
  fill(bucket.store(), prefix, names);
  std::sort(names.begin(), names.end());
  for (const size_t limit : {1u, 4u, 5u, 25u, 26u}) {
    std::vector<std::string> joined;
    ListOptions options;
    options.limit = limit;
    for (int pages = 0; pages < 30; ++pages) {
      const ListPage page = list_and_wait(bucket.store(), prefix, options).value();
      EXPECT_LE(page.objects.size(), limit);
      for (const std::string& key : keys_of(page)) joined.push_back(key);
      if (!page.truncated) break;
      ASSERT_FALSE(page.next_start_after.empty());
      options.start_after = page.next_start_after;
    }
    EXPECT_EQ(joined, with(prefix, names)) << "limit " << limit;
  }
}

void a_full_last_page_is_not_truncated(ContractBucket& bucket, const std::string& prefix) {
  fill(bucket.store(), prefix, {"a", "b"});
  ListOptions options;
  options.limit = 2;
  EXPECT_FALSE(list_and_wait(bucket.store(), prefix, options).value().truncated);
  options.limit = 1;
  EXPECT_TRUE(list_and_wait(bucket.store(), prefix, options).value().truncated);
}

void start_after_need_not_be_a_key(ContractBucket& bucket, const std::string& prefix) {
  fill(bucket.store(), prefix, {"a", "c", "c/d", "e"});
  ListOptions options;
  options.start_after = prefix + "b";
  EXPECT_EQ(keys_of(list_and_wait(bucket.store(), prefix, options).value()),
            with(prefix, {"c", "c/d", "e"}));
  for (const char* name : {"c", "c/"}) {
    if (bucket.is_tree()) break;
    options.start_after = prefix + name;
    EXPECT_EQ(keys_of(list_and_wait(bucket.store(), prefix, options).value()),
              with(prefix, {"c/d", "e"}));
  }
  options.start_after = prefix + "e";
  EXPECT_TRUE(keys_of(list_and_wait(bucket.store(), prefix, options).value()).empty());
}

void a_delimiter_rolls_up_what_is_below(ContractBucket& bucket, const std::string& prefix) {
  fill(bucket.store(), prefix, {"a", "d/1", "d/2", "d/e/3", "f", "g/1", "h"});
  ListOptions options;
  options.delimiter = "/";
  const ListPage page = list_and_wait(bucket.store(), prefix, options).value();
  EXPECT_EQ(keys_of(page), with(prefix, {"a", "f", "h"}));
  EXPECT_EQ(page.common_prefixes, with(prefix, {"d/", "g/"}));
  const ListPage below = list_and_wait(bucket.store(), prefix + "d/", options).value();
  EXPECT_EQ(keys_of(below), with(prefix, {"d/1", "d/2"}));
  EXPECT_EQ(below.common_prefixes, with(prefix, {"d/e/"}));
}

void pages_with_a_delimiter_join_to_the_whole(ContractBucket& bucket, const std::string& prefix) {
  fill(bucket.store(), prefix, {"a", "d/1", "d/2", "d/e/3", "f", "g/1", "g/2", "h"});
  for (const size_t limit : {1u, 2u, 3u}) {
    ListOptions options;
    options.delimiter = "/";
    options.limit = limit;
    std::vector<std::string> joined;
    for (int pages = 0; pages < 12; ++pages) {
      const ListPage page = list_and_wait(bucket.store(), prefix, options).value();
      EXPECT_LE(page.objects.size() + page.common_prefixes.size(), limit);
      for (const std::string& key : keys_of(page)) joined.push_back(key);
      for (const std::string& common : page.common_prefixes) joined.push_back(common);
      if (!page.truncated) break;
      options.start_after = page.next_start_after;
    }
    std::sort(joined.begin(), joined.end());
    EXPECT_EQ(joined, with(prefix, {"a", "d/", "f", "g/", "h"})) << "limit " << limit;
  }
}

void a_limit_out_of_range_is_refused(ContractBucket& bucket, const std::string& prefix) {
  ListOptions options;
  options.limit = 0;
  EXPECT_EQ(list_and_wait(bucket.store(), prefix, options).code(), EINVAL);
  options.limit = 1001;
  EXPECT_EQ(list_and_wait(bucket.store(), prefix, options).code(), EINVAL);
}

}  // namespace

#define CASE(name) \
  { #name, name }

std::vector<ContractCase> list_cases() {
  return {CASE(a_list_ascends_by_bytes),
          CASE(a_prefix_need_not_end_at_a_slash),
          CASE(pages_join_to_the_whole),
          CASE(a_full_last_page_is_not_truncated),
          CASE(start_after_need_not_be_a_key),
          CASE(a_delimiter_rolls_up_what_is_below),
          CASE(pages_with_a_delimiter_join_to_the_whole),
          CASE(a_limit_out_of_range_is_refused)};
}

}  // namespace shoal::object::contract_internal
