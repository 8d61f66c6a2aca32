#include "object/folder/key_path.h"

#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "base/limits.h"

namespace shoal::object {
namespace {

// The key that a path stands for, walked as a listing does.
std::string key_of(const std::string& path) {
  std::string key;
  std::istringstream in(path);
  for (std::string name; std::getline(in, name, '/');) {
    EXPECT_LE(name.size(), kNameBytesMax);
    EXPECT_FALSE(name.empty());
    EXPECT_NE(name.front(), '.');
    const auto decoded = decode_name(name);
    if (!decoded.has_value()) {
      ADD_FAILURE() << name << " is not understood";
      return "?";
    }
    key += decoded->text;
    if (decoded->kind == DecodedName::Kind::kFolder) key += '/';
  }
  return key;
}

TEST(KeyPath, ordinary_keys_stay_readable) {
  EXPECT_EQ(key_to_path("vol/0101/seg-1"), "vol/0101/seg-1.obj");
  EXPECT_EQ(key_to_path("a b/ümläut+x"), "a b/ümläut+x.obj");
}

TEST(KeyPath, what_a_file_system_would_misread_is_escaped) {
  EXPECT_EQ(key_to_path("../x"), "%2E./x.obj");
  EXPECT_EQ(key_to_path("."), "%2E.obj");
  EXPECT_EQ(key_to_path("/a"), "%/a.obj");
  EXPECT_EQ(key_to_path("a//b/"), "a/%/b/%.obj");
  EXPECT_EQ(key_to_path("a%b"), "a%25b.obj");
  EXPECT_EQ(key_to_path(std::string_view("a\0b", 3)), "a%00b.obj");
  EXPECT_EQ(key_to_path("x.obj/y.obj"), "x%2Eobj/y%2Eobj.obj");
  EXPECT_EQ(key_to_path(".obj"), "%2Eobj.obj");
}

TEST(KeyPath, every_key_comes_back_and_no_two_share_a_path) {
  std::vector<std::string> keys;
  const std::string alphabet("a./%+\0o", 7);
  for (int n = 1; n <= 5; ++n) {  // every word of up to 5 letters
    size_t words = 1;
    for (int i = 0; i < n; ++i) words *= alphabet.size();
    for (size_t w = 0; w < words; ++w) {
      std::string key;
      for (size_t rest = w, i = 0; i < static_cast<size_t>(n); ++i, rest /= alphabet.size()) {
        key += alphabet[rest % alphabet.size()];
      }
      keys.push_back(key);
    }
  }
  for (const char c : {'L', '%', '.', '/'}) {
    for (const size_t n : {237u, 238u, 239u, 240u, 241u, 255u, 477u, 1024u})
      keys.push_back(std::string(n, c));
  }
  for (size_t n = 230; n < 245; ++n) {
    keys.push_back(std::string(n, 'L') + ".obj");
    keys.push_back(std::string(n, 'L') + ".obj/x");
    keys.push_back(std::string(n, 'L') + "/y");
  }
  std::map<std::string, std::string> paths;
  for (const std::string& key : keys) {
    const std::string path = key_to_path(key);
    ASSERT_EQ(key_of(path), key);
    const auto [other, is_new] = paths.emplace(path, key);
    ASSERT_TRUE(is_new || other->second == key) << path;
  }
  // No path leads through another's file.
  for (const auto& [path, key] : paths)
    ASSERT_TRUE(path.find(".obj/") == std::string::npos) << path;
}

TEST(KeyPath, names_that_are_not_ours_stand_for_nothing) {
  for (const char* name :
       {".tmp-1-1", ".", "%4", "%zz", "a%41", "%2e", "a%2Fb", "x%+", "%+", "a%2Eb", "a%2"}) {
    EXPECT_FALSE(decode_name(name).has_value()) << name;
  }
}

}  // namespace
}  // namespace shoal::object
