// Pending: the groups that are not underneath yet, oldest first, and what they make of keys. Not
// thread-safe.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/fold.h"

namespace shoal::engine {

struct Group {
  Fold fold;
  uint64_t number = 0;    // n of its `N n`, once it was sent
  uint64_t last = 0;      // number of the last batch in it
  Stamp stamp = 0;        // of that batch
  bool sent = false;      // takes no more batches
  bool doubtful = false;  // it may have happened already
  unsigned tries = 0;

  // Operations that have committed here and are not over: their notes are still to come.
  unsigned open = 0;
  bool closing = false;  // it goes as soon as none is open; takes no more batches
  std::vector<std::string> notes;
  size_t note_bytes = 0;
  std::vector<std::string> dead;  // keys of older groups that it removes; fixed at the first try
};

class Pending {
 public:
  // What is known of a key without a look underneath.
  struct View {
    std::optional<Versioned> state;  // nullopt: absent
    bool known = false;              // else: `merges` on what is underneath, oldest first
    std::vector<Write> merges;
  };

  std::deque<std::shared_ptr<Group>>& groups() { return groups_; }
  const std::deque<std::shared_ptr<Group>>& groups() const { return groups_; }

  // nullopt: nothing here changes the key.
  std::optional<View> view(std::string_view key) const;
  // Of every key in [begin, end) that something here changes; "" = to the last.
  std::map<std::string, View> views(std::string_view begin, std::string_view end) const;
  // Keys whose expectation is wrong for certain.
  std::vector<std::string> conflicts(const Batch& batch) const;

 private:
  std::deque<std::shared_ptr<Group>> groups_;
};

// What `view` makes of the state underneath.
std::optional<Versioned> over(const Pending::View& view, std::optional<Versioned> under);

}  // namespace shoal::engine
