#include "cmd/registry.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "sys/local_fs.h"

namespace shoal::cmd {
namespace {

using nlohmann::json;

std::string runtime_folder() {
  if (geteuid() == 0) return "/run/shoal/mounts";
  if (const char* run = getenv("XDG_RUNTIME_DIR"); run != nullptr && *run == '/')
    return join(run, "shoal/mounts");
  return fmt::format("/tmp/shoal-{}/mounts", geteuid());
}

std::string record_path(const std::string& folder, dev_t device) {
  return join(folder, fmt::format("{}-{}.json", major(device), minor(device)));
}

std::optional<MountRecord> read_record(LocalFs& fs, const std::string& path) {
  const Result<std::string> text = read_file(fs, path, 64 << 10);
  if (!text.ok()) return std::nullopt;
  const json value = json::parse(*text, nullptr, false);
  if (!value.is_object()) return std::nullopt;
  MountRecord record;
  record.device = value.value("device", uint64_t{0});
  record.pid = value.value("pid", int64_t{0});
  record.mount_point = value.value("mount_point", "");
  record.meta_url = value.value("meta_url", "");
  record.volume = value.value("volume", "");
  record.control = value.value("control", "");
  if (process_alive(record.pid)) return record;
  fs.remove(path).ignore("somebody else may have removed it");
  return std::nullopt;
}

// A user looks at his own mounts, then at root's.
std::vector<std::string> folders() {
  std::vector<std::string> all{runtime_folder()};
  if (geteuid() != 0) all.emplace_back("/run/shoal/mounts");
  return all;
}

}  // namespace

bool process_alive(int64_t pid) {
  RealFs fs;
  const Result<std::string> stat = read_file(fs, fmt::format("/proc/{}/stat", pid), 4096);
  if (!stat.ok()) return false;
  // "pid (name) state …"; the name may hold anything, so the last parenthesis counts.
  const size_t name_end = stat->rfind(')');
  return name_end != std::string::npos && name_end + 2 < stat->size() &&
         (*stat)[name_end + 2] != 'Z';
}

Status register_mount(const MountRecord& record) {
  RealFs fs;
  TRY(make_dirs(fs, runtime_folder()));
  const json value = {{"device", record.device},           {"pid", record.pid},
                      {"mount_point", record.mount_point}, {"meta_url", record.meta_url},
                      {"volume", record.volume},           {"control", record.control}};
  return write_file_atomically(fs, record_path(runtime_folder(), record.device),
                               as_bytes(value.dump()));
}

void unregister_mount(dev_t device) {
  RealFs fs;
  fs.remove(record_path(runtime_folder(), device)).ignore("it may never have been registered");
}

Result<MountRecord> find_mount(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0)
    return error(errno, "{}: {}", path, strerrordesc_np(errno));
  RealFs fs;
  for (const std::string& folder : folders()) {
    if (auto record = read_record(fs, record_path(folder, info.st_dev))) return *record;
  }
  return error(ENOENT, "{} is not on a Shoal mount of this machine", path);
}

Result<std::vector<MountRecord>> list_mounts() {
  RealFs fs;
  std::vector<MountRecord> mounts;
  for (const std::string& folder : folders()) {
    const Result<std::vector<std::string>> names = fs.list(folder);
    if (!names.ok()) continue;
    for (const std::string& name : *names) {
      if (!name.ends_with(".json")) continue;
      if (auto record = read_record(fs, join(folder, name))) mounts.push_back(*record);
    }
  }
  return mounts;
}

}  // namespace shoal::cmd
