// Which keys of a volume travel in a dump, and the totals over them that both ends compute.
//
// What describes the file system travels, counters and id leases too. What belongs to the process
// or the engine that owns it now does not: `F` travels in the dump's header and is written anew,
// `N` (replies), `S`, `K`, `O` (sessions, their locks and open files) and `V` (election) end with
// the owner, `M` is the load itself. `P` is a secret and no matter of a file: each place has its
// own.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "engine/engine.h"
#include "format/dump.h"

namespace shoal::meta {

bool travels(std::string_view key);

// ENOTSUP when the engine holds keys of a letter that this program does not know: a newer one made
// them, and only that can tell whether they travel.
Status check_letters(engine::KvEngine& engine);

// Every item that travels, ascending, at the latest state.
Status each_travelling(engine::KvEngine& engine,
                       const std::function<Status(const engine::Item&)>& visit);

// Adds up items in ascending order.
class Tally {
 public:
  Tally();
  ~Tally();
  void add(std::string_view key, Stamp stamp, std::string_view value);
  uint64_t keys() const { return keys_; }
  format::DumpTotals finish();

 private:
  void hash();
  struct Sha;
  std::unique_ptr<Sha> sha_;
  std::string waiting_;  // not hashed yet
  std::map<char, uint64_t> by_letter_;
  uint64_t keys_ = 0;
  uint64_t bytes_ = 0;
};

uint64_t count_of(const format::DumpTotals& totals, char letter);

}  // namespace shoal::meta
