#include "cache/index_log.h"

#include <gtest/gtest.h>

#include "cache/cache_test_util.h"
#include "sim/seeded_random.h"

namespace shoal::cache {
namespace {

std::string hex(std::string_view bytes) { return to_hex(as_bytes(bytes)); }

TEST(IndexFormat, golden_bytes) {
  EXPECT_EQ(hex(encode_index_header()),
            "73686f616c69647801000000000040000010000000000000000000000000000000"
            "000000000000000000000000000000000000000000000000000000052dbeab");
  SlotTable::Entry entry;
  entry.key = {0x1122334455667788, 0x99aabbccddeeff00};
  entry.slot = 0x01020304;
  entry.chunk_bytes = 4'000'000;
  UnitSet set;
  set.add({250, 300});
  std::string out;
  encode_units(entry, set, {0, kUnitsPerSlot}, out);
  EXPECT_EQ(hex(out),
            "010000000403020100093d00887766554433221100ffeeddccbbaa99"
            "00000000000000000000000000000000000000000000000000000000000000fc"
            "2837b668"
            "010100000403020100093d00887766554433221100ffeeddccbbaa99"
            "ffffffffff0f0000000000000000000000000000000000000000000000000000"
            "9328d4a6");
  out.clear();
  encode_drop(entry, out);
  EXPECT_EQ(hex(out),
            "020000000403020100093d00887766554433221100ffeeddccbbaa99"
            "0000000000000000000000000000000000000000000000000000000000000000"
            "607b5748");
}

TEST(IndexFormat, what_is_encoded_decodes_and_any_flipped_bit_does_not) {
  SlotTable::Entry entry;
  entry.key = chunk_key(5);
  entry.slot = 77;
  entry.chunk_bytes = kBlockBytes;
  UnitSet set;
  set.add({0, kUnitsPerSlot});
  std::string out;
  encode_units(entry, set, {300, 700}, out);
  ASSERT_EQ(out.size(), 2 * kIndexRecordBytes) << "parts 1 and 2 only";
  IndexRecord record;
  ASSERT_TRUE(decode_index_record(out.substr(64), &record));
  EXPECT_EQ(record.part, 2);
  EXPECT_EQ(record.slot, 77u);
  EXPECT_EQ(record.key, entry.key);
  EXPECT_EQ(record.units[2], (uint64_t{1} << (700 - 640)) - 1);
  for (size_t bit = 0; bit < 64 * 8; ++bit) {
    std::string broken = out.substr(0, 64);
    broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(decode_index_record(broken, &record)) << bit;
  }
}

TEST(IndexFormat, a_valid_crc_over_nonsense_is_refused) {
  IndexRecord record, decoded;
  record.chunk_bytes = 5000;  // two units
  record.units[0] = 3;
  const auto refused = [&](const IndexRecord& r) {
    std::string out;
    encode_index_record(r, out);
    return !decode_index_record(out, &decoded);
  };
  EXPECT_FALSE(refused(record));
  record.units[0] = 4;
  EXPECT_TRUE(refused(record)) << "a unit behind the end";
  record.units[0] = 3;
  record.part = 1;
  EXPECT_TRUE(refused(record));
  record.part = 4;
  record.units[0] = 0;
  EXPECT_TRUE(refused(record));
  record.part = 0;
  record.chunk_bytes = 0;
  EXPECT_TRUE(refused(record));
  record.chunk_bytes = kBlockBytes + 1;
  EXPECT_TRUE(refused(record));
  record.chunk_bytes = 1;
  record.kind = static_cast<IndexRecord::Kind>(3);
  EXPECT_TRUE(refused(record));
}

TEST(IndexLog, what_is_appended_while_it_is_rewritten_is_in_the_new_file) {
  sim::SimFs fs;
  IndexLog log(fs, ".");
  log.begin_anew().value();
  std::string record;
  SlotTable::Entry entry;
  entry.chunk_bytes = 1;
  const auto drop_of = [&](uint32_t slot) {
    std::string out;
    entry.slot = slot;
    encode_drop(entry, out);
    return out;
  };
  log.write(log.take_place(drop_of(1))).value();
  const auto late = log.take_place(drop_of(2));
  const bool done = log.compact([&](std::string& out) {
                         out += drop_of(10);
                         log.write(log.take_place(drop_of(11))).value();
                         EXPECT_FALSE(log.compact([](std::string&) {}).value()) << "one at a time";
                       })
                        .value();
  EXPECT_TRUE(done);
  log.write(late).value();  // to the file it was promised a place in
  log.write(log.take_place(drop_of(12))).value();
  std::vector<uint32_t> slots;
  IndexLog again(fs, ".");
  const auto loaded = again.load([&](const IndexRecord& r) { slots.push_back(r.slot); }).value();
  EXPECT_EQ(slots, (std::vector<uint32_t>{10, 11, 12}));
  EXPECT_EQ(loaded.broken, 0u);
}

}  // namespace
}  // namespace shoal::cache
