// Fold: the writes of batches that were accepted one after the other, as one batch with at most one
// write per key. What is left of a key is what it has to be before and what it is afterwards.
// Not thread-safe.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "engine/engine.h"

namespace shoal::engine {

class Fold {
 public:
  using Map = std::map<std::string, Write, std::less<>>;

  // Adds all writes of the batch, or none and returns false when one of them cannot be put together
  // with what is there, or there is no room: the batch needs a fold of its own. An empty one takes
  // every batch that check_batch() takes. REQUIRES that the batch does not conflict with the state
  // of the keys here.
  bool add(const Batch& batch, size_t bytes_max);

  bool empty() const { return writes_.empty(); }
  size_t bytes() const { return bytes_; }
  // Every stamp is set. A check has left its key as it was.
  const Map& writes() const { return writes_; }
  const Write* find(std::string_view key) const;

 private:
  Map writes_;
  size_t bytes_ = 0;
};

// The one write that does what `first` and then `second` do; nullopt: there is none. REQUIRES the
// same key, stamps set, and that `second` does not conflict with what `first` leaves behind.
std::optional<Write> folded(const Write& first, const Write& second);

}  // namespace shoal::engine
