#include "meta/grouping.h"

#include "engine/for_each.h"
#include "engine/notes.h"
#include "format/keys.h"

namespace shoal::meta {

Result<Grouped> group_commits(engine::KvEngine& under, Executor& executor) {
  Grouped grouped;
  engine::GroupOptions options;
  options.key_of = format::batch_key;
  options.fence = format::format_record_key();
  const auto visit = [&](const engine::Item& item) -> Result<engine::Visit> {
    TRY_ASSIGN(const uint64_t n, format::parse_batch_key(item.key));
    TRY_ASSIGN(std::vector<std::string> notes, engine::unpack_notes(item.value));
    if (options.kept.empty() || options.kept.back().n != n) {
      options.kept.push_back({n, notes.size(), 1});
    } else {
      options.kept.back().notes += notes.size();
      ++options.kept.back().parts;
    }
    for (std::string& note : notes) grouped.notes.push_back({n, std::move(note)});
    options.next = n + 1;
    return engine::Visit::kContinue;
  };
  const std::string prefix = format::batch_key(0).substr(0, 1);
  TRY(engine::for_each_with(under, nullptr, prefix, visit));
  grouped.engine = engine::make_group_commit(under, executor, std::move(options));
  return grouped;
}

}  // namespace shoal::meta
