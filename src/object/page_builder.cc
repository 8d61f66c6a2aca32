#include "object/page_builder.h"

#include <algorithm>
#include <iterator>

namespace shoal::object {

std::optional<std::string> PageBuilder::common_prefix_of(std::string_view key) const {
  if (delimiter_.empty()) return std::nullopt;
  const size_t at = key.find(delimiter_, prefix_.size());
  if (at == std::string_view::npos) return std::nullopt;
  return std::string(key.substr(0, at + delimiter_.size()));
}

bool PageBuilder::wants_below(std::string_view part) const {
  const size_t common = std::min(part.size(), prefix_.size());
  if (part.substr(0, common) != std::string_view(prefix_).substr(0, common)) return false;
  if (part < start_after_ && !start_after_.starts_with(part)) return false;
  if (is_full() && part > entries_.rbegin()->first) return false;
  if (part.size() > prefix_.size()) {
    // Below a common prefix that is listed already, or lies at or before start_after, nothing is
    // new.
    if (const auto common_prefix = common_prefix_of(part)) {
      if (*common_prefix <= start_after_ || entries_.contains(*common_prefix)) return false;
    }
  }
  return true;
}

bool PageBuilder::would_take(std::string_view key) {
  if (!key.starts_with(prefix_)) return false;
  if (auto common_prefix = common_prefix_of(key)) {
    // Pages end at whole entries, so start_after never lies inside a group whose rest is still to
    // be listed.
    if (*common_prefix > start_after_) insert(std::move(*common_prefix), {true, {}});
    return false;
  }
  return key > start_after_ && !(is_full() && key >= entries_.rbegin()->first);
}

void PageBuilder::add(ObjectInfo info) {
  std::string name = info.key;
  insert(std::move(name), {false, std::move(info)});
}

void PageBuilder::insert(std::string name, Entry entry) {
  if (is_full() && name > entries_.rbegin()->first) return;
  entries_.try_emplace(std::move(name), std::move(entry));
  if (entries_.size() > limit_ + 1) entries_.erase(std::prev(entries_.end()));
}

ListPage PageBuilder::finish() {
  ListPage page;
  size_t taken = 0;
  for (auto& [name, entry] : entries_) {
    if (taken == limit_) {
      page.truncated = true;
      break;
    }
    ++taken;
    if (entry.is_prefix) {
      page.common_prefixes.push_back(name);
    } else {
      page.objects.push_back(std::move(entry.info));
    }
    if (entries_.size() > limit_) page.next_start_after = name;
  }
  return page;
}

}  // namespace shoal::object
