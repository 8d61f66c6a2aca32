// What Runner compares: attributes, the whole tree, bytes, xattrs, the trash, fsck.
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "runner.h"

namespace shoal::model {
namespace {

constexpr size_t kPage = 3;  // of a directory: small, so that pages are tested

std::string time_text(const Time& time) {
  return fmt::format("{}.{:09}", time.seconds, time.nanoseconds);
}

}  // namespace

void Runner::compare(const client::Attr& attr, const Node& node) {
  const auto differs = [&](std::string_view what, auto got, auto expected) {
    if (got != expected)
      fail(fmt::format("inode {}: {} is {}, must be {}", node.ino, what, got, expected));
  };
  differs("the number", attr.ino, node.ino);
  if (attr.mode != node.mode)
    fail(fmt::format("inode {}: mode is {:o}, must be {:o}", node.ino, attr.mode, node.mode));
  differs("uid", attr.uid, node.uid);
  differs("gid", attr.gid, node.gid);
  differs("nlink", attr.nlink, node.nlink);
  if (!node.is_directory()) differs("size", attr.size, node.data.size());
  if (node.is_regular() && attr.allocated > attr.size)
    fail(fmt::format("inode {}: more allocated than it is long", node.ino));
  differs("mtime", time_text(attr.mtime), time_text(node.mtime));
}

void Runner::compare_everything() {
  compare_tree(model_.root(), "");
  for (const Handle& handle : handles_) {
    if (!handle.node || failed()) continue;
    const auto attr = world_.client().getattr({.kernel_checked = true}, handle.node->ino);
    if (!same(0, attr.code())) return;
    compare(*attr, *handle.node);
    compare_content(handle.node, handle.id, fmt::format("open inode {}", handle.node->ino));
  }
  if (!failed()) compare_trash();
}

void Runner::compare_tree(const NodePtr& directory, const std::string& path) {
  const meta::Caller root{.kernel_checked = true};
  auto expected = directory->names.begin();
  std::string after;
  for (bool more = true; more && !failed();) {
    const auto page = world_.client().readdir(root, directory->ino, after, kPage, true);
    if (!same(0, page.code())) return;
    more = page->more;
    for (const meta::DirEntry& entry : page->entries) {
      after = entry.name;
      if (expected == directory->names.end() || entry.name != expected->first) {
        return fail(fmt::format("{}/: entry {} is not expected here", path, entry.name));
      }
      const NodePtr node = expected->second;
      ++expected;
      if (!entry.attr) return fail(fmt::format("{}/{}: no attributes", path, entry.name));
      compare(*entry.attr, *node);
      if (entry.type != (node->mode & S_IFMT) >> 12 || entry.ino != node->ino)
        fail(path + "/" + entry.name + ": type or inode");
      if (failed()) return fail(path + "/" + entry.name);
    }
    if (page->entries.empty() && more) return fail(path + "/: an empty page");
  }
  if (expected != directory->names.end())
    return fail(fmt::format("{}/{} is missing", path, expected->first));
  for (const auto& [name, node] : directory->names) {
    if (failed()) return;
    compare_xattrs(*node, path + "/" + name);
    if (node->is_directory()) compare_tree(node, path + "/" + name);
    if (node->is_regular()) compare_content(node, 0, path + "/" + name);
    if (node->is_symlink()) {
      const auto target = world_.client().readlink(root, node->ino);
      if (same(0, target.code()) && *target != node->data)
        fail(path + "/" + name + ": another target");
    }
  }
}

void Runner::compare_content(const NodePtr& node, client::HandleId open, const std::string& path) {
  const meta::Caller root{.kernel_checked = true};
  client::HandleId id = open;
  if (open == 0) {
    const auto opened = world_.client().open(root, node->ino, {.read = true});
    if (!same(0, opened.code())) return;
    id = opened->handle;
  }
  std::string bytes(node->data.size() + 100, '?');
  const auto got = world_.client().read(id, 0, as_mutable_bytes(bytes));
  if (open == 0) world_.client().release(id).ignore("only read");
  if (!got.ok()) return fail(path + ": " + got.error().to_string());
  bytes.resize(*got);
  if (bytes == node->data) return;
  const auto first =
      std::mismatch(bytes.begin(), bytes.end(), node->data.begin(), node->data.end());
  fail(fmt::format("{}: {} bytes, must be {}; the first difference is at {}", path, bytes.size(),
                   node->data.size(), first.first - bytes.begin()));
}

void Runner::compare_xattrs(const Node& node, const std::string& path) {
  const meta::Caller root{.kernel_checked = true};
  const auto names = world_.client().listxattr(root, node.ino);
  if (!same(0, names.code())) return;
  std::vector<std::string> expected;
  for (const auto& [name, value] : node.xattrs) expected.push_back(name);
  if (*names != expected) {
    return fail(fmt::format("{}: xattrs {}, must be {}", path, fmt::join(*names, " "),
                            fmt::join(expected, " ")));
  }
  for (const auto& [name, value] : node.xattrs) {
    const auto got = world_.client().getxattr(root, node.ino, name);
    if (same(0, got.code()) && *got != value)
      fail(fmt::format("{}: another value of {}", path, name));
  }
}

void Runner::compare_trash() {
  const auto listed = world_.maintenance().trash_list(10'000);
  if (!same(0, listed.code())) return;
  std::set<std::pair<Ino, std::string>> got, expected;
  for (const meta::TrashEntry& entry : *listed) got.emplace(entry.ino, entry.name);
  for (const PosixModel::Trashed& trashed : model_.trash())
    expected.emplace(trashed.node->ino, trashed.name);
  if (got != expected)
    fail(fmt::format("the trash holds {} entries, must be {}", got.size(), expected.size()));
}

void Runner::check_fsck() {
  const std::vector<std::string> problems = world_.fsck();
  if (!problems.empty()) fail(fmt::format("fsck: {}", fmt::join(problems, "; ")));
}

}  // namespace shoal::model
