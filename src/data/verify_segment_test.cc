#include "data/verify_segment.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "format/segment.h"
#include "object/memory/memory_store.h"

namespace shoal::data {
namespace {

constexpr SegmentId kSegment{7, 1};
constexpr size_t kLarge = 200'000;  // many frames
constexpr size_t kSmall = 5'000;    // one

struct StoredSegment : ::testing::Test {
  StoredSegment() {
    bytes = format::encode_segment_header({volume, 0, {}, kSegment, false, 0});
    add(kLarge);
    add(kSmall);
    footer_begin = bytes.size();
    bytes += format::encode_footer(footer, bytes.size(), kSegment);
  }

  void add(size_t length) {
    std::string slice(length, '\0');
    for (size_t i = 0; i < length; ++i) slice[i] = static_cast<char>(i * 7 + i / 256);
    format::RecordHeader header;
    header.ino = 2;
    header.length = header.payload_length = static_cast<uint32_t>(length);
    header.frame_bytes = format::frame_bytes_for(length);
    header.payload_crc = crc32c(as_bytes(slice));
    footer.records.push_back(
        {bytes.size(), header, static_cast<uint32_t>(footer.frame_crcs.size())});
    for (const uint32_t crc : format::frame_crcs(as_bytes(slice))) footer.frame_crcs.push_back(crc);
    bytes += format::encode_record_header(header, kSegment);
    slices.push_back(bytes.size());
    bytes += slice;
  }

  std::vector<std::pair<uint64_t, uint64_t>> damaged() {
    ThreadPool pool("store", 1);
    const auto store = object::make_memory_store(pool);
    object::put_and_wait(*store, format::segment_object_key(volume, kSegment), as_bytes(bytes))
        .value();
    std::vector<std::pair<uint64_t, uint64_t>> found;
    for (const ByteRange& range : damaged_ranges(*store, volume, kSegment, bytes.size()).value()) {
      found.emplace_back(range.begin, range.end);
    }
    return found;
  }

  const Uuid volume;
  std::string bytes;
  format::Footer footer;
  std::vector<size_t> slices;
  size_t footer_begin = 0;
};

using Ranges = std::vector<std::pair<uint64_t, uint64_t>>;

TEST_F(StoredSegment, is_whole_as_it_was_written) { EXPECT_EQ(damaged(), Ranges{}); }

TEST_F(StoredSegment, damage_is_told_by_the_frame_and_neighbours_as_one) {
  const uint64_t frame = format::frame_bytes_for(kLarge);
  bytes[slices[0] + 2 * frame] ^= 1;
  bytes[slices[0] + 3 * frame + 9] ^= 1;
  bytes[slices[0] + kLarge - 1] ^= 1;
  bytes[slices[1] + 4'999] ^= 1;
  const uint64_t last = kLarge / frame * frame;
  EXPECT_EQ(damaged(), (Ranges{{slices[0] + 2 * frame, slices[0] + 4 * frame},
                               {slices[0] + last, slices[0] + kLarge},
                               {slices[1], slices[1] + kSmall}}));
}

TEST_F(StoredSegment, without_a_footer_nothing_can_be_verified) {
  bytes[footer_begin + 3] ^= 1;
  EXPECT_EQ(damaged(), (Ranges{{0, bytes.size()}}));
  bytes.resize(20);
  EXPECT_EQ(damaged(), (Ranges{{0, 20}}));
}

}  // namespace
}  // namespace shoal::data
