#include "format/segment.h"

#include <gtest/gtest.h>

#include <random>

#include "base/crc32c.h"
#include "base/limits.h"

namespace shoal::format {
namespace {

constexpr SegmentId kId{0x0102030405060708, 9};

Uuid uuid_of(uint8_t first) {
  Uuid uuid;
  for (size_t i = 0; i < uuid.bytes.size(); ++i) uuid.bytes[i] = static_cast<uint8_t>(first + i);
  return uuid;
}

SegmentHeader sample_header() {
  SegmentHeader h;
  h.volume = uuid_of(0x10);
  h.lineage = 0x1122334455667788;
  h.store = uuid_of(0x80);
  h.segment = kId;
  h.external = true;
  return h;
}

RecordHeader sample_record() {
  RecordHeader h;
  h.kind = RecordKind::kData;
  h.payload_crc = 0xdeadbeef;
  h.payload_length = 4096;
  h.frame_bytes = 65536;
  h.ino = 0xabcdef;
  h.generation = 3;
  h.sequence = (uint64_t{5} << 40) + 17;
  h.previous_sequence = (uint64_t{5} << 40) + 2;
  h.base_version = (uint64_t{7} << 40) + 1;
  h.offset = 1 << 20;
  h.length = 4096;
  h.mtime = {-2, 999'999'999};
  h.parent = 1;
  return h;
}

bool same(const RecordHeader& a, const RecordHeader& b) {
  return encode_record_header(a, kId) == encode_record_header(b, kId);
}

Footer sample_footer() {
  Footer footer;
  FooterRecord small;
  small.position = kSegmentHeaderBytes;
  small.header = sample_record();
  footer.frame_crcs.push_back(small.header.payload_crc);
  footer.records.push_back(small);
  FooterRecord times;
  times.position = kSegmentHeaderBytes + 4096 + kRecordHeaderBytes;
  times.header = sample_record();
  times.header.kind = RecordKind::kTimes;
  times.header.flags = kRecordAtime;
  times.header.payload_length = times.header.frame_bytes = times.header.payload_crc = 0;
  times.header.length = 0;
  times.header.atime = {1, 2};
  times.header.sequence += 1;
  times.first_frame = 1;
  footer.records.push_back(times);
  FooterRecord large;
  large.position = times.position + kRecordHeaderBytes;
  large.header = sample_record();
  large.header.length = large.header.payload_length = 70'000;
  large.header.frame_bytes = 4096;
  large.header.ino = 7;
  large.header.previous_sequence = 0;
  large.first_frame = 1;
  footer.records.push_back(large);
  for (uint32_t i = 0; i < 18; ++i) footer.frame_crcs.push_back(i * 77);
  footer.data_bytes = 74'096;
  return footer;
}
constexpr uint64_t kFooterAt = 100'000;

TEST(SegmentFormat, header_has_these_bytes_for_ever) {
  EXPECT_EQ(to_hex(as_bytes(encode_segment_header(sample_header()))),
            "53484f414c5345470100010000000000101112131415161718191a1b1c1d1e1f80818283848586878889"
            "8a8b8c8d8e8f887766554433221108070605040302010900000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000162a"
            "477b");
}

TEST(SegmentFormat, record_header_has_these_bytes_for_ever) {
  EXPECT_EQ(to_hex(as_bytes(encode_record_header(sample_record(), kId))),
            "23f9dc1701010000efbeadde0010000000000100ffc99a3befcdab000000000003000000000000001100"
            "0000000500000200000000050000010000000007000000001000000000000010000000000000feffffff"
            "ffffffff0100000000000000000000000000000000000000000000000000000000000000000000000000"
            "0000");
}

TEST(SegmentFormat, footer_has_these_bytes_for_ever) {
  EXPECT_EQ(to_hex(as_bytes(encode_footer(sample_footer(), kFooterAt, kId))),
            "03f0c20401008001efbeadde8020808004deb7de0a03a280808080c0020f8180808080e0018080408020"
            "03ff93ebdc030205028021000000000000000302108180808080e0018080400000ff93ebdc0300020201"
            "008001efbeaddef0a2048020cfb7de0a0301008180808080e001808040f0a20400ff93ebdc0300000000"
            "004d0000009a000000e70000003401000081010000ce0100001b02000068020000b5020000020300004f"
            "0300009c030000e90300003604000083040000d00400001d050000a086010000000000e3000000000000"
            "001e4100e70100000053484f414c454e44");
}

TEST(SegmentFormat, external_place_has_these_bytes_for_ever) {
  const ExternalPlace place{kId, 8192, {1, 0xffffffff}};
  const std::string bytes = encode_external(place);
  EXPECT_EQ(to_hex(as_bytes(bytes)),
            "0807060504030201090000000000000000200000000000000200000001000000ffffffff");
  const auto back = decode_external(as_bytes(bytes));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->segment, place.segment);
  EXPECT_EQ(back->offset, place.offset);
  EXPECT_EQ(back->frame_crcs, place.frame_crcs);
}

TEST(SegmentFormat, the_slice_of_an_external_segment_may_be_longer_than_any_record) {
  RecordHeader h = sample_record();
  h.frame_bytes = 4096;
  h.length = h.payload_length = 2 << 20;
  const std::string bytes = encode_record_header(h, kId);
  EXPECT_EQ(decode_record_header(as_bytes(bytes), kId).code(), EBADMSG);
  const auto slice = decode_slice_header(as_bytes(bytes), kId);
  ASSERT_TRUE(slice.ok()) << slice.error().to_string();
  EXPECT_TRUE(same(*slice, h));
  h.length = h.payload_length = kExternalSliceBytesMax + 4096;
  EXPECT_EQ(decode_slice_header(as_bytes(encode_record_header(h, kId)), kId).code(), EBADMSG);
}

TEST(SegmentFormat, object_keys_spread_by_twenty_hash_bits_and_name_the_segment) {
  const std::string key = segment_object_key(uuid_of(0x10), kId);
  EXPECT_EQ(key,
            "10111213-1415-1617-1819-1a1b1c1d1e1f/seg/1110/0011/011101000111/01020304050607080000"
            "000000000009");
  EXPECT_EQ(parse_segment_object_key(key).value(), kId);
  EXPECT_EQ(parse_segment_object_key("nonsense").code(), EINVAL);
  EXPECT_EQ(parse_segment_object_key("x/owner").code(), EINVAL);
  EXPECT_EQ(owner_marker_key(uuid_of(0x10)), uuid_of(0x10).to_string() + "/owner");
}

TEST(SegmentFormat, what_was_encoded_is_decoded) {
  const auto header = decode_segment_header(as_bytes(encode_segment_header(sample_header())));
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header->volume, uuid_of(0x10));
  EXPECT_EQ(header->store, uuid_of(0x80));
  EXPECT_EQ(header->lineage, sample_header().lineage);
  EXPECT_EQ(header->segment, kId);
  EXPECT_TRUE(header->external);

  const auto record =
      decode_record_header(as_bytes(encode_record_header(sample_record(), kId)), kId);
  ASSERT_TRUE(record.ok());
  EXPECT_TRUE(same(*record, sample_record()));
  EXPECT_EQ(record->mtime, (Time{-2, 999'999'999}));

  const Footer footer = sample_footer();
  const std::string bytes = encode_footer(footer, kFooterAt, kId);
  const auto place = find_footer(as_bytes(bytes).last(kFooterTailBytes), kFooterAt + bytes.size());
  ASSERT_TRUE(place.ok());
  EXPECT_EQ(place->offset, kFooterAt);
  EXPECT_EQ(place->length, bytes.size());
  const auto back = decode_footer(as_bytes(bytes), kId);
  ASSERT_TRUE(back.ok()) << back.error().to_string();
  ASSERT_EQ(back->records.size(), footer.records.size());
  for (size_t i = 0; i < footer.records.size(); ++i) {
    EXPECT_EQ(back->records[i].position, footer.records[i].position);
    EXPECT_EQ(back->records[i].first_frame, footer.records[i].first_frame);
    EXPECT_TRUE(same(back->records[i].header, footer.records[i].header)) << i;
  }
  EXPECT_EQ(back->frame_crcs, footer.frame_crcs);
  EXPECT_EQ(back->data_bytes, footer.data_bytes);
}

TEST(SegmentFormat, a_record_of_another_segment_never_matches) {
  const std::string bytes = encode_record_header(sample_record(), kId);
  EXPECT_EQ(decode_record_header(as_bytes(bytes), SegmentId{kId.nonce, kId.sequence + 1}).code(),
            EBADMSG);
  EXPECT_EQ(decode_record_header(as_bytes(bytes), SegmentId{kId.nonce + 1, kId.sequence}).code(),
            EBADMSG);
  const std::string footer = encode_footer(sample_footer(), kFooterAt, kId);
  EXPECT_EQ(decode_footer(as_bytes(footer), SegmentId{1, 1}).code(), EBADMSG);
}

TEST(SegmentFormat, every_truncation_and_every_flipped_bit_is_refused) {
  const std::string header = encode_segment_header(sample_header());
  const std::string record = encode_record_header(sample_record(), kId);
  const std::string footer = encode_footer(sample_footer(), kFooterAt, kId);
  auto refused = [&](const std::string& bytes, int what) {
    if (what == 0) return !decode_segment_header(as_bytes(bytes)).ok();
    if (what == 1) return !decode_record_header(as_bytes(bytes), kId).ok();
    return !decode_footer(as_bytes(bytes), kId).ok();
  };
  int what = 0;
  for (const std::string* bytes : {&header, &record, &footer}) {
    for (size_t n = 0; n < bytes->size(); ++n) {
      EXPECT_TRUE(refused(bytes->substr(0, n), what)) << what << " cut to " << n;
    }
    for (size_t bit = 0; bit < bytes->size() * 8; ++bit) {
      std::string spoilt = *bytes;
      spoilt[bit / 8] = static_cast<char>(spoilt[bit / 8] ^ (1 << bit % 8));
      EXPECT_TRUE(refused(spoilt, what)) << what << " bit " << bit;
    }
    ++what;
  }
  const std::string place = encode_external({kId, 1, {1, 2, 3}});
  for (size_t n = 0; n < place.size(); ++n)
    EXPECT_FALSE(decode_external(as_bytes(place.substr(0, n))).ok());
}

// Makes the CRC of a spoilt footer right again, so that what lies behind the CRC check is reached.
std::string with_right_crc(std::string footer) {
  std::string seed;
  for (const uint64_t v : {kId.nonce, kId.sequence})
    seed.append(reinterpret_cast<const char*>(&v), 8);
  const ByteView all = as_bytes(footer);
  const ByteView tail = all.last(kFooterTailBytes);
  uint32_t crc = crc32c(all.first(all.size() - kFooterTailBytes), crc32c(as_bytes(seed)));
  crc = crc32c(tail.subspan(20, 4), crc32c(tail.first(16), crc));
  std::memcpy(footer.data() + footer.size() - kFooterTailBytes + 16, &crc, 4);
  return footer;
}

TEST(SegmentFormat, a_hostile_footer_with_a_right_crc_is_decoded_within_bounds) {
  const std::string good = encode_footer(sample_footer(), kFooterAt, kId);
  ASSERT_EQ(with_right_crc(good), good);
  const unsigned seed = 20;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string spoilt = good;
    const size_t changes = 1 + random() % 3;
    for (size_t i = 0; i < changes; ++i)
      spoilt[random() % (spoilt.size() - 8)] = static_cast<char>(random());
    const auto footer = decode_footer(as_bytes(with_right_crc(spoilt)), kId);
    if (!footer.ok()) continue;
    ++accepted;
    for (const FooterRecord& record : footer->records) {
      EXPECT_LE(record.position, kFooterAt);
      EXPECT_LE(record.header.ino, kInoMax);
    }
  }
  EXPECT_GT(accepted, 0);  // so values changed, not only shapes
  std::string many = good;
  many[0] = '\x7f';  // 127 records in a body that has three
  EXPECT_EQ(decode_footer(as_bytes(with_right_crc(many)), kId).code(), EBADMSG);
}

TEST(SegmentFormat, values_that_no_writer_makes_are_refused) {
  auto refused = [](auto change) {
    RecordHeader h = sample_record();
    change(h);
    return decode_record_header(as_bytes(encode_record_header(h, kId)), kId).code();
  };
  EXPECT_EQ(refused([](RecordHeader&) {}), 0);
  EXPECT_EQ(refused([](RecordHeader& h) { h.ino = 0; }), EBADMSG);
  EXPECT_EQ(refused([](RecordHeader& h) { h.ino = kInoMax + 1; }), EBADMSG);
  EXPECT_EQ(refused([](RecordHeader& h) { h.length = h.payload_length = 0; }), EBADMSG);
  EXPECT_EQ(refused([](RecordHeader& h) { h.length = h.payload_length = kRecordBytesMax + 1; }),
            EBADMSG);
  EXPECT_EQ(refused([](RecordHeader& h) { h.payload_length = 4095; }), EBADMSG);
  EXPECT_EQ(refused([](RecordHeader& h) { h.frame_bytes = 0; }), EBADMSG);
  EXPECT_EQ(refused([](RecordHeader& h) { h.frame_bytes = 1024; }), EBADMSG);
  EXPECT_EQ(refused([](RecordHeader& h) { h.offset = kFileBytesMax; }), EBADMSG);
  EXPECT_EQ(refused([](RecordHeader& h) { h.mtime.nanoseconds = 1'000'000'000; }), EBADMSG);
  EXPECT_EQ(refused([](RecordHeader& h) { h.kind = RecordKind::kTruncate; }), EBADMSG);
  EXPECT_EQ(refused([](RecordHeader& h) { h.kind = RecordKind::kMetadata; }), ENOTSUP);
  EXPECT_EQ(refused([](RecordHeader& h) { h.kind = static_cast<RecordKind>(99); }), ENOTSUP);
  EXPECT_EQ(refused([](RecordHeader& h) { h.flags = 0x8000; }), ENOTSUP);
}

TEST(SegmentFormat, a_newer_version_is_told_apart_from_garbage) {
  std::string header = encode_segment_header(sample_header());
  header[8] = 2;
  const uint32_t crc = crc32c(as_bytes(header).first(124));
  std::memcpy(header.data() + 124, &crc, 4);
  EXPECT_EQ(decode_segment_header(as_bytes(header)).code(), ENOTSUP);
}

TEST(SegmentFormat, frames_are_one_up_to_64_kib_and_4_kib_above) {
  EXPECT_EQ(frame_bytes_for(1), kFrameBytesMax);
  EXPECT_EQ(frame_bytes_for(kFrameBytesMax), kFrameBytesMax);
  EXPECT_EQ(frame_bytes_for(kFrameBytesMax + 1), kFrameBytesLarge);
  const std::string slice(kFrameBytesMax + 1, 'x');
  EXPECT_EQ(frame_crcs(as_bytes(slice)).size(), 17u);
  EXPECT_EQ(frame_crcs(as_bytes("abc")), (std::vector<uint32_t>{crc32c(as_bytes("abc"))}));
}

}  // namespace
}  // namespace shoal::format
