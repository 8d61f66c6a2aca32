#include "fuse/cookies.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace shoal::fuse {
namespace {

// A directory, listed page by page through one table.
struct Listing {
  std::set<std::string>& names;
  CookieTable& table;

  CookieTable::Names behind(std::string_view after, size_t limit) const {
    CookieTable::Names page;
    for (auto name = names.upper_bound(std::string(after)); name != names.end(); ++name) {
      if (page.names.size() == limit) {
        page.more = true;
        break;
      }
      page.names.push_back(*name);
    }
    return page;
  }
  std::string resume(uint64_t cookie) const {
    return table
        .resume(cookie,
                [&](std::string_view after, size_t limit) -> Result<CookieTable::Names> {
                  return behind(after, limit);
                })
        .value();
  }
  // At most `limit` names from `cookie` on, each with its cookie.
  std::vector<std::pair<std::string, uint64_t>> next(uint64_t cookie, size_t limit) const {
    const std::string after = resume(cookie);
    const CookieTable::Names page = behind(after, limit);
    const std::vector<std::string_view> views(page.names.begin(), page.names.end());
    const std::vector<uint64_t> cookies = table.assign(cookie, after, views);
    std::vector<std::pair<std::string, uint64_t>> listed;
    for (size_t i = 0; i < page.names.size(); ++i) listed.emplace_back(page.names[i], cookies[i]);
    return listed;
  }
  std::vector<std::pair<std::string, uint64_t>> all(size_t page) const {
    std::vector<std::pair<std::string, uint64_t>> listed;
    uint64_t cookie = kCookieDotDot;
    while (true) {
      const auto some = next(cookie, page);
      if (some.empty()) return listed;
      listed.insert(listed.end(), some.begin(), some.end());
      cookie = some.back().second;
    }
  }
};

std::string numbered(int i) {
  char text[16];
  std::snprintf(text, sizeof text, "f%07d", i);
  return text;
}

TEST(Cookies, listing_twice_hands_out_the_same_cookies_and_records_nothing_more) {
  std::set<std::string> names;
  for (int i = 0; i < 1000; ++i) names.insert(numbered(i));
  CookieTable table;
  const Listing listing{names, table};
  const auto first = listing.all(7);
  EXPECT_EQ(first.size(), 1000u);
  EXPECT_EQ(table.recorded_names(), 1000u);
  EXPECT_EQ(listing.all(100), first);
  EXPECT_EQ(table.recorded_names(), 1000u);
  std::set<uint64_t> cookies;
  for (const auto& [name, cookie] : first) {
    EXPECT_TRUE(cookies.insert(cookie).second);
    EXPECT_GT(cookie, kCookieDotDot);
  }
}

TEST(Cookies, going_on_anywhere_lists_the_rest_whatever_was_removed_or_made) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    std::set<std::string> names;
    while (names.size() < 400) names.insert(numbered(static_cast<int>(random() % 5000)));
    CookieTable table;
    const Listing listing{names, table};
    const auto before = listing.all(1 + random() % 90);
    std::set<std::string> kept = names;
    for (int i = 0; i < 300; ++i) {
      auto victim = names.begin();
      std::advance(victim, random() % names.size());
      kept.erase(*victim);
      names.erase(victim);
    }
    for (int i = 0; i < 200; ++i) names.insert("f" + std::to_string(random() % 100'000));
    for (const auto& [name, cookie] : before) names.insert(name + "x"), kept.erase(name + "x");
    listing.all(1 + random() % 90);  // another handle lists meanwhile
    for (size_t at = 0; at < before.size(); at += 1 + random() % 5) {
      std::set<std::string> rest;
      uint64_t cookie = before[at].second;
      while (true) {
        const auto some = listing.next(cookie, 50);
        if (some.empty()) break;
        for (const auto& [name, next] : some) EXPECT_TRUE(rest.insert(name).second) << name;
        cookie = some.back().second;
      }
      for (size_t i = 0; i < before.size(); ++i) {
        const std::string& name = before[i].first;
        if (!kept.contains(name)) continue;
        EXPECT_EQ(rest.contains(name), i > at) << name << " from " << before[at].first;
      }
    }
  }
}

TEST(Cookies, a_changed_place_costs_a_run_and_not_the_whole_directory) {
  std::set<std::string> names;
  for (int i = 0; i < 10'000; ++i) names.insert(numbered(i));
  CookieTable table;
  const Listing listing{names, table};
  listing.all(1000);
  names.erase(numbered(5000));
  names.insert(numbered(7000) + "new");
  listing.all(1000);
  EXPECT_LE(table.recorded_names(), 10'000 + 4 * CookieTable::kRunNames);
}

TEST(Cookies, a_cookie_that_was_never_handed_out_is_stale) {
  CookieTable table;
  const auto nothing = [](std::string_view, size_t) -> Result<CookieTable::Names> {
    return CookieTable::Names{};
  };
  EXPECT_EQ(table.resume(1 << 20, nothing).code(), ESTALE);
  EXPECT_EQ(table.resume(~uint64_t{0}, nothing).code(), ESTALE);
  table.assign(kCookieDotDot, "", {"a", "b"});
  EXPECT_EQ(table.resume(256 + 5, nothing).code(), ESTALE);
  EXPECT_EQ(table.resume(256 + 1, nothing).value(), "b");
  EXPECT_EQ(table.resume(256, nothing).value(), "");  // "a" is gone: on from where its run began
}

TEST(Cookies, a_million_names_take_a_few_bytes_each) {
  CookieTable table;
  uint64_t cookie = kCookieDotDot;
  std::string previous;
  constexpr int kNames = 1'000'000;
  constexpr int kPage = 1000;
  for (int i = 0; i < kNames; i += kPage) {
    std::vector<std::string> page;
    for (int j = 0; j < kPage; ++j) page.push_back(numbered(i + j));
    const std::vector<std::string_view> views(page.begin(), page.end());
    cookie = table.assign(cookie, previous, views).back();
    previous = page.back();
  }
  EXPECT_EQ(table.recorded_names(), size_t{kNames});
  // Run ids count the runs: each is full but where two names' hashes met.
  EXPECT_LE(cookie >> 8, kNames / CookieTable::kRunNames + 100);
}

TEST(Cookies, a_directory_that_changes_for_ever_is_trimmed_when_nobody_has_it_open) {
  std::set<std::string> names;
  CookieTables tables;
  tables.opened(5);
  for (int i = 0; i < 20'000; ++i) {
    names = {numbered(i)};
    Listing{names, *tables.table(5)}.all(10);
  }
  EXPECT_EQ(tables.table(5)->recorded_names(), 20'000u);
  tables.closed(5);
  EXPECT_EQ(tables.table(5)->recorded_names(), 0u);
}

TEST(Cookies, the_table_lives_until_the_inode_is_forgotten_and_no_handle_is_open) {
  CookieTables tables;
  tables.opened(5);
  const uint64_t cookie = tables.table(5)->assign(kCookieDotDot, "", {"a"}).back();
  const auto nothing = [](std::string_view, size_t) -> Result<CookieTable::Names> {
    return CookieTable::Names{};
  };
  tables.closed(5);
  EXPECT_TRUE(tables.table(5)->resume(cookie, nothing).ok());
  tables.opened(5);
  tables.forgotten(5);
  EXPECT_TRUE(tables.table(5)->resume(cookie, nothing).ok());
  tables.closed(5);
  EXPECT_EQ(tables.size(), 0u);
  tables.closed(77);
  tables.forgotten(77);
}

}  // namespace
}  // namespace shoal::fuse
