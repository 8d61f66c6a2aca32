// One page of a listing, built from keys in any order: keeps the `limit` smallest entries behind
// start_after, where an entry is a key or, when it has the delimiter behind the prefix, its common
// prefix.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "object/object_store.h"

namespace shoal::object {

class PageBuilder {
 public:
  // REQUIRES check_limit(options).ok().
  PageBuilder(std::string prefix, const ListOptions& options)
      : prefix_(std::move(prefix)),
        start_after_(options.start_after),
        delimiter_(options.delimiter),
        limit_(options.limit) {}

  // False when no key that starts with `part` can change the page: callers skip what is below it.
  bool wants_below(std::string_view part) const;
  // True when `key` belongs on the page as an object and is to be given to add(). A key below a
  // common prefix is counted here and answered with false.
  bool would_take(std::string_view key);
  void add(ObjectInfo info);
  ListPage finish();

 private:
  struct Entry {
    bool is_prefix = false;
    ObjectInfo info;
  };

  std::optional<std::string> common_prefix_of(std::string_view key) const;
  void insert(std::string name, Entry entry);
  bool is_full() const { return entries_.size() > limit_; }

  const std::string prefix_;
  const std::string start_after_;
  const std::string delimiter_;
  const size_t limit_;
  std::map<std::string, Entry, std::less<>>
      entries_;  // up to limit_ + 1: the last tells that there is more
};

}  // namespace shoal::object
