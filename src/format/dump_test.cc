#include "format/dump.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "format/keys.h"

namespace shoal::format {
namespace {

std::string hex(std::string_view bytes) { return to_hex(as_bytes(bytes)); }

Uuid id() {
  Uuid uuid;
  for (size_t i = 0; i < uuid.bytes.size(); ++i) uuid.bytes[i] = static_cast<uint8_t>(i + 1);
  return uuid;
}

TEST(Dump, golden_bytes) {
  DumpHeader header;
  header.id = id();
  header.made = {1'700'000'000, 5};
  header.volume.uuid.bytes[0] = 9;
  header.volume.name = "v";
  header.volume.lineage = 2;
  header.volume.epoch = 3;
  header.volume.bucket = "file:///b";
  const std::string body = encode_dump_header(header);
  EXPECT_EQ(hex(body),
            "0102030405060708090a0b0c0d0e0f1080c49fd50c05000000310109000000000000000000000000000000"
            "01760200000000000000030000000000000966696c653a2f2f2f620101000000");
  EXPECT_EQ(decode_dump_header(body)->volume.name, "v");
  EXPECT_EQ(decode_dump_header(body)->made, header.made);

  DumpChunk chunk;
  chunk.add("Iab", 300, "one");
  chunk.add("Iabc", 0, "");
  chunk.add("Lx", 1, "two");
  const std::string items = chunk.take();
  EXPECT_TRUE(chunk.empty());
  EXPECT_EQ(hex(items), "0003496162ac02036f6e65030163000000024c78010374776f");
  const auto back = decode_dump_chunk(items).value();
  ASSERT_EQ(back.size(), 3u);
  EXPECT_EQ(back[1].key, "Iabc");
  EXPECT_EQ(back[2].key, "Lx");
  EXPECT_EQ(back[0].stamp, 300u);
  EXPECT_EQ(back[2].value, "two");

  DumpFooter footer;
  footer.chunks = 1;
  footer.totals = {3, 12, {{'I', 2}, {'L', 1}}, {0xaa}};
  const std::string end = encode_dump_footer(footer);
  EXPECT_EQ(hex(end),
            "01030c0249024c01aa00000000000000000000000000000000000000000000000000000000000000");
  EXPECT_EQ(decode_dump_footer(end)->totals, footer.totals);

  const std::string part = encode_dump_part(
      {DumpPart::kChunk, static_cast<uint32_t>(items.size()), 1}, dump_seed(id()), items);
  EXPECT_EQ(hex(part.substr(0, kDumpPartHeaderBytes)), "9bcbcafa01020000190000000100000000000000");
  EXPECT_EQ(part.substr(kDumpPartHeaderBytes), items);
  const std::string_view head = std::string_view(part).substr(0, kDumpPartHeaderBytes);
  EXPECT_EQ(decode_dump_part_header(head)->number, 1u);
  EXPECT_TRUE(check_dump_part(head, items, dump_seed(id())).ok());
  EXPECT_EQ(check_dump_part(head, items, 0).code(), EBADMSG) << "of another dump";

  EXPECT_EQ(hex(encode_load({id(), header.volume.uuid, "v", 300})),
            "010102030405060708090a0b0c0d0e0f10090000000000000000000000000000000176ac02");
  EXPECT_EQ(load_key(), "M");
}

TEST(Dump, chunks_that_are_not_whole_ascending_items_are_refused) {
  DumpChunk chunk;
  chunk.add("Ia", 1, "one");
  chunk.add("Ib", 2, "two");
  const std::string body = chunk.take();
  EXPECT_EQ(decode_dump_chunk("").code(), EBADMSG);
  for (size_t end = 1; end < body.size(); ++end) {
    const auto cut = decode_dump_chunk(body.substr(0, end));
    if (cut.ok()) {
      EXPECT_EQ(cut->size(), 1u) << "the end of the first item";
    }
  }
  EXPECT_EQ(decode_dump_chunk(body + body).code(), EBADMSG) << "the first key again";
  EXPECT_EQ(decode_dump_chunk(std::string("\x05\x01x\x01\x00", 5)).code(), EBADMSG)
      << "shares bytes of nothing";
  // Small on the stream, large in memory: each key shares 2,000 bytes with the one before.
  const std::string long_key(kEngineKeyBytesMax - 10, 'k');
  for (int i = 0; i < 300; ++i) chunk.add(long_key + fmt::format("{:05}", i), 1, "");
  EXPECT_EQ(decode_dump_chunk(chunk.take()).code(), EBADMSG);
}

}  // namespace
}  // namespace shoal::format
