// Right bytes or an error, never wrong ones (I3, I4), wherever a copy is damaged.
#include "data/reader.h"

#include <gtest/gtest.h>

#include "data/reader_file_test_util.h"
#include "sim/seeded_random.h"

namespace shoal::data {
namespace {

constexpr uint64_t kFrame = kFrameBytesMax;
constexpr ReadMode kModes[] = {ReadMode::kRandom, ReadMode::kStream};

// Slices of one frame and of many, lengths that are multiples of nothing, over three blocks and a
// short last one.
const std::vector<uint64_t> kLengths = {
    1,    4096, 100'000, kFrame,   kFrame + 1,  kMiB, 65'000, kMiB - 1, kMiB - 300, 3 * kFrame + 5,
    kMiB, kMiB, kMiB,    kMiB - 7, kMiB - 4097, 4097, kMiB,   kMiB,     99,         777'777};

TEST_F(ReaderTest, any_range_of_any_slice_in_either_mode_from_bucket_disk_and_memory) {
  TestFile file;
  write(file, 1, kLengths);
  ASSERT_GT(file.bytes.size(), 2 * kBlockBytes);
  sim::SeededRandom random(sim::seed_or(1));
  SCOPED_TRACE(random.seed());
  for (const ReadMode how : kModes) {
    open_cold();
    for (int i = 0; i < 150; ++i) {
      if (i % 50 == 49) open_again();
      const uint64_t offset = random.below(file.bytes.size());
      const uint64_t most = random.chance(80) ? 10'000 : 2 * kMiB;
      const uint64_t length = 1 + random.below(std::min(most, file.bytes.size() - offset));
      expect_right(file, offset, length, how);
    }
  }
  EXPECT_EQ(reader->stats().crc_errors, 0u);
  EXPECT_EQ(reader->stats().retries, 0u);
}

TEST_F(ReaderTest, a_part_of_a_slice_may_be_what_the_file_has_of_it) {
  TestFile file;
  write(file, 1, {kMiB, 5000});
  TestFile cut;
  cut.bytes = file.bytes.substr(300'001, 100'000) + file.bytes.substr(kMiB + 17, 400);
  cut.extents = {{0, 100'000, file.extents[0].target, 300'001},
                 {100'000, 400, file.extents[1].target, 17}};
  for (const ReadMode how : kModes) {
    open_cold();
    expect_right(cut, 0, cut.bytes.size(), how);
    expect_right(cut, 99'999, 3, how);
  }
}

TEST_F(ReaderTest, what_is_not_a_range_of_a_slice_it_knows_is_an_error) {
  TestFile file;
  write(file, 1, {5000, 100'000});
  std::string byte(2, '\0');
  for (format::Target target : {file.extents[0].target, file.extents[1].target}) {
    const auto code = [&](uint64_t first) {
      return reader->read(target, first, as_mutable_bytes(byte), ReadMode::kRandom).code();
    };
    EXPECT_EQ(code(target.length - 2), 0);
    EXPECT_EQ(code(target.length - 1), EIO);
    EXPECT_EQ(code(target.length + 1), EIO);
    EXPECT_EQ(code(~uint64_t{0}), EIO);
    target.flags = 1;
    EXPECT_EQ(code(0), EIO) << "compressed or encrypted";
    target.flags = 0;
    target.kind = format::Target::Kind::kImported;
    EXPECT_EQ(code(0), EIO);
    target.kind = format::Target::Kind::kSegment;
    target.crc.reset();
    target.offset += 1;
    EXPECT_EQ(code(0), EIO) << "no CRC in the extent, no such slice in the segment";
  }
}

TEST_F(ReaderTest, a_missing_segment_is_enoent_so_that_the_extents_are_fetched_again) {
  TestFile file;
  write(file, 1, {5000, 100'000});
  world->remove(segment_id(1));
  for (const ReadMode how : kModes) {
    EXPECT_EQ(read_pieces(file, 0, 10, how), failure(ENOENT));
    EXPECT_EQ(read_pieces(file, 6000, 10, how), failure(ENOENT));
  }
  heal_object(1);
  expect_right(file, 6000, 10, ReadMode::kRandom);
  // The frame table is known now; the bytes go.
  reader->forget(segment_id(1));
  world->remove(segment_id(1));
  EXPECT_EQ(read_pieces(file, 6000, 10, ReadMode::kRandom), failure(ENOENT));
}

TEST_F(ReaderTest, a_short_object_is_eio) {
  TestFile file;
  write(file, 1, {5000, 100'000});
  const std::string whole = segments.at(segment_id(1));
  for (const size_t bytes : {size_t{0}, size_t{20}, size_t{3000}, size_t{60'000}}) {
    for (const ReadMode how : kModes) {
      SCOPED_TRACE(bytes);
      open_cold();
      world->put(segment_id(1), whole.substr(0, bytes));
      if (bytes < 5000) {
        EXPECT_EQ(read_pieces(file, 0, 5000, how), failure(EIO));
      }
      EXPECT_EQ(read_pieces(file, 5000, 100'000, how), failure(EIO));
      EXPECT_EQ(read_pieces(file, 5000, 10, how), failure(EIO)) << "no footer";
      heal_object(1);
      expect_right(file, 0, 105'000, how);
    }
  }
}

TEST_F(ReaderTest, a_short_answer_of_the_store_is_asked_for_again) {
  TestFile file;
  write(file, 1, {5000, 100'000});
  for (const ReadMode how : kModes) {
    open_cold();
    world->store.on_get = first_gets(2, Fault::kShort);
    expect_right(file, 0, 5000, how);
    world->store.on_get = first_gets(2, Fault::kShort);
    expect_right(file, 5000, 100'000, how);
    open_again();
    world->store.on_get = nullptr;
    expect_right(file, 0, 105'000, how);
    EXPECT_EQ(reader->stats().retries, 0u) << "no piece was kept on disk as if it were the block";
  }
}

// Each slice, in each mode: the copy on disk is damaged while the process is away.
TEST_F(ReaderTest, a_damaged_copy_in_the_disk_cache_is_replaced_from_the_bucket) {
  TestFile file;
  write(file, 1, {5000, 300'000, kMiB, 77});
  expect_right(file, 0, file.bytes.size(), ReadMode::kStream);  // everything is on disk now
  const std::string object = segments.at(segment_id(1));
  int damaged = 0;
  for (const ReadMode how : kModes) {
    for (const format::Extent& extent : file.extents) {
      open_again();
      const uint64_t bad = extent.target.offset + extent.length / 2;
      ASSERT_EQ(world->corrupt_on_disk(std::string_view(object).substr(bad / 4096 * 4096, 512),
                                       bad % 4096),
                1);
      ++damaged;
      expect_right(file, extent.offset, extent.length, how);
      EXPECT_EQ(reader->stats().crc_errors, 1u);
      EXPECT_GE(gets(), 1u);
      expect_right(file, 0, file.bytes.size(), ReadMode::kStream);
      open_again();
      expect_right(file, 0, file.bytes.size(), how);
      EXPECT_EQ(gets(), 0u) << "the disk has a good copy again";
      EXPECT_EQ(reader->stats().crc_errors, 0u);
    }
  }
  EXPECT_EQ(damaged, 8);
}

TEST_F(ReaderTest, a_damaged_footer_in_the_disk_cache_is_replaced_from_the_bucket) {
  TestFile file;
  write(file, 1, {300'000});
  const std::string object = segments.at(segment_id(1));
  for (const uint64_t bad : {footers[1] + 3, object.size() - 30, object.size() - 1}) {
    open_cold();
    expect_right(file, 0, 300'000, ReadMode::kStream);
    open_again();
    const uint64_t unit = bad / 4096 * 4096;
    ASSERT_EQ(
        world->corrupt_on_disk(std::string_view(object).substr(unit, bad - unit + 1), bad - unit),
        1);
    expect_right(file, 0, 300'000, ReadMode::kRandom);
    EXPECT_EQ(gets(), 1u);
  }
}

TEST_F(ReaderTest, a_byte_that_the_bucket_sends_wrong_once_is_asked_for_again) {
  TestFile file;
  write(file, 1, {5000, 300'000});
  for (const ReadMode how : kModes) {
    for (int times = 1; times < kFetchTries; ++times) {
      for (const format::Extent& extent : file.extents) {
        open_cold();
        // The footer comes whole in its first answer; what follows is the slice.
        expect_right(file, 5000, 1, ReadMode::kRandom);
        reader->forget(segment_id(1));
        world->store.on_get = [&, left = times](const Get&) mutable {
          return left-- > 0 ? Fault::kCorrupt : Fault::kNone;
        };
        expect_right(file, extent.offset, extent.length, how);
        expect_right(file, 0, file.bytes.size(), how);
        world->store.on_get = nullptr;
        open_again();
        expect_right(file, 0, file.bytes.size(), how);
        EXPECT_EQ(reader->stats().crc_errors, 0u) << "no bad copy got to the disk";
      }
    }
  }
}

TEST_F(ReaderTest, what_the_bucket_has_wrong_for_ever_is_eio_after_so_many_tries_and_heals) {
  TestFile file;
  write(file, 1, {5000, 300'000, 6000});
  for (const ReadMode how : kModes) {
    for (const format::Extent& extent : file.extents) {
      open_cold();
      corrupt_object(1, extent.target.offset + extent.length / 2);
      for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(read_pieces(file, extent.offset, extent.length, how), failure(EIO));
      }
      EXPECT_EQ(reader->stats().crc_errors, 3u * kFetchTries);
      EXPECT_LE(gets(), 3u * kFetchTries + 1) << "and the footer";
      for (const format::Extent& other : file.extents) {
        if (other.offset != extent.offset) expect_right(file, other.offset, other.length, how);
      }
      heal_object(1);
      expect_right(file, 0, file.bytes.size(), how);
    }
  }
}

TEST_F(ReaderTest, a_footer_that_is_none_is_eio_and_heals) {
  TestFile file;
  write(file, 1, {5000, 300'000});
  const uint64_t size = segments.at(segment_id(1)).size();
  for (const uint64_t bad : {footers[1] + 3, size - 30, size - 20, size - 1}) {
    SCOPED_TRACE(bad);
    open_cold();
    corrupt_object(1, bad);
    EXPECT_EQ(read_pieces(file, 5000, 10, ReadMode::kRandom), failure(EIO));
    expect_right(file, 0, 5000, ReadMode::kRandom);  // needs no footer
    heal_object(1);
    expect_right(file, 5000, 300'000, ReadMode::kRandom);
  }
}

TEST_F(ReaderTest, a_footer_costs_a_head_and_one_request) {
  TestFile file;
  write(file, 1, std::vector<uint64_t>(38, kMiB));
  expect_right(file, 100, 10, ReadMode::kRandom);
  const std::vector<Get> gets = world->store.take_gets();
  ASSERT_EQ(gets.size(), 2u);  // the frame, the footer
  EXPECT_LT(gets[0].bytes + gets[1].bytes, 256 * kKiB);
  expect_right(file, 30 * kMiB, 10, ReadMode::kRandom);
  EXPECT_EQ(this->gets(), 1u);
  EXPECT_EQ(world->store.counts().head, 1u);
}

TEST_F(ReaderTest, a_footer_longer_than_what_is_read_first) {
  TestFile file;
  std::vector<uint64_t> lengths(12'000, 100);
  lengths.push_back(kMiB);
  write(file, 1, lengths);
  ASSERT_GT(segments.at(segment_id(1)).size() - footers[1], 128 * kKiB);
  expect_right(file, file.bytes.size() - kMiB, kMiB, ReadMode::kRandom);
  expect_right(file, 0, 5000, ReadMode::kRandom);
}

TEST_F(ReaderTest, forget_leaves_nothing) {
  TestFile file;
  write(file, 1, {5000, 300'000});
  expect_right(file, 0, file.bytes.size(), ReadMode::kStream);
  reader->forget(segment_id(1));
  EXPECT_FALSE(world->cached(segment_id(1), 0));
  world->remove(segment_id(1));
  for (const ReadMode how : kModes) {
    EXPECT_EQ(read_pieces(file, 0, 100, how), failure(ENOENT));
    EXPECT_EQ(read_pieces(file, 5000, 100, how), failure(ENOENT));
  }
}

// The cache's disk rots all the time, the bucket lies now and then: never wrong bytes, and an error
// only if the bucket lied.
TEST_F(ReaderTest, rot_everywhere_never_shows) {
  sim::SeededRandom random(sim::seed_or(3));
  SCOPED_TRACE(random.seed());
  options.memory_bytes = kBlockBytes;
  open_cold();
  TestFile file;
  write(file, 1, kLengths);
  write(file, 2, kLengths);
  uint64_t errors = 0, crc_errors = 0, from_disk = 0;
  for (int round = 0; round < 40; ++round) {
    const bool lies = round % 2 == 1;
    world->store.on_get = [&](const Get&) {
      if (!lies || !random.chance(30)) return Fault::kNone;
      return random.chance(50) ? Fault::kCorrupt : Fault::kShort;
    };
    auto slab = world->disk.open("c/slab", OpenMode::kReadWrite).value();
    const uint64_t size = slab->size().value();
    for (int i = 0; i < 300 && size > 0; ++i) {
      std::byte byte{};
      const uint64_t at = random.below(size);
      slab->read_at(at, {&byte, 1}).value();
      byte ^= std::byte{4};
      slab->write_at(at, {&byte, 1}).value();
    }
    for (int i = 0; i < 20; ++i) {
      const uint64_t offset = random.below(file.bytes.size());
      const uint64_t length =
          1 + random.below(std::min<uint64_t>(600'000, file.bytes.size() - offset));
      const std::string got =
          read_pieces(file, offset, length, kModes[random.below(std::size(kModes))]);
      const bool failed = got == failure(EIO);
      errors += failed ? 1 : 0;
      ASSERT_TRUE(failed ? lies : got == file.bytes.substr(offset, length))
          << offset << "+" << length << " in round " << round;
    }
    crc_errors += reader->stats().crc_errors;
    from_disk += reader->stats().disk_bytes;
    open_again();
  }
  EXPECT_GT(crc_errors, 50u) << "something was at stake";
  EXPECT_GT(from_disk, 10 * kMiB);
  EXPECT_LT(errors, 100u);
}

}  // namespace
}  // namespace shoal::data
