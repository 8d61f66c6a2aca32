// Reads of the latest state, or of the moment of a token. Thread-safe. Private to this folder.
//
// While a token's transaction is open the server can clear away nothing newer. So tokens are few
// and short-lived: past its age, or when one too many is wanted, the oldest ends.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "engine/postgres/moment.h"

namespace shoal::engine::postgres {

class Reader {
 public:
  // `connector` and `clock` outlive it.
  Reader(Connector& connector, const Clock& clock);
  // A token must not outlive it.
  ~Reader();

  std::unique_ptr<ReadToken> read_token();
  Result<std::vector<std::optional<Versioned>>> get(const ReadToken* token,
                                                    const std::vector<std::string_view>& keys);
  Result<Page> scan(const ReadToken* token, std::string_view begin, std::string_view end,
                    size_t limit);
  Result<std::optional<Item>> last(const ReadToken* token, std::string_view begin,
                                   std::string_view end);
  // Text columns of the latest state.
  Result<Rows> query(const std::string& sql);

 private:
  class Token;
  using Ask = std::function<Answer(Connection&)>;

  Result<Rows> read(const ReadToken* token, const Statement& statement);
  Result<Rows> read_latest(const Ask& ask);
  void release(const std::shared_ptr<Moment>& moment);

  const Connector& connector_;
  const Clock& clock_;
  Pool read_pool_;
  Pool token_pool_;
  Mutex mutex_;
  // Not ended, oldest first. Shared because the one that ends the oldest is not the one that has
  // it.
  std::vector<std::shared_ptr<Moment>> moments_ GUARDED_BY(mutex_);
  size_t tokens_ GUARDED_BY(mutex_) = 0;
};

}  // namespace shoal::engine::postgres
