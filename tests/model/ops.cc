// The random operations: how often each kind, and how they are printed.
#include <fmt/ranges.h>

#include <random>

#include "runner.h"

namespace shoal::model {
namespace {

struct Weight {
  OpKind kind;
  std::string_view name;
  uint32_t weight;
};

constexpr Weight kWeights[] = {
    {OpKind::kMkdir, "mkdir", 25},
    {OpKind::kMknod, "mknod", 6},
    {OpKind::kSymlink, "symlink", 8},
    {OpKind::kLink, "link", 35},
    {OpKind::kLinkHandle, "link_handle", 12},
    {OpKind::kUnlink, "unlink", 45},
    {OpKind::kRmdir, "rmdir", 20},
    {OpKind::kRename, "rename", 85},
    {OpKind::kCreate, "create", 60},
    {OpKind::kCreateUnnamed, "create_unnamed", 10},
    {OpKind::kOpen, "open", 45},
    {OpKind::kClose, "close", 25},
    {OpKind::kRemember, "remember", 8},
    {OpKind::kWrite, "write", 110},
    {OpKind::kAppend, "append", 40},
    {OpKind::kStream, "stream", 16},
    {OpKind::kTruncate, "truncate", 45},
    {OpKind::kPunch, "punch", 25},
    {OpKind::kZero, "zero", 25},
    {OpKind::kAllocate, "allocate", 8},
    {OpKind::kCopyRange, "copy_range", 30},
    {OpKind::kRead, "read", 60},
    {OpKind::kSeek, "seek", 20},
    {OpKind::kFsync, "fsync", 12},
    {OpKind::kChmod, "chmod", 20},
    {OpKind::kChown, "chown", 12},
    {OpKind::kSetTimes, "set_times", 20},
    {OpKind::kSetXattr, "set_xattr", 25},
    {OpKind::kRemoveXattr, "remove_xattr", 12},
    {OpKind::kTime, "time", 25},
    {OpKind::kStore, "store", 6},
    {OpKind::kCollect, "collect", 5},
    {OpKind::kRepack, "repack", 4},
    {OpKind::kRestore, "restore", 12},
    {OpKind::kEmptyTrash, "empty_trash", 2},
    {OpKind::kRemount, "remount", 4},
    {OpKind::kCrash, "crash", 6},
    {OpKind::kCompare, "compare", 14},
};

}  // namespace

std::string_view to_string(OpKind kind) {
  for (const Weight& weight : kWeights) {
    if (weight.kind == kind) return weight.name;
  }
  return "?";
}

std::vector<OpKind> all_kinds() {
  std::vector<OpKind> kinds;
  for (const Weight& weight : kWeights) kinds.push_back(weight.kind);
  return kinds;
}

std::string to_string(const Op& op) {
  return fmt::format("{} {}", to_string(op.kind), fmt::join(op.n, " "));
}

std::vector<Op> random_ops(uint64_t seed, size_t count) {
  std::mt19937_64 random(seed);
  uint32_t total = 0;
  for (const Weight& weight : kWeights) total += weight.weight;
  std::vector<Op> ops;
  for (size_t i = 0; i < count; ++i) {
    uint32_t dice = static_cast<uint32_t>(random() % total);
    const Weight* chosen = kWeights;
    while (dice >= chosen->weight) dice -= (chosen++)->weight;
    Op op{chosen->kind, {}};
    for (uint32_t& n : op.n) n = static_cast<uint32_t>(random() >> 33);
    ops.push_back(op);
  }
  return ops;
}

}  // namespace shoal::model
