// Requests on open directories, and FORGET. Handles of directories carry nothing: a listing's place
// is its cookie.
#include <dirent.h>

#include <algorithm>

#include "base/limits.h"
#include "fuse/ops.h"

namespace shoal::fuse {

// One READDIR or READDIRPLUS under way: entries are laid straight into the reply.
struct Ops::ListState {
  client::Caller who;
  Ino ino = 0;
  bool plus = false;
  MutableBytes out;
  size_t used = 0;
  uint64_t cookie = kCookieStart;  // of the entry laid last, or where the listing goes on
  std::string after;               // its name

  size_t head_bytes() const { return plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET; }
  size_t entry_bytes(size_t name_bytes) const { return FUSE_REC_ALIGN(head_bytes() + name_bytes); }
  bool fits(size_t name_bytes) const { return used + entry_bytes(name_bytes) <= out.size(); }

  // REQUIRES fits(name.size()).
  void add(std::string_view name, Ino entry_ino, uint32_t type, uint64_t entry_cookie,
           const fuse_entry_out& entry) {
    const size_t bytes = entry_bytes(name.size());
    std::byte* at = out.data() + used;
    std::memset(at + bytes - 8, 0, 8);  // the padding
    if (plus) {
      std::memcpy(at, &entry, sizeof entry);
      at += sizeof entry;
    }
    fuse_dirent head{};
    head.ino = entry_ino;
    head.off = entry_cookie;
    head.namelen = static_cast<uint32_t>(name.size());
    head.type = type;
    std::memcpy(at, &head, FUSE_NAME_OFFSET);
    std::memcpy(at + FUSE_NAME_OFFSET, name.data(), name.size());
    used += bytes;
    cookie = entry_cookie;
  }
};

void Ops::opendir(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  arguments.fixed<fuse_open_in>();
  if (!arguments.ok()) {
    reply.fail(EINVAL);
    return;
  }
  fuse_open_out out{};
  if (options_.cache_directories) {
    const Result<client::OpenedDirectory> opened =
        client_.open_directory(caller(request), ino(request));
    // One that is gone is listed as empty; there is nothing to keep.
    if (opened.ok() && opened->cache) out.open_flags |= FOPEN_CACHE_DIR;
    if (opened.ok() && opened->keep_cache) out.open_flags |= FOPEN_KEEP_CACHE;
  }
  cookies_.opened(ino(request));
  if (reply.ok(out) == ENOENT) cookies_.closed(ino(request));
}

void Ops::releasedir(const Request& request, const Reply& reply) {
  cookies_.closed(ino(request));
  reply.ok();
}

void Ops::fsyncdir(const Request& request, const Reply& reply) {
  reply.status(client_.fsync_dir(ino(request)));
}

// "." and "..", which count as no lookup. False: the reply is full.
bool Ops::list_dots(ListState& list, uint64_t from) {
  const Result<client::Attr> self = client_.getattr(list.who, list.ino);
  const bool is_root = list.ino == options_.encoder.nodes.root;
  const Ino parent = !self.ok() || is_root || self->parent == 0 ? list.ino : self->parent;
  if (from == kCookieStart) {
    if (!list.fits(1)) return false;
    list.add(".", list.ino, DT_DIR, kCookieDot, {});
  }
  if (!list.fits(2)) return false;
  list.add("..", parent, DT_DIR, kCookieDotDot, {});
  return true;
}

// False: the reply is full.
bool Ops::list_page(ListState& list, const meta::DirPage& page, const GivenOut::Answer& answer) {
  std::vector<std::string_view> names;
  size_t bytes = list.used;
  for (const meta::DirEntry& entry : page.entries) {
    bytes += list.entry_bytes(entry.name.size());
    if (bytes > list.out.size()) break;
    names.push_back(entry.name);
  }
  const std::vector<uint64_t> cookies =
      cookies_.table(list.ino)->assign(list.cookie, list.after, names);
  for (size_t i = 0; i < names.size(); ++i) {
    const meta::DirEntry& entry = page.entries[i];
    fuse_entry_out out{};  // node 0: the kernel will look it up itself
    if (list.plus && entry.attr.has_value()) {
      const NodeIds& nodes = options_.encoder.nodes;
      const CacheTimes times =
          answer.entry(nodes.node(list.ino), entry.name, nodes.node(entry.attr->ino));
      out = encoder(times).entry_out(*entry.attr);
    }
    list.add(entry.name, entry.ino, entry.type, cookies[i], out);
  }
  if (!names.empty()) list.after = names.back();
  return names.size() == page.entries.size();
}

Status Ops::list_names(ListState& list, uint64_t from, const GivenOut::Answer& answer) {
  constexpr size_t kUsualNameBytes = 16;
  constexpr size_t kRoomWorthAPage = 1024;
  const auto names_only = [&](std::string_view after, size_t limit) -> Result<CookieTable::Names> {
    TRY_ASSIGN(meta::DirPage page, client_.readdir(list.who, list.ino, after, limit, false));
    CookieTable::Names names;
    names.more = page.more;
    for (meta::DirEntry& entry : page.entries) names.names.push_back(std::move(entry.name));
    return names;
  };
  TRY_ASSIGN(list.after, cookies_.table(list.ino)->resume(from, names_only));
  list.cookie = from;
  while (true) {
    const size_t room = list.out.size() - list.used;
    const size_t limit =
        std::clamp<size_t>(room / list.entry_bytes(kUsualNameBytes) + 1, 1, kPageEntriesMax);
    TRY_ASSIGN(const meta::DirPage page,
               client_.readdir(list.who, list.ino, list.after, limit, list.plus));
    const bool all = list_page(list, page, answer);
    if (!all || !page.more || page.entries.empty()) return {};
    if (list.out.size() - list.used < kRoomWorthAPage) return {};
  }
}

void Ops::readdir(const Request& request, const Reply& reply, bool plus) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_read_in>();
  if (!arguments.ok() || in.size > reply.buffer().size()) {
    reply.fail(EINVAL);
    return;
  }
  ListState list;
  list.who = caller(request);
  list.ino = ino(request);
  list.plus = plus;
  list.out = reply.buffer().first(in.size);
  uint64_t from = in.offset;
  bool room = true;
  const GivenOut::Answer answer(given_out_);
  if (from < kCookieDotDot) {
    room = list_dots(list, from);
    from = kCookieDotDot;
  }
  if (room) {
    const Status listed = list_names(list, from, answer);
    if (!listed.ok() && list.used == 0) {
      reply.fail(listed.code());
      return;
    }
    listed.ignore("what was listed goes out; the next request meets the error again");
  }
  reply.ok(ByteView(list.out.first(list.used)));
}

void Ops::forget(const Request& request) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_forget_in>();
  forget(request.nodeid, arguments.ok() ? in.nlookup : 0);
}

void Ops::forget(uint64_t node, uint64_t lookups) {
  given_out_.forgotten(node, lookups);
  cookies_.forgotten(ino(node));
  client_.forgotten(ino(node));
}

void Ops::batch_forget(const Request& request) {
  Arguments arguments(request.arguments);
  const auto in = arguments.fixed<fuse_batch_forget_in>();
  for (uint32_t i = 0; i < in.count; ++i) {
    const auto one = arguments.fixed<fuse_forget_one>();
    if (!arguments.ok()) return;
    forget(one.nodeid, one.nlookup);
  }
}

}  // namespace shoal::fuse
