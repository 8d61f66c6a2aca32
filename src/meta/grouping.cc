#include "meta/grouping.h"

#include "format/keys.h"

namespace shoal::meta {

Result<std::unique_ptr<engine::GroupCommit>> group_commits(engine::KvEngine& under,
                                                           Executor& executor) {
  const std::string first = format::batch_key(0);
  TRY_ASSIGN(const std::optional<engine::Item> last,
             under.last(nullptr, first, engine::prefix_end(first.substr(0, 1))));
  engine::GroupOptions options;
  options.key_of = format::batch_key;
  if (last) {
    TRY_ASSIGN(const uint64_t n, format::parse_batch_key(last->key));
    options.next = n + 1;
  }
  return engine::make_group_commit(under, executor, std::move(options));
}

}  // namespace shoal::meta
