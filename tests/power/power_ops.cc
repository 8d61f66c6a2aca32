// What PowerRun does with the volume between two cuts.
#include <algorithm>

#include "power_run.h"

namespace shoal::power {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kFileBytesMax = 300'000;
constexpr int kFolders = 3;
const meta::Caller kRoot{.kernel_checked = true};

void fit(std::string& text, size_t size) {
  if (text.size() < size) text.resize(size, '\0');
}

}  // namespace

void PowerRun::step() {
  world_.advance(std::chrono::microseconds(1 + below(2'000)));
  if (ended()) return;
  const uint64_t dice = below(100);
  if (dice < 14) return create();
  if (dice < 19) return unlink();
  if (dice < 30) return rename();
  if (dice < 33) return link();
  if (dice < 55) return write();
  if (dice < 58) return stream();
  if (dice < 66) return reshape();
  if (dice < 69) return copy();
  if (dice < 81) return fsync();
  if (dice < 84) return fsync_dir();
  if (dice < 90) return close();
  whole();
}

bool PowerRun::done(const Status& status, std::string_view what) {
  if (ended()) return false;
  if (!status.ok()) fail(fmt::format("{}: {}", what, status.error().to_string()));
  return status.ok();
}

// --- names ---

std::string PowerRun::random_path() {
  return fmt::format("{}/{}", below(kFolders), static_cast<char>('a' + below(4)));
}

std::optional<std::pair<std::string, PowerRun::FileId>> PowerRun::random_file() {
  if (names().empty()) return {};
  auto it = names().begin();
  std::advance(it, static_cast<long>(below(names().size())));
  return *it;
}

std::pair<Ino, std::string> PowerRun::split(const std::string& path) const {
  return {folders_[static_cast<size_t>(path[0] - '0')], path.substr(2)};
}

void PowerRun::changed_names(Names names, std::initializer_list<FileId> files) {
  history_.push_back(std::move(names));
  for (const FileId id : files) files_[id].named_at = history_.size() - 1;
}

void PowerRun::create() {
  const std::string path = random_path();
  if (names().contains(path)) return;
  const auto [parent, name] = split(path);
  const FileId id = files_.size();
  files_.emplace_back();
  Names names = this->names();
  names[path] = id;
  changed_names(std::move(names), {id});
  const auto made =
      world_.client().create(kRoot, parent, name, 0644, {.read = true, .write = true}, true);
  if (!done(made.ok() ? Status() : Status(made.error()), "create")) return;
  files_[id].ino = made->attr.ino;
  if (!inos_.insert(made->attr.ino).second)
    fail(fmt::format("inode number {} recurs", made->attr.ino));
  files_[id].open = made->handle;
}

void PowerRun::unlink() {
  const auto victim = random_file();
  if (!victim) return;
  Names names = this->names();
  names.erase(victim->first);
  changed_names(std::move(names), {victim->second});
  const auto [parent, name] = split(victim->first);
  done(world_.client().unlink(kRoot, parent, name), "unlink");
}

void PowerRun::rename() {
  const auto source = random_file();
  if (!source) return;
  const std::string to = random_path();
  const auto target = names().find(to);
  const bool replaces = target != names().end();
  if (to == source->first || (replaces && target->second == source->second)) return;
  const bool exchange = replaces && below(4) == 0;
  Names names = this->names();
  names[to] = source->second;
  names.erase(source->first);
  const FileId other = replaces ? target->second : source->second;
  if (exchange) names[source->first] = other;
  if (replaces)
    bounds_.push_back({history_.size(), source->second, files_[source->second].states.size() - 1});
  if (exchange) bounds_.push_back({history_.size(), other, files_[other].states.size() - 1});
  changed_names(std::move(names), {source->second, other});
  const auto [from_parent, from_name] = split(source->first);
  const auto [to_parent, to_name] = split(to);
  done(world_.client().rename(kRoot, from_parent, from_name, to_parent, to_name,
                              exchange ? meta::RenameMode::kExchange : meta::RenameMode::kReplace),
       "rename");
}

void PowerRun::link() {
  const auto source = random_file();
  const std::string to = random_path();
  if (!source || names().contains(to)) return;
  Names names = this->names();
  names[to] = source->second;
  changed_names(std::move(names), {source->second});
  const auto [parent, name] = split(to);
  const auto linked = world_.client().link(kRoot, files_[source->second].ino, parent, name);
  done(linked.ok() ? Status() : Status(linked.error()), "link");
}

// --- data ---

std::optional<client::HandleId> PowerRun::handle_of(FileId id) {
  File& file = files_[id];
  if (file.open) return file.open;
  const auto opened = world_.client().open(kRoot, file.ino, {.read = true, .write = true});
  if (!done(opened.ok() ? Status() : Status(opened.error()), "open")) return {};
  file.open = opened->handle;
  return file.open;
}

void PowerRun::write() {
  const auto file = random_file();
  if (!file) return;
  const auto handle = handle_of(file->second);
  if (!handle) return;
  std::string state = files_[file->second].now();
  const std::string bytes(1 + below(below(8) == 0 ? 9'000 : 1'500),
                          static_cast<char>('A' + below(50)));
  const uint64_t offset = below(3) == 0 ? below(12'000) : state.size();
  if (offset + bytes.size() > kFileBytesMax) return;
  fit(state, offset + bytes.size());
  state.replace(offset, bytes.size(), bytes);
  add_state(file->second, std::move(state));
  const auto written = world_.client().write(kRoot, *handle, offset, as_bytes(bytes), false);
  done(written.ok() ? Status() : Status(written.error()), "write");
}

void PowerRun::stream() {
  const auto file = random_file();
  if (!file) return;
  const auto handle = handle_of(file->second);
  if (!handle) return;
  for (uint64_t i = 2 + below(2); i > 0; --i) {
    std::string state = files_[file->second].now();
    const uint64_t offset = state.size();
    const std::string bytes(66'000 + below(4'000), static_cast<char>('A' + below(50)));
    if (offset + bytes.size() > kFileBytesMax) return;
    state += bytes;
    add_state(file->second, std::move(state));
    const auto written = world_.client().write(kRoot, *handle, offset, as_bytes(bytes), false);
    if (!done(written.ok() ? Status() : Status(written.error()), "write")) return;
    if (!done(world_.client().flush(*handle, 1), "flush")) return;
    files_[file->second].kill_floor = files_[file->second].states.size() - 1;
  }
  if (below(2) == 0) fsync(file->second);
}

void PowerRun::reshape() {
  const auto which = random_file();
  if (!which) return;
  const auto handle = handle_of(which->second);
  if (!handle) return;
  File& file = files_[which->second];
  std::string state = file.now();
  const uint64_t offset = below(10'000);
  Status status;
  if (below(2) == 0) {
    state.resize(offset, '\0');
    add_state(which->second, std::move(state));
    client::SetAttrRequest request;
    request.size = offset;
    request.handle = handle;
    const auto attr = world_.client().setattr(kRoot, file.ino, request);
    if (!attr.ok()) status = attr.error();
  } else {
    const bool zero = below(2) == 0;
    const uint64_t length = 1 + below(4'000);
    if (zero) fit(state, offset + length);
    const uint64_t end = std::min<uint64_t>(offset + length, state.size());
    if (offset < end)
      std::fill(state.begin() + static_cast<long>(offset), state.begin() + static_cast<long>(end),
                '\0');
    add_state(which->second, std::move(state));
    using Kind = client::FallocateMode::Kind;
    const auto punched = world_.client().fallocate(
        kRoot, *handle, {zero ? Kind::kZero : Kind::kPunch, !zero}, offset, length);
    if (!punched.ok()) status = punched.error();
  }
  if (done(status, "truncate or fallocate")) file.kill_floor = file.states.size() - 1;
}

void PowerRun::copy() {
  const auto from = random_file();
  const auto to = random_file();
  if (!from || from->second == to->second) return;
  const auto source = handle_of(from->second);
  const auto target = handle_of(to->second);
  if (!source || !target) return;
  const uint64_t offset = below(4'000), at = below(10'000), length = 1 + below(3'000);
  const std::string& bytes = files_[from->second].now();
  if (offset >= bytes.size()) return;
  const std::string part = bytes.substr(offset, length);
  std::string state = files_[to->second].now();
  fit(state, at + part.size());
  state.replace(at, part.size(), part);
  add_state(to->second, std::move(state));
  const auto copied = world_.client().copy_range(kRoot, *source, offset, *target, at, length);
  if (!done(copied.ok() ? Status() : Status(copied.error()), "copy_range")) return;
  for (const FileId id : {from->second, to->second})
    files_[id].kill_floor = files_[id].states.size() - 1;
}

void PowerRun::fsync() {
  const auto which = random_file();
  if (which) fsync(which->second);
}

void PowerRun::fsync(FileId id) {
  const auto handle = handle_of(id);
  if (!handle) return;
  if (!done(world_.client().fsync(*handle, below(2) == 0), "fsync")) return;
  File& file = files_[id];
  file.power_floor = file.kill_floor = file.states.size() - 1;
  file.synced_in_this_life = true;
  names_floor_ = std::max(names_floor_, file.named_at);
  ++tally_.fsyncs;
}

void PowerRun::fsync_dir() {
  if (done(world_.client().fsync_dir(folders_[below(kFolders)]), "fsync of a directory")) {
    names_floor_ = history_.size() - 1;
  }
}

void PowerRun::close() {
  std::vector<FileId> open;
  for (FileId id = 0; id < files_.size(); ++id) {
    if (files_[id].open) open.push_back(id);
  }
  if (open.empty()) return;
  File& file = files_[open[below(open.size())]];
  const client::HandleId handle = *file.open;
  file.open.reset();
  if (!done(world_.client().flush(handle, 1), "flush")) return;
  file.kill_floor = file.states.size() - 1;
  done(world_.client().release(handle), "release");
}

void PowerRun::whole() {
  const uint64_t dice = below(10);
  if (dice < 5) return world_.advance(std::chrono::milliseconds(below(7'000)));
  if (dice < 8) {
    done(world_.store_everything(), "storing everything");
    return;
  }
  if (dice == 8) {
    const auto collected = world_.collect_garbage();
    done(collected.ok() ? Status() : Status(collected.error()), "gc");
    return;
  }
  const auto repacked = world_.repack();
  done(repacked.ok() ? Status() : Status(repacked.error()), "repack");
}

}  // namespace shoal::power
