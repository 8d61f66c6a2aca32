#include "client/overlay.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace shoal::client {
namespace {

std::vector<Overlay::Piece> all(const Overlay& overlay, uint64_t offset = 0,
                                uint64_t end = Overlay::kNoEnd) {
  std::vector<Overlay::Piece> pieces;
  overlay.visit(offset, end, [&](const Overlay::Piece& piece) { pieces.push_back(piece); });
  return pieces;
}

TEST(Overlay, the_newest_operation_decides_and_the_old_one_keeps_its_edges) {
  Overlay overlay;
  overlay.lay_data(1, 0, 100);
  overlay.lay_data(2, 40, 20);
  const std::vector<Overlay::Piece> expected = {
      {0, 40, 1, false}, {40, 20, 2, false}, {60, 40, 1, false}};
  EXPECT_EQ(all(overlay), expected);
  EXPECT_EQ(overlay.data_bytes(), 100u);
}

TEST(Overlay, a_merged_stream_is_one_piece) {
  Overlay overlay;
  for (uint64_t i = 0; i < 100; ++i) overlay.lay_data(1, i * 10, 10);
  EXPECT_EQ(overlay.pieces(), 1u);
  EXPECT_EQ(overlay.data_bytes(), 1000u);
}

TEST(Overlay, cutting_at_a_size_hides_everything_behind_it) {
  Overlay overlay;
  overlay.lay_data(1, 0, 100);
  overlay.lay_hole(2, 30, Overlay::kNoEnd);
  overlay.lay_data(3, 200, 10);
  const std::vector<Overlay::Piece> expected = {{0, 30, 1, false},
                                                {30, 170, 2, true},
                                                {200, 10, 3, false},
                                                {210, Overlay::kNoEnd - 210, 2, true}};
  EXPECT_EQ(all(overlay), expected);
  EXPECT_EQ(overlay.data_bytes(), 40u);
}

TEST(Overlay, forgetting_an_operation_leaves_the_newer_ones) {
  Overlay overlay;
  overlay.lay_data(1, 0, 100);
  overlay.lay_data(2, 40, 20);
  overlay.forget(1, 0, 100);
  const std::vector<Overlay::Piece> expected = {{40, 20, 2, false}};
  EXPECT_EQ(all(overlay), expected);
  overlay.forget(2, 40, 60);
  EXPECT_TRUE(overlay.empty());
  EXPECT_EQ(overlay.data_bytes(), 0u);
}

TEST(Overlay, finds_the_piece_at_or_behind_a_position) {
  Overlay overlay;
  overlay.lay_data(1, 10, 10);
  EXPECT_EQ(overlay.at_or_after(0)->offset, 10u);
  EXPECT_EQ(overlay.at_or_after(19)->offset, 10u);
  EXPECT_FALSE(overlay.at_or_after(20).has_value());
}

struct Byte {
  uint64_t operation = 0;  // 0: the owner's
  bool hole = false;
};

// Against one entry per byte: random data, holes and cuts, with prefixes of the operations
// forgotten as commits do.
TEST(Overlay, agrees_with_a_byte_array_under_random_operations) {
  constexpr uint64_t kBytes = 256;
  for (unsigned seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    auto below = [&](uint64_t n) { return random() % n; };
    Overlay overlay;
    std::vector<Byte> model(kBytes);
    struct Laid {
      uint64_t operation, offset, end;
    };
    std::vector<Laid> list;
    uint64_t next = 1;
    for (int step = 0; step < 300; ++step) {
      if (below(5) == 0 && !list.empty()) {
        const uint64_t count = 1 + below(list.size());
        for (uint64_t i = 0; i < count; ++i) {
          overlay.forget(list[i].operation, list[i].offset, list[i].end);
          for (Byte& byte : model) {
            if (byte.operation == list[i].operation) byte = {};
          }
        }
        list.erase(list.begin(), list.begin() + static_cast<long>(count));
        continue;
      }
      const uint64_t offset = below(kBytes), operation = next++;
      const uint64_t kind = below(4);
      const uint64_t end = kind == 0 ? kBytes : offset + 1 + below(kBytes - offset);
      const bool hole = kind <= 1;
      if (kind == 0) {
        overlay.lay_hole(operation, offset, Overlay::kNoEnd);
      } else if (hole) {
        overlay.lay_hole(operation, offset, end);
      } else {
        overlay.lay_data(operation, offset, end - offset);
      }
      for (uint64_t i = offset; i < end; ++i) model[i] = {operation, hole};
      list.push_back({operation, offset, kind == 0 ? Overlay::kNoEnd : end});

      const uint64_t from = below(kBytes), to = from + below(kBytes - from + 1);
      std::vector<Byte> seen(kBytes);
      uint64_t behind = from;
      overlay.visit(from, to, [&](const Overlay::Piece& piece) {
        ASSERT_GE(piece.offset, behind);
        ASSERT_LE(piece.end(), to);
        behind = piece.end();
        for (uint64_t i = piece.offset; i < piece.end(); ++i)
          seen[i] = {piece.operation, piece.hole};
      });
      uint64_t data = 0;
      for (uint64_t i = 0; i < kBytes; ++i) {
        data += model[i].operation != 0 && !model[i].hole;
        if (i < from || i >= to) continue;
        ASSERT_EQ(seen[i].operation, model[i].operation) << "byte " << i;
        ASSERT_EQ(seen[i].hole, model[i].hole) << "byte " << i;
      }
      ASSERT_EQ(overlay.data_bytes(), data);
    }
  }
}

}  // namespace
}  // namespace shoal::client
