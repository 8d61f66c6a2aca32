#include "engine/pending.h"

#include <algorithm>
#include <set>

#include "engine/rules.h"

namespace shoal::engine {

using Kind = Write::Kind;

std::optional<Versioned> over(const Pending::View& view, std::optional<Versioned> under) {
  std::optional<Versioned> state = view.known ? view.state : std::move(under);
  for (const Write& merge : view.merges) {
    const std::string base = state ? state->value : encode_counter(0);
    state = Versioned{0, merged_value(merge.kind, base, decode_counter(merge.value).value())};
  }
  return state;
}

std::optional<Pending::View> Pending::view(std::string_view key) const {
  View view;
  bool changed = false;
  for (auto group = groups_.rbegin(); group != groups_.rend() && !view.known; ++group) {
    const Write* write = (*group)->fold.find(key);
    if (write == nullptr) continue;
    switch (write->kind) {
      case Kind::kCheck:
        break;
      case Kind::kInsert:
      case Kind::kUpdate:
      case Kind::kPut:
        view.state = Versioned{write->stamp, write->value};
        view.known = changed = true;
        break;
      case Kind::kErase:
      case Kind::kRemove:
        view.known = changed = true;
        break;
      case Kind::kMergeAdd:
      case Kind::kMergeMax:
        view.merges.insert(view.merges.begin(), *write);
        changed = true;
        break;
    }
  }
  if (!changed) return std::nullopt;
  if (view.known && !view.merges.empty()) {
    view.state = over(view, std::nullopt);
    view.merges.clear();
  }
  return view;
}

std::map<std::string, Pending::View> Pending::views(std::string_view begin,
                                                    std::string_view end) const {
  std::set<std::string_view> keys;
  for (const auto& group : groups_) {
    const Fold::Map& writes = group->fold.writes();
    for (auto at = writes.lower_bound(begin); at != writes.end(); ++at) {
      if (!end.empty() && at->first >= end) break;
      keys.insert(at->first);
    }
  }
  std::map<std::string, View> views;
  for (const std::string_view key : keys) {
    if (std::optional<View> found = view(key)) views.emplace(key, *std::move(found));
  }
  return views;
}

std::vector<std::string> Pending::conflicts(const Batch& batch) const {
  std::vector<std::string> wrong;
  for (const Write& write : batch.writes()) {
    const bool stamped = expects_stamp(write.kind);
    if (!stamped && write.kind != Kind::kInsert) continue;
    const std::optional<View> found = view(write.key);
    if (!found || !found->known) continue;
    const bool right =
        stamped ? found->state && found->state->stamp == write.expected : !found->state.has_value();
    if (!right) wrong.push_back(write.key);
  }
  return wrong;
}

}  // namespace shoal::engine
