// open(2) with O_CREAT: makes the file or finds it, and opens it; also many at once, and O_TMPFILE.
#include <sys/stat.h>

#include <algorithm>

#include "meta/owner_impl.h"

namespace shoal::meta {
namespace {

constexpr size_t kFilesPerBatch = 256;

Created created(Ino ino, const InodeRef& ref) {
  Created made;
  made.opened.attr = attr_of(ino, ref);
  made.opened.extents_known = true;  // it has none
  return made;
}

}  // namespace

Result<Created> Owner::create(const Request& request, Ino parent, std::string_view name,
                              uint32_t mode, OpenFlags flags, bool exclusive_create) {
  TRY(healthy());
  TRY(check_name(name));
  TRY(ensure_inodes(1));
  for (;;) {
    Latches latches(latches_, {exclusive(parent)});
    TRY_ASSIGN(const InodeRef directory, directory_latched(parent));
    TRY(check_access(request.caller, directory->inode, 1));
    TRY_ASSIGN(const CachedEntry old, entry_latched(parent, name));
    if (old.exists()) {
      if (exclusive_create) return Error(EEXIST);
      latches.unlock();
      auto opened = open(request, old.ino, flags);
      if (opened.ok()) return Created{std::move(opened).value(), true};
      if (opened.error().is(ENOENT)) continue;  // unlinked meanwhile
      return std::move(opened).error();
    }
    TRY(may_add(request.caller, directory->inode));
    Change change(stamps_);
    TRY_ASSIGN(const Ino ino, add_inode(change, request, parent, directory, name,
                                        {.mode = S_IFREG | (mode & 07777)}));
    put_entry(change, parent, name, old, {entry_type(S_IFREG), ino});
    opens_.add(ino, request.session, flags.write);  // before anybody can see it
    if (auto status = commit(change); !status.ok()) {
      opens_.drop(ino, request.session, flags.write);
      return status.error();
    }
    return created(ino, change.result(ino));
  }
}

std::vector<Result<Created>> Owner::create_many(const Request& request, Ino parent,
                                                const std::vector<CreateMany>& files) {
  std::vector<Result<Created>> made;
  made.reserve(files.size());
  for (size_t begin = 0; begin < files.size(); begin += kFilesPerBatch) {
    const size_t end = std::min(files.size(), begin + kFilesPerBatch);
    if (Status status = create_page(request, parent, files, begin, end, made); !status.ok()) {
      made.resize(begin, Result<Created>(Error(EIO)));  // none of the page happened
      made.resize(end, Result<Created>(status.error()));
    }
  }
  return made;
}

// Files [begin, end) in one commit; refusals of single files go to `made`, an error is the whole
// page's.
Status Owner::create_page(const Request& request, Ino parent, const std::vector<CreateMany>& files,
                          size_t begin, size_t end, std::vector<Result<Created>>& made) {
  TRY(healthy());
  TRY(ensure_inodes(end - begin));
  const Latches latches(latches_, {exclusive(parent)});
  TRY_ASSIGN(const InodeRef directory, directory_latched(parent));
  TRY(may_add(request.caller, directory->inode));
  Change change(stamps_);
  std::vector<std::pair<size_t, Ino>> fresh;
  std::vector<std::string_view> names;
  for (size_t i = begin; i < end; ++i) {
    const std::string_view name = files[i].name;
    Status status = check_name(name);
    Result<CachedEntry> old = status.ok() ? entry_latched(parent, name) : status.error();
    const bool twice = std::find(names.begin(), names.end(), name) != names.end();
    if (!old.ok() || old->exists() || twice) {
      made.push_back(old.ok() ? Error(EEXIST) : old.error());
      continue;
    }
    TRY_ASSIGN(const Ino ino, add_inode(change, request, parent, directory, name,
                                        {.mode = S_IFREG | (files[i].mode & 07777)}));
    put_entry(change, parent, name, *old, {entry_type(S_IFREG), ino});
    names.push_back(name);
    fresh.emplace_back(i, ino);
    made.push_back(Created{});
  }
  if (fresh.empty()) return {};
  for (const auto& [i, ino] : fresh) opens_.add(ino, request.session, true);
  if (auto status = commit(change); !status.ok()) {
    for (const auto& [i, ino] : fresh) opens_.drop(ino, request.session, true);
    return status;
  }
  for (const auto& [i, ino] : fresh) made[i] = created(ino, change.result(ino));
  return {};
}

Result<Opened> Owner::create_unnamed(const Request& request, Ino parent, uint32_t mode,
                                     OpenFlags flags) {
  TRY(healthy());
  TRY(ensure_inodes(1));
  const Latches latches(latches_, {exclusive(parent)});
  TRY_ASSIGN(const InodeRef directory, directory_latched(parent));
  TRY(may_add(request.caller, directory->inode));
  Change change(stamps_);
  TRY_ASSIGN(const Ino ino,
             add_inode(change, request, parent, directory, "", {.mode = S_IFREG | (mode & 07777)}));
  opens_.add(ino, request.session, flags.write);
  opens_.set_linkable(ino, true);
  change.orphan(request.session, ino);
  if (auto status = commit(change); !status.ok()) {
    opens_.drop(ino, request.session, flags.write);
    return status.error();
  }
  return created(ino, change.result(ino)).opened;
}

}  // namespace shoal::meta
