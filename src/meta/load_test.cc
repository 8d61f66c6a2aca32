// Putting a dump into an engine: what comes back, what an interruption leaves, what is refused.
#include "meta/load.h"

#include "engine/faulty/faulty_engine.h"
#include "meta/dump_test_util.h"

namespace shoal::meta {
namespace {

using engine::Call;
using engine::Fault;

// Another engine's face: without bulk ingest, or one that loses a write.
class OtherEngine final : public engine::KvEngine {
 public:
  std::unique_ptr<engine::ReadToken> read_token() override { return under->read_token(); }
  Result<std::optional<engine::Versioned>> get(const engine::ReadToken* token,
                                               std::string_view key) override {
    return under->get(token, key);
  }
  Result<std::vector<std::optional<engine::Versioned>>> get_many(
      const engine::ReadToken* token, const std::vector<std::string>& keys) override {
    return under->get_many(token, keys);
  }
  Result<engine::Page> scan(const engine::ReadToken* token, std::string_view begin,
                            std::string_view end, size_t limit) override {
    return under->scan(token, begin, end, limit);
  }
  Result<std::optional<engine::Item>> last(const engine::ReadToken* token, std::string_view begin,
                                           std::string_view end) override {
    return under->last(token, begin, end);
  }
  Result<engine::CommitResult> commit(const engine::Batch& batch) override {
    engine::Batch kept(batch.stamp());
    for (const engine::Write& write : batch.writes()) {
      if (write.key != lost) kept.add(write);
    }
    return under->commit(kept);
  }
  Status sync() override { return under->sync(); }
  Status ingest(const std::vector<engine::Item>& items) override {
    return bulk ? under->ingest(items) : Status(Error(ENOTSUP));
  }
  engine::Capabilities capabilities() const override { return {.bulk_ingest = bulk}; }
  std::string describe() const override { return "other"; }
  Result<uint64_t> disk_bytes() override { return under->disk_bytes(); }

  std::unique_ptr<engine::KvEngine> under = engine::make_memory_engine();
  bool bulk = false;
  std::string lost;
};

class LoadTest : public testing::TestWithParam<bool> {  // with bulk ingest
 protected:
  LoadTest() : v(spec_with_trash()) {
    fill(v);
    fence(v.engine(), v);
    stream = dumped(v.engine(), v, &report).value();
    target.bulk = GetParam();
  }
  void expect_all_there() {
    EXPECT_EQ(travelling(target), travelling(v.engine()));
    expect_clean(target);
    const format::Volume volume = read_volume(target).value();
    EXPECT_EQ(volume.uuid, report.header.volume.uuid);
    EXPECT_EQ(volume.epoch, report.header.volume.epoch + 1);
    EXPECT_EQ(volume.lineage_before, report.header.volume.lineage);
    EXPECT_NE(volume.lineage, report.header.volume.lineage);
    EXPECT_EQ(volume.opens, report.header.volume.opens);
  }

  TestVolume v;
  DumpReport report;
  std::string stream;
  OtherEngine target;
};

TEST_P(LoadTest, a_volume_comes_back_as_it_was_with_a_new_lineage) {
  const LoadReport done = loaded(target, stream, v.random).value();
  EXPECT_EQ(done.chunks_before, 0u);
  expect_all_there();
  sim::ManualExecutor executor(v.clock);
  const auto owner = open_owner(target, v.clock, v.random, executor).value();
  EXPECT_EQ(owner->marker().epoch, report.header.volume.epoch + 2);
  Request request;
  request.caller.kernel_checked = true;
  const Attr folder = owner->metadata().lookup(request, kRootIno, "folder").value();
  EXPECT_EQ(owner->metadata().lookup(request, folder.ino, "linked")->nlink, 2u);
  EXPECT_EQ(owner->maintenance().trash_list(10)->size(), 1u);
  EXPECT_EQ(owner->maintenance().reclaim(10).value(), 1u) << "what was open and unlinked";
  expect_clean(target);
}

TEST_P(LoadTest, an_interrupted_load_is_no_volume_and_goes_on_where_it_was) {
  uint64_t went_on = 0;
  const uint64_t seed = 4711;
  sim::SeededRandom random(seed);
  for (int round = 0; round < 40; ++round) {
    target.under = engine::make_memory_engine();
    const std::string_view half = std::string_view(stream).substr(0, random.below(stream.size()));
    if (loaded(target, half, v.random).code() == EBADMSG &&
        !target.scan(nullptr, "", "", 1)->items.empty()) {
      const auto volume = read_volume(target);
      EXPECT_EQ(volume.code(), EINPROGRESS);
      EXPECT_NE(volume.error().text().find("run shoal load with that dump again"),
                std::string::npos);
      EXPECT_EQ(format_volume(target, spec_with_trash(), v.clock, v.random).code(), EINPROGRESS);
    }
    const LoadReport done = loaded(target, stream, v.random).value();
    went_on += done.chunks_before > 0 ? 1 : 0;
    expect_all_there();
    ASSERT_FALSE(HasFailure()) << "seed " << seed << " round " << round;
  }
  EXPECT_GT(went_on, 10u);
}

TEST_P(LoadTest, each_call_may_fail_or_lose_its_reply_and_nothing_is_counted_twice) {
  for (const Fault fault :
       {Fault::kError, Fault::kConflict, Fault::kUnknownApplied, Fault::kUnknownDropped}) {
    for (uint64_t failing = 0;; ++failing) {
      target.under = engine::make_memory_engine();
      uint64_t calls = 0;
      const auto faulty = engine::make_faulty_engine(target, [&](Call call, uint64_t n) {
        calls = n + 1;
        const bool possible = fault == Fault::kError || call == Call::kCommit;
        return n == failing && possible ? fault : Fault::kNone;
      });
      if (const auto first = loaded(*faulty, stream, v.random); !first.ok()) {
        ASSERT_EQ(fault, Fault::kError)
            << "a lost reply is nobody's business: " << first.error().text();
        const auto again = loaded(target, stream, v.random);
        // All was done but the last sync, or its reply was lost.
        ASSERT_TRUE(again.ok() || again.error().is(EEXIST)) << again.code();
      }
      expect_all_there();
      ASSERT_FALSE(HasFailure()) << "call " << failing;
      if (failing >= calls) break;
    }
  }
}

TEST_P(LoadTest, an_engine_that_lost_a_key_does_not_become_a_volume) {
  target.lost = format::usage_key(0, 1);
  const auto done = loaded(target, stream, v.random);
  ASSERT_EQ(done.code(), EIO);
  EXPECT_NE(done.error().text().find("does not hold what was loaded"), std::string::npos);
  EXPECT_EQ(read_volume(target).code(), EINPROGRESS);
}

TEST_P(LoadTest, only_an_empty_place_takes_a_load) {
  const std::string other = dumped(v.engine(), v).value();
  ASSERT_EQ(loaded(target, stream.substr(0, stream.size() / 2), v.random).code(), EBADMSG);
  EXPECT_EQ(loaded(target, other, v.random).code(), EEXIST) << "another dump's load";
  loaded(target, stream, v.random).value();
  EXPECT_EQ(loaded(target, stream, v.random).code(), EEXIST) << "a volume";
  EXPECT_EQ(loaded(v.engine(), stream, v.random).code(), EEXIST) << "the volume itself";
  OtherEngine strange;
  engine::Batch batch(1);
  batch.insert("I", "x");
  strange.commit(batch).value();
  EXPECT_EQ(loaded(strange, stream, v.random).code(), EEXIST) << "something";
}

TEST_P(LoadTest, a_loaded_volume_can_be_dumped_again) {
  loaded(target, stream, v.random).value();
  fence(target, v);
  DumpReport second;
  const std::string again = dumped(target, v, &second).value();
  EXPECT_EQ(second.header.volume.lineage_before, report.header.volume.lineage);
  OtherEngine back;
  loaded(back, again, v.random).value();
  EXPECT_EQ(travelling(back), travelling(target));
  EXPECT_EQ(read_volume(back)->lineage_before, second.header.volume.lineage);
}

std::string engine_name(const testing::TestParamInfo<bool>& tested) {
  return tested.param ? "bulk" : "batches";
}
INSTANTIATE_TEST_SUITE_P(Engines, LoadTest, testing::Bool(), engine_name);

}  // namespace
}  // namespace shoal::meta
