#include <atomic>

#include "object/contract/cases.h"
#include "sys/mutex.h"

namespace shoal::object::contract_internal {
namespace {

// Counts answers; wait() returns when `n` have come.
class Answers {
 public:
  void one() {
    MutexLock lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  void wait(int n) {
    MutexLock lock(mutex_);
    while (count_ < n) changed_.wait(mutex_);
  }
  int count() {
    MutexLock lock(mutex_);
    return count_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int count_ GUARDED_BY(mutex_) = 0;
};

void many_calls_at_once_all_answer_once(ContractBucket& bucket, const std::string& prefix) {
  ObjectStore& store = bucket.store();
  constexpr int kCalls = 200;
  std::vector<std::string> bodies;
  for (int i = 0; i < kCalls; ++i) bodies.push_back(pattern(1000 + i, i));
  Answers puts;
  std::atomic<int> failed{0};
  for (int i = 0; i < kCalls; ++i) {
    store.put(fmt::format("{}{:03}", prefix, i), {as_bytes(bodies[i])}, {},
              [&](Result<std::string> result) {
                if (!result.ok()) ++failed;
                puts.one();
              });
  }
  puts.wait(kCalls);
  EXPECT_EQ(failed, 0);
  Answers gets;
  std::vector<std::string> targets(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    targets[i].resize(2000);
    store.get(fmt::format("{}{:03}", prefix, i), 0, as_mutable_bytes(targets[i]), {},
              [&, i](Result<GetResult> result) {
                if (!result.ok() || result->bytes != bodies[i].size()) ++failed;
                gets.one();
              });
  }
  gets.wait(kCalls);
  EXPECT_EQ(failed, 0);
  for (int i = 0; i < kCalls; ++i)
    EXPECT_EQ(targets[i].substr(0, bodies[i].size()), bodies[i]) << i;
  EXPECT_EQ(list_and_wait(store, prefix).value().objects.size(), static_cast<size_t>(kCalls));
  EXPECT_EQ(puts.count(), kCalls);
  EXPECT_EQ(gets.count(), kCalls);
}

void a_callback_may_call_the_store(ContractBucket& bucket, const std::string& prefix) {
  ObjectStore& store = bucket.store();
  Answers answers;
  int code = -1;
  store.put(prefix + "k", {as_bytes("x")}, {}, [&](Result<std::string> put) {
    EXPECT_TRUE(put.ok());
    store.head(prefix + "k", {}, [&](Result<ObjectInfo> head) {
      code = head.code();
      answers.one();
    });
  });
  answers.wait(1);
  EXPECT_EQ(code, 0);
}

void counts_tell_what_was_asked(ContractBucket& bucket, const std::string& prefix) {
  ObjectStore& store = bucket.store();
  const RequestCounts before = store.counts();
  put_and_wait(store, prefix + "k", as_bytes(pattern(1000))).value();
  get_and_wait(store, prefix + "k", 0, 500).value();
  get_and_wait(store, prefix + "k", 500, 500).value();
  head_and_wait(store, prefix + "k").value();
  list_and_wait(store, prefix).value();
  remove_and_wait(store, prefix + "k").value();
  const RequestCounts after = store.counts();
  EXPECT_EQ(after.put - before.put, 1u);
  EXPECT_EQ(after.get - before.get, 2u);
  EXPECT_EQ(after.head - before.head, 1u);
  EXPECT_EQ(after.list - before.list, 1u);
  EXPECT_EQ(after.remove - before.remove, 1u);
  EXPECT_EQ(after.bytes_out - before.bytes_out, 1000u);
  EXPECT_EQ(after.bytes_in - before.bytes_in, 1000u);
}

void the_probe_finds_what_the_bucket_can_do_and_cleans_up(ContractBucket& bucket,
                                                          const std::string& prefix) {
  const Capabilities can = probe(bucket.store(), prefix).value();
  EXPECT_EQ(can.if_none_match, bucket.has_if_none_match());
  EXPECT_TRUE(can.multipart);
  EXPECT_EQ(can.ordered_list, !bucket.is_tree());
  EXPECT_TRUE(list_and_wait(bucket.store(), prefix).value().objects.empty());
}

}  // namespace

#define CASE(name) \
  { #name, name }

std::vector<ContractCase> call_cases() {
  return {CASE(many_calls_at_once_all_answer_once), CASE(a_callback_may_call_the_store),
          CASE(counts_tell_what_was_asked),
          CASE(the_probe_finds_what_the_bucket_can_do_and_cleans_up)};
}

}  // namespace shoal::object::contract_internal
