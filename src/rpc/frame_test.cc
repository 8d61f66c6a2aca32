#include "rpc/frame.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "base/crc32c.h"
#include "sim/seeded_random.h"

namespace shoal::rpc {
namespace {

std::string text(const std::array<char, kFrameHeaderBytes>& bytes) {
  return {bytes.data(), bytes.size()};
}

FrameHeader request() {
  return with_body({.version = 1,
                    .kind = FrameKind::kRequest,
                    .method = 0x0102,
                    .request_id = 0x1112131415161718,
                    .identity = {.session = 0x2122232425262728,
                                 .sequence = 0x3132333435363738,
                                 .slot = 0x41424344},
                    .value = 5000},
                   "body");
}

// What every version of the program must send and understand (I11).
TEST(Frame, golden_bytes) {
  EXPECT_EQ(to_hex(as_bytes(text(encode_frame_header(request())))),
            "0ec363e2010102010400000050c93f26181716151413121128272625242322213837363534333231"
            "4443424188130000");
  const FrameHeader failed = with_body(
      {.kind = FrameKind::kError, .method = kErrorNotExecuted, .request_id = 7, .value = ENOSPC},
      "full");
  EXPECT_EQ(to_hex(as_bytes(text(encode_frame_header(failed)))),
            "b3ea801501030100040000002af93ae2070000000000000000000000000000000000000000000000"
            "000000001c000000");
}

TEST(Frame, every_kind_comes_back_as_it_was) {
  for (const FrameHeader& header :
       {request(), with_body({.kind = FrameKind::kReply, .request_id = 1}, "x"),
        FrameHeader{.kind = FrameKind::kError, .request_id = 2, .value = 1},
        FrameHeader{.kind = FrameKind::kCancel, .request_id = ~uint64_t{0}},
        with_body({.kind = FrameKind::kNotify, .method = 3}, "y"),
        FrameHeader{.kind = FrameKind::kCredit, .value = 9}, FrameHeader{.kind = FrameKind::kPing},
        FrameHeader{.kind = FrameKind::kPong},
        FrameHeader{.kind = FrameKind::kGoodbye, .value = kErrnoMax}}) {
    const std::string bytes = text(encode_frame_header(header));
    EXPECT_EQ(decode_frame_header(as_bytes(bytes), 1).value(), header);
  }
}

TEST(Frame, a_flipped_bit_is_noticed) {
  const std::string good = text(encode_frame_header(request()));
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(decode_frame_header(as_bytes(bad), 1).code(), EBADMSG) << bit;
  }
  EXPECT_EQ(check_body(request(), "bodz").code(), EBADMSG);
  EXPECT_EQ(check_body(request(), "bod").code(), EBADMSG);
  EXPECT_TRUE(check_body(request(), "body").ok());
}

// With a right CRC, but against the rules of its kind.
TEST(Frame, what_a_kind_may_not_say_is_refused) {
  const auto patched = [](const FrameHeader& header, size_t at, std::string_view bytes) {
    std::string raw = text(encode_frame_header(header));
    raw.replace(at, bytes.size(), bytes);
    const uint32_t crc = crc32c(as_bytes(raw).subspan(4));
    std::memcpy(raw.data(), &crc, sizeof crc);
    return raw;
  };
  const FrameHeader reply{.kind = FrameKind::kReply, .request_id = 1};
  const FrameHeader ping{.kind = FrameKind::kPing};
  const FrameHeader failed{.kind = FrameKind::kError, .request_id = 2, .value = 1};
  struct Row {
    const char* what;
    std::string bytes;
  };
  for (const Row& row : {
           Row{"version", patched(ping, 4, "\x02")},
           Row{"kind 0", patched(ping, 5, std::string(1, '\0'))},
           Row{"kind 10", patched(ping, 5, "\x0a")},
           Row{"a method in a reply", patched(reply, 6, "\x01")},
           Row{"an error of class 2", patched(failed, 6, "\x02")},
           Row{"4 MiB and one byte", patched(request(), 8, std::string("\x01\x00\x40\x00", 4))},
           Row{"4 GiB", patched(request(), 8, "\xff\xff\xff\xff")},
           Row{"an error of 4 KiB and one byte", patched(failed, 8, std::string("\x01\x10", 2))},
           Row{"a ping with a body", patched(ping, 8, "\x01")},
           Row{"a CRC of no body", patched(ping, 12, "\x01")},
           Row{"a request without id", patched(request(), 16, std::string(8, '\0'))},
           Row{"a ping with an id", patched(ping, 16, "\x01")},
           Row{"a reply with a session", patched(reply, 24, "\x01")},
           Row{"a reply with a sequence", patched(reply, 32, "\x01")},
           Row{"a reply with a slot", patched(reply, 40, "\x01")},
           Row{"a reply with a value", patched(reply, 44, "\x01")},
           Row{"errno 0", patched(failed, 44, std::string(1, '\0'))},
           Row{"errno 512", patched(failed, 44, std::string("\x00\x02", 2))},
       }) {
    EXPECT_EQ(decode_frame_header(as_bytes(row.bytes), 1).code(), EBADMSG) << row.what;
  }
  EXPECT_TRUE(
      decode_frame_header(as_bytes(patched(request(), 8, std::string("\x00\x00\x40\x00", 4))), 1)
          .ok());
}

TEST(Frame, noise_is_refused) {
  sim::SeededRandom random(20260101);
  for (int i = 0; i < 10'000; ++i) {
    std::string bytes(random.below(2 * kFrameHeaderBytes), '\0');
    random.fill(as_mutable_bytes(bytes));
    EXPECT_EQ(decode_frame_header(as_bytes(bytes), 1).code(), EBADMSG);
  }
}

}  // namespace
}  // namespace shoal::rpc
