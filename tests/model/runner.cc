#include "runner.h"

#include <dirent.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>

#include "operands.h"

namespace shoal::model {
namespace {

using namespace std::chrono_literals;
using client::Attr;
using meta::Caller;

constexpr std::array<const char*, 4> kNames = {"a", "b", "c", "d"};
constexpr std::array<const char*, 4> kXattrs = {"user.one", "user.two", "trusted.three",
                                                "security.four"};

meta::RenameMode to_meta(Move move) {
  switch (move) {
    case Move::kReplace:
      return meta::RenameMode::kReplace;
    case Move::kNoReplace:
      return meta::RenameMode::kNoReplace;
    case Move::kExchange:
      return meta::RenameMode::kExchange;
  }
  return meta::RenameMode::kReplace;
}

}  // namespace

Runner::Runner(uint64_t seed, const WorldOptions& options, Reached& reached)
    : reached_(reached),
      world_(seed, options),
      model_(options.trash_days > 0, world_.clock.now()) {}

std::optional<Failure> Runner::run(const std::vector<Op>& ops) {
  if (const Status started = world_.start(); !started.ok())
    return Failure{0, started.error().to_string()};
  for (size_t i = 0; i < ops.size(); ++i) {
    world_.advance(1us + std::chrono::microseconds(ops[i].n[5] % 3'000));
    model_.set_time(world_.clock.now());
    kind_ = ops[i].kind;
    ++reached_.operations;
    apply(ops[i]);
    const bool silent = kind_ == OpKind::kClose || kind_ == OpKind::kTime ||
                        kind_ == OpKind::kRemount || kind_ == OpKind::kCrash;
    if (silent) same(0, 0);
    if (failed()) return Failure{i, to_string(ops[i]) + ": " + failure_};
  }
  compare_everything();
  if (!failed()) remount();
  if (!failed()) compare_everything();
  if (!failed()) check_fsck();
  if (failed()) return Failure{ops.size(), "at the end: " + failure_};
  return {};
}

void Runner::fail(std::string what) {
  if (failure_.empty()) failure_ = std::move(what);
}

bool Runner::same(int expected, int got, int or_else) {
  if (expected != got && got != or_else) {
    fail(fmt::format("answers {}, must be {}", got == 0 ? "success" : errno_name(got),
                     expected == 0 ? "success" : errno_name(expected)));
  }
  if (failed()) return false;
  ++(expected == 0 ? reached_.went_well[static_cast<size_t>(kind_)] : reached_.refused);
  return expected == 0;
}

// --- operands ---

Caller Runner::caller(const Who& who) const {
  Caller caller;
  caller.uid = who.uid;
  caller.gid = who.gid;
  caller.umask = who.umask;
  caller.kernel_checked = true;
  return caller;
}

Who Runner::who(uint32_t n) const {
  if (n % 3 == 0) return {1000, 1000, 027};
  return {};
}

// Paths: the root, one of the remembered directories, or one or two names below the root.
Runner::Place Runner::place(uint32_t path, uint32_t name) {
  Place place{model_.root(), kNames[name % kNames.size()]};
  const uint32_t shape = path % 16;
  if (shape < 6) return place;
  if (shape == 15) {
    const NodePtr& remembered = remembered_[path / 16 % kRemembered];
    if (remembered) place.directory = remembered;
    return place;
  }
  const uint32_t depth = shape < 12 ? 1 : 2;
  for (uint32_t i = 0; i < depth; ++i) {
    const std::string step = kNames[(path / 16 >> 2 * i) % kNames.size()];
    NodePtr next;
    const int expected = model_.lookup(*place.directory, step, &next);
    const auto got = world_.client().lookup(caller({}), place.directory->ino, step);
    if (!same(expected, got.code())) return {};
    compare(*got, *next);
    if (failed() || !next->is_directory()) return {};
    place.directory = next;
  }
  return place;
}

NodePtr Runner::node_at(uint32_t path, uint32_t name) {
  const Place at = place(path, name);
  if (!at.directory) return nullptr;
  NodePtr node;
  const int expected = model_.lookup(*at.directory, at.name, &node);
  const auto got = world_.client().lookup(caller({}), at.directory->ino, at.name);
  if (!same(expected, got.code())) return nullptr;
  compare(*got, *node);
  return failed() ? nullptr : node;
}

Runner::Handle* Runner::handle(uint32_t n) {
  std::vector<Handle*> open;
  for (Handle& handle : handles_) {
    if (handle.node) open.push_back(&handle);
  }
  return open.empty() ? nullptr : open[n % open.size()];
}

void Runner::keep(uint32_t slot, const Result<client::OpenedFile>& opened, const NodePtr& node,
                  bool append) {
  Handle& handle = handles_[slot % kHandles];
  model_.opened(*node);
  if (handle.node) close(handle);
  handle = {opened->handle, node, append};
  compare(opened->attr, *node);
}

void Runner::close(Handle& handle) {
  const Status flushed = world_.client().flush(handle.id, 1);
  if (!flushed.ok()) fail("flush: " + flushed.error().to_string());
  const Status released = world_.client().release(handle.id);
  if (!released.ok()) fail("release: " + released.error().to_string());
  model_.closed(*handle.node);
  handle = {};
}

// --- operations ---

void Runner::apply(const Op& op) {
  if (op.kind <= OpKind::kRename) return names(op);
  if (op.kind <= OpKind::kRemember) return files(op);
  if (op.kind <= OpKind::kFsync) return data(op);
  if (op.kind <= OpKind::kRemoveXattr) return attributes(op);
  whole(op);
}

void Runner::names(const Op& op) {
  if (op.kind == OpKind::kRename) return rename(op);
  const Place at = place(op.n[0], op.n[1]);
  if (!at.directory) return;
  const Ino parent = at.directory->ino;
  const Who by = who(op.n[2]);
  const Caller as = caller(by);
  NodePtr node;
  const auto compare_made = [&](int expected, const Result<Attr>& got) {
    if (!same(expected, got.code())) return;
    node->ino = got->ino;
    compare(*got, *node);
  };
  switch (op.kind) {
    case OpKind::kMkdir: {
      const uint32_t mode = op.n[3] % 4 == 0 ? 03777 : 0777;
      const int expected = model_.make(at.directory, at.name, S_IFDIR | mode, by, &node);
      return compare_made(expected, world_.client().mkdir(as, parent, at.name, mode));
    }
    case OpKind::kMknod: {
      const uint32_t mode = (op.n[3] % 2 == 0 ? S_IFIFO : S_IFREG) | 0644;
      const int expected = model_.make(at.directory, at.name, mode, by, &node);
      return compare_made(expected, world_.client().mknod(as, parent, at.name, mode, 0));
    }
    case OpKind::kSymlink: {
      const std::string target = pattern(op.n[3], 1 + op.n[3] % 300);
      const int expected = model_.make(at.directory, at.name, S_IFLNK | 0777, by, &node);
      if (expected == 0) node->data = target;
      return compare_made(expected, world_.client().symlink(as, parent, at.name, target));
    }
    case OpKind::kLink:
    case OpKind::kLinkHandle: {
      if (op.kind == OpKind::kLink) {
        node = node_at(op.n[3], op.n[4]);
      } else if (Handle* handle = this->handle(op.n[3])) {
        node = handle->node;
      }
      if (!node || failed()) return;
      // Linux looks at the new name before it asks; a directory into itself may be refused earlier
      // here.
      const int expected = model_.link(node, at.directory, at.name);
      const int or_else = node == at.directory && expected == EEXIST ? EPERM : -1;
      const auto got = world_.client().link(as, node->ino, parent, at.name);
      if (same(expected, got.code(), or_else)) compare(*got, *node);
      return;
    }
    case OpKind::kUnlink: {
      const int expected = model_.unlink(at.directory, at.name);
      same(expected, world_.client().unlink(as, parent, at.name).code());
      return;
    }
    case OpKind::kRmdir: {
      const int expected = model_.rmdir(at.directory, at.name);
      same(expected, world_.client().rmdir(as, parent, at.name).code());
      return;
    }
    default:
      return;
  }
}

void Runner::rename(const Op& op) {
  const Place from = place(op.n[0], op.n[1]);
  if (!from.directory) return;
  const Place to = place(op.n[2], op.n[3]);
  if (!to.directory) return;
  const Move move = op.n[4] % 6 == 0   ? Move::kNoReplace
                    : op.n[4] % 6 == 1 ? Move::kExchange
                                       : Move::kReplace;
  NodePtr node;
  NodePtr target;
  model_.lookup(*from.directory, from.name, &node);
  model_.lookup(*to.directory, to.name, &target);
  const int expected = model_.rename(from.directory, from.name, to.directory, to.name, move);
  // The kernel finds a target above the source itself, whatever the types are.
  const bool above = expected == ENOTEMPTY && node && !node->is_directory();
  const Status got = world_.client().rename(caller(who(op.n[5])), from.directory->ino, from.name,
                                            to.directory->ino, to.name, to_meta(move));
  same(expected, got.code(), above ? EISDIR : -1);
}

void Runner::files(const Op& op) {
  switch (op.kind) {
    case OpKind::kCreate:
      return create(op);
    case OpKind::kCreateUnnamed: {
      const Place at = place(op.n[0], 0);
      if (!at.directory) return;
      const Who by = who(op.n[2]);
      NodePtr node;
      const int expected = model_.make_unnamed(at.directory, S_IFREG | 0644, by, &node);
      const auto got = world_.client().create_unnamed(caller(by), at.directory->ino, 0644,
                                                      {.read = true, .write = true});
      if (!same(expected, got.code())) return;
      node->ino = got->attr.ino;
      return keep(op.n[3], got, node, false);
    }
    case OpKind::kOpen: {
      const NodePtr node = node_at(op.n[0], op.n[1]);
      if (!node || !node->is_regular()) return;
      const bool append = op.n[2] % 4 == 0;
      const bool truncate = op.n[2] % 7 == 0;
      const client::OpenOptions options{
          .read = true, .write = true, .append = append, .truncate = truncate};
      if (truncate) model_.truncate(*node, 0, false);
      const auto got = world_.client().open(caller({}), node->ino, options);
      if (same(0, got.code())) keep(op.n[3], got, node, append);
      return;
    }
    case OpKind::kClose:
      if (Handle* handle = this->handle(op.n[0])) close(*handle);
      return;
    case OpKind::kRemember: {
      const NodePtr node = node_at(op.n[0], op.n[1]);
      if (node && node->is_directory()) remembered_[op.n[2] % kRemembered] = node;
      return;
    }
    default:
      return;
  }
}

void Runner::create(const Op& op) {
  const Place at = place(op.n[0], op.n[1]);
  if (!at.directory) return;
  const Who by = who(op.n[2]);
  const bool exclusive = op.n[2] % 2 == 0;
  const bool append = op.n[4] % 4 == 0;
  const bool truncate = op.n[4] % 7 == 0;
  constexpr std::array<uint32_t, 4> kModes = {0644, 0755, 02755, 04755};
  uint32_t mode = kModes[op.n[3] / 8 % kModes.size()];
  // The kernel takes S_ISGID away before it asks (mode_strip_sgid).
  const bool strip =
      (at.directory->mode & S_ISGID) != 0 && by.uid != 0 && by.gid != at.directory->gid;
  if (strip && (mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
    mode &= ~static_cast<uint32_t>(S_ISGID);
  NodePtr node;
  int expected = model_.make(at.directory, at.name, S_IFREG | mode, by, &node);
  if (expected == EEXIST) {
    model_.lookup(*at.directory, at.name, &node);
    if (!exclusive && !node->is_regular()) return;  // the kernel opens what it knows by itself
    if (!exclusive) {
      expected = 0;
      if (truncate) model_.truncate(*node, 0, false);
    }
  }
  const client::OpenOptions options{
      .read = true, .write = true, .append = append, .truncate = truncate};
  const auto got =
      world_.client().create(caller(by), at.directory->ino, at.name, mode, options, exclusive);
  if (!same(expected, got.code())) return;
  if (node->ino == 0) node->ino = got->attr.ino;
  keep(op.n[3], got, node, append);
}

void Runner::attributes(const Op& op) {
  if (op.kind == OpKind::kSetXattr) return xattr(op, true);
  if (op.kind == OpKind::kRemoveXattr) return xattr(op, false);
  NodePtr node;
  if (op.n[2] % 4 == 0) {
    if (Handle* handle = this->handle(op.n[2] / 4)) node = handle->node;
  } else {
    node = node_at(op.n[0], op.n[1]);
  }
  if (!node || failed()) return;
  client::SetAttrRequest request;
  switch (op.kind) {
    case OpKind::kChmod: {
      if (node->is_symlink()) return;
      constexpr std::array<uint32_t, 5> kModes = {0644, 0777, 02755, 06711, 02744};
      request.attr.mode = kModes[op.n[3] % kModes.size()];
      model_.chmod(*node, *request.attr.mode);
      break;
    }
    case OpKind::kChown:
      request.attr.uid = op.n[3] % 3;
      request.attr.gid = op.n[4] % 3;
      model_.chown(*node, *request.attr.uid, *request.attr.gid);
      break;
    case OpKind::kSetTimes: {
      meta::SetAttr::SetTime time;
      time.now = op.n[3] % 3 == 0;
      time.time = {static_cast<int64_t>(op.n[4]) - 2'000'000'000, op.n[3] % 1'000'000'000};
      model_.set_mtime(*node, time.now ? world_.clock.now() : time.time);
      request.attr.mtime = time;
      break;
    }
    default:
      return;
  }
  const auto got = world_.client().setattr(caller({}), node->ino, request);
  if (same(0, got.code())) compare(*got, *node);
}

void Runner::xattr(const Op& op, bool set) {
  const NodePtr node = node_at(op.n[0], op.n[1]);
  if (!node) return;
  const std::string name = kXattrs[op.n[2] % kXattrs.size()];
  if (!set) {
    const int expected = model_.remove_xattr(*node, name);
    same(expected, world_.client().removexattr(caller({}), node->ino, name).code());
    return;
  }
  const std::string value = pattern(op.n[4], op.n[4] % 8 == 0 ? op.n[4] % 5'000 : op.n[4] % 200);
  constexpr std::array<SetXattr, 3> kHow = {SetXattr::kEither, SetXattr::kCreate,
                                            SetXattr::kReplace};
  using XattrMode = meta::Metadata::XattrMode;
  constexpr std::array<XattrMode, 3> kMode = {XattrMode::kEither, XattrMode::kCreate,
                                              XattrMode::kReplace};
  const int expected = model_.set_xattr(*node, name, value, kHow[op.n[3] % 3]);
  same(expected, world_.client()
                     .setxattr(caller({}), node->ino, name, value, kMode[op.n[3] % 3], false)
                     .code());
}

// --- the whole mount ---

void Runner::whole(const Op& op) {
  switch (op.kind) {
    case OpKind::kTime:
      world_.advance(std::chrono::milliseconds(op.n[0] % 7'000));
      return;
    case OpKind::kStore:
      same(0, world_.store_everything().code());
      return;
    case OpKind::kCollect: {
      const auto done = world_.collect_garbage();
      if (same(0, done.code())) reached_.segments_freed += done->removed_segments;
      return;
    }
    case OpKind::kRepack: {
      const auto done = world_.repack();
      if (same(0, done.code())) reached_.extents_moved += done->extents_moved;
      return;
    }
    case OpKind::kRestore: {
      if (model_.trash().empty()) return;
      const size_t which = op.n[0] % model_.trash().size();
      const Ino ino = model_.trash()[which].node->ino;
      same(model_.restore(which), world_.maintenance().trash_restore(ino, {}).code());
      return;
    }
    case OpKind::kEmptyTrash:
      model_.empty_trash();
      same(0, world_.maintenance().trash_empty(0).code());
      return;
    case OpKind::kRemount:
      return remount();
    case OpKind::kCrash:
      return crash();
    case OpKind::kCompare:
      return compare_everything();
    default:
      return;
  }
}

void Runner::restart() {
  for (Handle& handle : handles_) {
    if (handle.node) model_.closed(*handle.node);
    handle = {};
  }
  if (const Status started = world_.start(); !started.ok())
    return fail("start: " + started.error().to_string());
  const data::ReplayReport& report = world_.replay_report();
  reached_.replayed += report.applied;
  if (report.conflicts != 0 || report.quarantined_files != 0 || report.torn_tails != 0) {
    fail(fmt::format("replay: {} conflicts, {} files quarantined, {} torn tails: {}",
                     report.conflicts, report.quarantined_files, report.torn_tails,
                     fmt::join(report.lines, "; ")));
  }
}

void Runner::note_reads() {
  const data::ReadStats reads = world_.client().status().reads;
  reached_.bytes_from_store += reads.store_bytes;
  reached_.bytes_from_cache += reads.disk_bytes;
  reached_.large_segments += world_.staging().status().large_segments;
}

void Runner::remount() {
  for (Handle& handle : handles_) {
    if (handle.node) close(handle);
  }
  note_reads();
  world_.stop();
  restart();
}

// What was journaled survives a SIGKILL, so all is journaled before: nothing may change for who
// looks.
void Runner::crash() {
  for (const Handle& handle : handles_) {
    if (handle.node && !world_.client().flush(handle.id, 1).ok()) fail("flush");
  }
  note_reads();
  world_.kill();
  restart();
}

}  // namespace shoal::model
