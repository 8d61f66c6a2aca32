#include "fuse/request.h"

#include <gtest/gtest.h>

#include "fuse/fake_kernel_test_util.h"

namespace shoal::fuse {
namespace {

std::string with_header(std::string body, uint32_t claimed, uint16_t extension_words = 0) {
  fuse_in_header header{};
  header.len = claimed;
  header.opcode = FUSE_LOOKUP;
  header.unique = 9;
  header.nodeid = 5;
  header.total_extlen = extension_words;
  return raw(header) + body;
}

TEST(Request, arguments_and_extensions_are_told_apart) {
  const std::string bytes = with_header("abc" + std::string(5, '\0') + "extended", 56, 1);
  const Result<Request> request = decode_request(as_bytes(bytes));
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->unique, 9u);
  EXPECT_EQ(request->nodeid, 5u);
  EXPECT_EQ(as_text(request->arguments).substr(0, 3), "abc");
  EXPECT_EQ(request->arguments.size(), 8u);
  EXPECT_EQ(as_text(request->extensions), "extended");
}

TEST(Request, a_length_that_is_not_the_messages_is_refused) {
  const std::string bytes = with_header("abcd", 44);
  EXPECT_TRUE(decode_request(as_bytes(bytes)).ok());
  for (size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_EQ(decode_request(as_bytes(std::string_view(bytes).substr(0, n))).code(), EINVAL) << n;
  }
  EXPECT_EQ(decode_request(as_bytes(with_header("abcd", 43))).code(), EINVAL);
  EXPECT_EQ(decode_request(as_bytes(with_header("abcd", 44, 1))).code(), EINVAL);
}

Result<std::vector<uint32_t>> groups(const std::string& extensions) {
  Request request;
  request.extensions = as_bytes(extensions);
  return supplementary_groups(request);
}

TEST(Request, supplementary_groups_are_read_and_other_extensions_skipped) {
  const std::string other = raw(fuse_ext_header{12, 77}) + "what" + std::string(4, '\0');
  const std::string ours = raw(fuse_ext_header{20, kExtGroups}) + raw(uint32_t{2}) +
                           raw(uint32_t{10}) + raw(uint32_t{20});
  EXPECT_EQ(groups(other + ours + std::string(4, '\0')).value(), (std::vector<uint32_t>{10, 20}));
  EXPECT_EQ(groups("").value(), std::vector<uint32_t>());
}

TEST(Request, malformed_extensions_are_refused) {
  EXPECT_EQ(groups("1234567").code(), EINVAL);
  EXPECT_EQ(groups(raw(fuse_ext_header{7, kExtGroups})).code(), EINVAL);
  EXPECT_EQ(groups(raw(fuse_ext_header{9, kExtGroups})).code(), EINVAL);
  EXPECT_EQ(groups(raw(fuse_ext_header{8, kExtGroups})).code(), EINVAL);
  EXPECT_EQ(groups(raw(fuse_ext_header{12, kExtGroups}) + raw(uint32_t{1})).code(), EINVAL);
  EXPECT_EQ(groups(raw(fuse_ext_header{12, kExtGroups}) + raw(~uint32_t{0})).code(), EINVAL);
}

TEST(Arguments, what_is_missing_is_noticed_and_reads_as_nothing) {
  const std::string bytes = raw(uint32_t{7}) + name("file") + "rest";
  Arguments arguments(as_bytes(bytes));
  EXPECT_EQ(arguments.fixed<uint32_t>(), 7u);
  EXPECT_EQ(arguments.name(), "file");
  EXPECT_EQ(as_text(arguments.bytes(2)), "re");
  EXPECT_TRUE(arguments.ok());
  EXPECT_TRUE(arguments.bytes(3).empty());
  EXPECT_FALSE(arguments.ok());
  EXPECT_EQ(arguments.fixed<uint8_t>(), 0u);
}

TEST(Arguments, a_name_needs_its_nul_and_a_character) {
  Arguments unterminated(as_bytes("name"));
  EXPECT_EQ(unterminated.name(), "");
  EXPECT_FALSE(unterminated.ok());
  const std::string empty = name("");
  Arguments nothing{as_bytes(empty)};
  nothing.name();
  EXPECT_FALSE(nothing.ok());
}

TEST(Arguments, a_struct_that_grew_may_come_short) {
  const std::string bytes(20, '\1');
  Arguments arguments(as_bytes(bytes));
  const auto in = arguments.fixed_at_least<fuse_init_in>(16);
  EXPECT_TRUE(arguments.ok());
  EXPECT_EQ(in.flags2, 0x01010101u);
  EXPECT_EQ(in.unused[0], 0u);
  Arguments shorter(as_bytes(std::string_view(bytes).substr(0, 15)));
  shorter.fixed_at_least<fuse_init_in>(16);
  EXPECT_FALSE(shorter.ok());
}

}  // namespace
}  // namespace shoal::fuse
