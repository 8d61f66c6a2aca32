#include "engine/for_each.h"

#include "base/limits.h"

namespace shoal::engine {

Status for_each(KvEngine& engine, const ReadToken* token, std::string begin, std::string_view end,
                const std::function<Result<Visit>(const Item&)>& visit) {
  for (;;) {
    TRY_ASSIGN(const Page page, engine.scan(token, begin, end, kPageEntriesMax));
    for (const Item& item : page.items) {
      TRY_ASSIGN(const Visit next, visit(item));
      if (next == Visit::kStop) return {};
    }
    if (!page.more || page.items.empty()) return {};
    begin = page.items.back().key + '\0';
  }
}

Status for_each_with(KvEngine& engine, const ReadToken* token, std::string_view prefix,
                     const std::function<Result<Visit>(const Item&)>& visit) {
  return for_each(engine, token, std::string(prefix), prefix_end(prefix), visit);
}

}  // namespace shoal::engine
