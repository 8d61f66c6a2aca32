// Read-ahead by file offset: which blocks a stream fetches, and which reads are no stream.
#include <gtest/gtest.h>

#include "data/reader_file_test_util.h"

namespace shoal::data {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kRequest = 128 << 10;

class StreamTest : public ReaderTest {
 protected:
  // What was fetched whole, and how often.
  std::map<std::pair<SegmentId, uint64_t>, int> whole_blocks() {
    std::map<std::pair<SegmentId, uint64_t>, int> blocks;
    for (const Get& get : world->store.gets()) {
      if (get.whole_block()) ++blocks[{get.segment, get.block()}];
    }
    return blocks;
  }
  void expect_each_once(size_t blocks) {
    const auto fetched = whole_blocks();
    EXPECT_EQ(fetched.size(), blocks);
    for (const auto& [block, times] : fetched) EXPECT_EQ(times, 1) << "block " << block.second;
  }
  void stream(const TestFile& file, uint64_t from, uint64_t to, uint64_t request = kRequest) {
    for (uint64_t offset = from; offset < to; offset += request) {
      expect_stream_right(file, offset, std::min(request, file.bytes.size() - offset));
    }
  }
  // Pieces of 4 KiB, in turns from so many segments.
  TestFile scattered(uint64_t segments_number, uint64_t pieces, uint64_t first_number = 100) {
    TestFile file;
    std::vector<SegmentBuilder> builders;
    for (uint64_t i = 0; i < segments_number; ++i) {
      builders.emplace_back(segment_id(first_number + i));
    }
    for (uint64_t i = 0; i < pieces; ++i) {
      const std::string slice = data::pattern(first_number * 100'000 + i, 4096);
      file.add(builders[i % segments_number].add(slice), slice);
    }
    for (uint64_t i = 0; i < segments_number; ++i) store(first_number + i, builders[i].finish());
    return file;
  }
};

TEST_F(StreamTest, fetches_each_block_once_and_all_before_they_are_read) {
  TestFile file;
  write(file, 1, std::vector<uint64_t>(39, kMiB));
  stream(file, 0, file.bytes.size());
  expect_each_once(10);
  EXPECT_EQ(reader->stats().store_gets, 10u + 2) << "the first read, the footer";
  for (const Get& get : world->store.gets()) {
    // Only what is needed very soon stands with the readers.
    if (get.whole_block() && get.block() > 3) {
      EXPECT_EQ(get.priority, object::Priority::kPrefetch) << get.block();
    }
  }
  open_again();
  stream(file, 0, file.bytes.size());
  EXPECT_EQ(gets(), 0u) << "the disk cache has it all";
}

TEST_F(StreamTest, goes_on_over_segments_and_extents_of_any_length) {
  TestFile file;
  write(file, 1, {kMiB, 100, kMiB, 70'000});
  write(file, 2, {5000});
  write(file, 3, std::vector<uint64_t>(9, kMiB - 13));
  stream(file, 0, file.bytes.size(), 100'000);
  expect_each_once(1 + 1 + 3);
}

TEST_F(StreamTest, the_window_ends_at_its_limit) {
  options.read_ahead_bytes_max = 4 * kMiB;
  open_cold();
  TestFile file;
  write(file, 1, std::vector<uint64_t>(30, kMiB));
  for (uint64_t offset = 0; offset < 16 * kMiB; offset += kRequest) {
    expect_stream_right(file, offset, kRequest);
    for (const auto& [block, times] : whole_blocks()) {
      ASSERT_LT(block.second * kBlockBytes, offset + kRequest + 4 * kMiB + 20'000);
    }
  }
  EXPECT_GE(whole_blocks().size(), 5u);
}

TEST_F(StreamTest, no_more_than_the_limit_over_all_streams_lies_unread) {
  options.ahead_bytes_max = 3 * kBlockBytes;
  open_cold();
  TestFile one, two;
  write(one, 1, std::vector<uint64_t>(30, kMiB));
  write(two, 2, std::vector<uint64_t>(30, kMiB));
  const std::shared_ptr<ReadPattern> patterns[] = {reader->make_pattern(), reader->make_pattern()};
  for (uint64_t offset = 0; offset < 24 * kMiB; offset += kRequest) {
    size_t touched = 0;
    for (int i = 0; i < 2; ++i) {
      pattern = patterns[i];
      expect_stream_right(i == 0 ? one : two, offset, kRequest);
      touched += (offset + kRequest + 10'000) / kBlockBytes + 1;
    }
    ASSERT_LE(whole_blocks().size(), touched + 3) << "at " << offset;
  }
  for (const auto& [block, times] : whole_blocks()) EXPECT_EQ(times, 1);
}

// In the disk cache nothing pushes out what an abandoned stream left in memory.
TEST_F(StreamTest, an_abandoned_one_does_not_keep_others_from_reading_ahead) {
  options.ahead_bytes_max = 2 * kBlockBytes;
  open_cold();
  TestFile left, goes_on;
  write(left, 1, std::vector<uint64_t>(30, kMiB));
  write(goes_on, 2, std::vector<uint64_t>(30, kMiB));
  const std::shared_ptr<ReadPattern> other = std::exchange(pattern, reader->make_pattern());
  stream(goes_on, 0, 30 * kMiB);
  open_again();
  stream(left, 0, 3 * kMiB);
  pattern = reader->make_pattern();
  stream(goes_on, 0, 2 * kMiB, kMiB);
  gets();
  const uint64_t before = reader->stats().memory_bytes;
  world->clock.advance(10s);
  stream(goes_on, 2 * kMiB, 30 * kMiB, kMiB);
  EXPECT_GE(reader->stats().memory_bytes - before, 20 * kMiB) << "read ahead into memory again";
  EXPECT_EQ(gets(), 0u);
}

TEST_F(StreamTest, a_read_here_and_there_is_none) {
  TestFile file;
  write(file, 1, std::vector<uint64_t>(30, kMiB));
  for (const uint64_t offset : {20 * kMiB, kMiB, 11 * kMiB, 25 * kMiB}) {
    expect_stream_right(file, offset, 4096);
    EXPECT_EQ(mode, ReadMode::kRandom);
  }
  EXPECT_EQ(whole_blocks().size(), 0u);
}

TEST_F(StreamTest, a_new_one_begins_where_the_program_goes_on) {
  TestFile file;
  write(file, 1, std::vector<uint64_t>(39, kMiB));
  stream(file, 32 * kMiB, 33 * kMiB);
  stream(file, 0, kMiB);
  EXPECT_EQ(mode, ReadMode::kStream);
  stream(file, kMiB, 30 * kMiB);
  expect_each_once(10);
}

TEST_F(StreamTest, a_file_scattered_over_many_blocks_is_not_read_ahead) {
  open_cold(0);
  const TestFile file = scattered(20, 400);
  for (uint64_t offset = 0; offset < file.bytes.size(); offset += kRequest) {
    expect_stream_right(file, offset, std::min(kRequest, file.bytes.size() - offset));
    EXPECT_EQ(mode, ReadMode::kRandom) << offset;
  }
  // A block that two reads met is fetched, but not again and again when memory cannot hold them.
  for (const auto& [block, times] : whole_blocks()) EXPECT_EQ(times, 1);
  EXPECT_LE(whole_blocks().size(), 20u);
}

TEST_F(StreamTest, memory_that_is_too_small_does_not_fetch_blocks_again_and_again) {
  options.memory_bytes = 4 * kBlockBytes;
  open_cold(0);
  const TestFile file = scattered(20, 400);
  for (int round = 0; round < 3; ++round) {
    for (uint64_t offset = 0; offset < file.bytes.size(); offset += 4096) {
      expect_right(file, offset, 4096, ReadMode::kRandom);
    }
  }
  for (const auto& [block, times] : whole_blocks()) EXPECT_EQ(times, 1);
}

TEST_F(StreamTest, a_file_scattered_over_few_blocks_fetches_each_once) {
  open_cold(0);
  const TestFile file = scattered(12, 800);
  stream(file, 0, file.bytes.size());
  EXPECT_EQ(mode, ReadMode::kStream);
  expect_each_once(12);
}

TEST_F(StreamTest, holes_and_imported_extents_are_passed_over) {
  TestFile file;
  write(file, 1, {kMiB, kMiB});
  file.extents[1].offset += 2 * kMiB;  // a hole of 2 MiB
  format::Extent imported = file.extents[1];
  imported.offset += kMiB;
  imported.target.kind = format::Target::Kind::kImported;
  file.extents.push_back(imported);
  format::Extent behind = file.extents[0];
  behind.offset = imported.end();
  file.extents.push_back(behind);
  EXPECT_EQ(reader->begin(*pattern, 0, 4096, file.extents), ReadMode::kRandom);
  EXPECT_EQ(reader->begin(*pattern, 4096, 4 * kMiB, file.extents), ReadMode::kStream);
  expect_each_once(1);
  EXPECT_EQ(reader->begin(*pattern, 5 * kMiB, 4096, {}), ReadMode::kStream) << "nothing known";
}

TEST_F(StreamTest, a_failing_bucket_fails_the_read_and_not_the_stream) {
  TestFile file;
  write(file, 1, std::vector<uint64_t>(20, kMiB));
  stream(file, 0, kMiB);
  world->store.on_get = [](const Get&) { return Fault::kErrorBefore; };
  for (uint64_t offset = kMiB; offset < 12 * kMiB; offset += kMiB) {
    const std::string got = read_file(file, offset, kMiB);
    EXPECT_TRUE(got == failure(EIO) || got == file.bytes.substr(offset, kMiB)) << offset;
  }
  EXPECT_EQ(read_file(file, 12 * kMiB, kMiB), failure(EIO));
  world->store.on_get = nullptr;
  stream(file, 12 * kMiB, file.bytes.size());
  stream(file, 0, file.bytes.size());
}

// What is staged is read from its journal, verified like everything else.
class StagedTest : public ReaderTest {
 protected:
  StagedTest() {
    machine.boot();
    FakeState state;
    for (Ino ino = 2; ino < 10; ++ino) state.inodes[ino];
    machine.engine.commit(state);
    machine.engine.sync();
    staging = machine.open(small_segments()).value();
    staging->replay(*machine.owner, 1).value();
    close();
    reader =
        Reader::make({world->store, *world->cache, world->executor, world->clock, world->volume},
                     staging.get(), {});
    pattern = reader->make_pattern();
  }
  ~StagedTest() override {
    close();
    staging.reset();
  }

  Machine machine{7};
  std::unique_ptr<Staging> staging;
};

TEST_F(StagedTest, reads_come_from_the_journal_and_ask_the_bucket_nothing) {
  TestFile file;
  for (const uint64_t length : {uint64_t{4096}, uint64_t{300'000}, uint64_t{3}}) {
    const std::string bytes = data::pattern(length, length);
    const Journaled journaled =
        append_bytes(*staging, data_operation(2, file.bytes.size(), length), bytes).value();
    file.add(*journaled.record.target, bytes);
  }
  for (uint64_t offset = 0; offset < file.bytes.size(); offset += 10'000) {
    expect_stream_right(file, offset, std::min<uint64_t>(10'000, file.bytes.size() - offset));
  }
  EXPECT_EQ(mode, ReadMode::kStream);
  EXPECT_EQ(gets(), 0u);
  EXPECT_EQ(world->store.counts().head, 0u);
  EXPECT_GT(reader->stats().staged_bytes, file.bytes.size());
}

TEST_F(StagedTest, a_damaged_journal_is_eio) {
  for (const uint64_t length : {uint64_t{4096}, uint64_t{100'000}}) {
    const std::string bytes = data::pattern(length, length);
    const Journaled journaled = append_bytes(*staging, data_operation(2, 0, length), bytes).value();
    TestFile file;
    file.add(*journaled.record.target, bytes);
    const Path journals = join(staging->folder(), "journals");
    int damaged = 0;
    for (const std::string& name : machine.disk.list(journals).value()) {
      auto journal = machine.disk.open(join(journals, name), OpenMode::kReadWrite).value();
      std::string text(journal->size().value(), 0);
      journal->read_at(0, as_mutable_bytes(text)).value();
      const size_t at = text.find(bytes.substr(2000, 64));
      if (at == std::string::npos) continue;
      const auto flipped = static_cast<std::byte>(text[at] ^ 1);
      journal->write_at(at, {&flipped, 1}).value();
      ++damaged;
    }
    ASSERT_EQ(damaged, 1);
    EXPECT_EQ(read_pieces(file, 0, length, ReadMode::kRandom), failure(EIO));
    EXPECT_EQ(read_pieces(file, 2000, 1, ReadMode::kStream), failure(EIO));
  }
}

}  // namespace
}  // namespace shoal::data
