#include "fuse/features.h"

#include "fuse/kernel_abi.h"

namespace shoal::fuse {
namespace {

struct Feature {
  const char* name;
  uint64_t flag;
};

// Never here: FUSE_WRITEBACK_CACHE, which would leave the kernel to decide size and mtime; and
// FUSE_ATOMIC_O_TRUNC: with it Linux sends open(O_RDONLY | O_TRUNC) before it sees that the file is
// a running program, which loses its pages (SIGBUS) although the open fails with ETXTBSY. Without
// it a SETATTR follows the OPEN, whose reply also carries the new attributes.
constexpr Feature kFeatures[] = {
    {"async_read", FUSE_ASYNC_READ},
    {"posix_locks", FUSE_POSIX_LOCKS},
    {"export_support", FUSE_EXPORT_SUPPORT},
    {"big_writes", FUSE_BIG_WRITES},
    {"dont_mask", FUSE_DONT_MASK},
    {"flock_locks", FUSE_FLOCK_LOCKS},
    {"ioctl_dir", FUSE_HAS_IOCTL_DIR},
    {"readdirplus", FUSE_DO_READDIRPLUS},
    {"readdirplus_auto", FUSE_READDIRPLUS_AUTO},
    {"async_dio", FUSE_ASYNC_DIO},
    {"parallel_dirops", FUSE_PARALLEL_DIROPS},
    {"posix_acl", FUSE_POSIX_ACL},
    {"abort_error", FUSE_ABORT_ERROR},
    {"max_pages", FUSE_MAX_PAGES},
    {"cache_symlinks", FUSE_CACHE_SYMLINKS},
    {"explicit_inval_data", FUSE_EXPLICIT_INVAL_DATA},
    {"auto_inval_data", FUSE_AUTO_INVAL_DATA},
    {"handle_killpriv_v2", FUSE_HANDLE_KILLPRIV_V2},
    {"setxattr_ext", FUSE_SETXATTR_EXT},
    {"init_ext", FUSE_INIT_EXT},
    {"create_supp_group", kInitCreateSuppGroup},
    {"direct_io_allow_mmap", kInitDirectIoAllowMmap},
};

// Takes out what makes no sense without another that is missing.
uint64_t consistent(uint64_t features) {
  if ((features & FUSE_DO_READDIRPLUS) == 0) features &= ~uint64_t{FUSE_READDIRPLUS_AUTO};
  // ACLs decide about the umask, so the kernel must leave it to us, and only then.
  if ((features & FUSE_POSIX_ACL) == 0) features &= ~uint64_t{FUSE_DONT_MASK};
  if ((features & FUSE_DONT_MASK) == 0) features &= ~uint64_t{FUSE_POSIX_ACL};
  return features;
}

uint64_t wanted(uint64_t disabled) {
  uint64_t all = 0;
  for (const Feature& feature : kFeatures) all |= feature.flag;
  return consistent(all & ~disabled);
}

}  // namespace

uint64_t feature_flag(std::string_view name) {
  for (const Feature& feature : kFeatures) {
    if (name == feature.name) return feature.flag;
  }
  return 0;
}

uint64_t choose_features(uint64_t offered, uint64_t disabled) {
  uint64_t chosen = consistent(offered & wanted(disabled));
  // The automatic form drops pages whenever mtime changes; only for kernels that cannot leave it to
  // us.
  if ((chosen & FUSE_EXPLICIT_INVAL_DATA) != 0) chosen &= ~uint64_t{FUSE_AUTO_INVAL_DATA};
  return chosen;
}

std::string describe_features(uint64_t features) {
  std::string text;
  for (const Feature& feature : kFeatures) {
    if ((features & feature.flag) == 0) continue;
    if (!text.empty()) text += ' ';
    text += feature.name;
  }
  return text;
}

std::string describe_missing(uint64_t offered, uint64_t disabled) {
  return describe_features(wanted(disabled) & ~offered & ~uint64_t{FUSE_AUTO_INVAL_DATA});
}

}  // namespace shoal::fuse
